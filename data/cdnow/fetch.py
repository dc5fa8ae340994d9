"""Fetch the CDNOW purchases from the PyPI package lifetimes and write them as cdnow.csv into the current folder.

The package is installed without its dependencies and never imported: only its data file is read.
"""

import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements-demo.lock"
FILE = "lifetimes/datasets/CDNOW_master.txt"


def ensure(package: str) -> None:
    """Install the demo packages, checked against their hashes, when `package` is not there."""
    try:
        distribution(package)
        return
    except PackageNotFoundError:
        pass
    how = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if find_spec("pip") is None:
        how = [shutil.which("uv") or "uv", "pip", "install", "--quiet", "--python", sys.executable]
    wanted = ["--no-deps", "--require-hashes", "-r", str(LOCK)]
    try:
        subprocess.run([*how, *wanted], check=True, capture_output=True, timeout=600)
    except (OSError, subprocess.SubprocessError):
        sys.exit(
            f"{package} is not installed and could not be fetched: is there a network? Try: {' '.join(how + wanted)}"
        )


def rows(path: Path) -> list[str]:
    """Return the lines of the file, its columns of blanks turned into commas: customer, day, CDs, dollars."""
    lines = path.read_text("ascii").splitlines()
    header = "customer_id,date,number_of_cds,dollar_value"
    return [header, *(",".join(re.split(r"\s+", line.strip())) for line in lines[1:] if line.strip())]


if __name__ == "__main__":
    ensure("lifetimes")
    source = Path(distribution("lifetimes").locate_file(FILE))
    Path("cdnow.csv").write_text("\n".join([*rows(source), ""]), "ascii")

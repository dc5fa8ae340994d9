"""What all tests share."""

import matplotlib.pyplot as plt
import pytest
from hypothesis import settings

from churnlib import text
from churnlib.reporting import doctor

# the same examples on every machine and day, and no failure because a machine is busy
settings.register_profile("churn", deadline=None, derandomize=True)
settings.load_profile("churn")


@pytest.fixture(autouse=True)
def words():
    """Every test begins in Chinese and without figures, whatever the one before it has set or drawn."""
    text.set_language("zh")
    yield
    text.set_language("zh")
    plt.close("all")


@pytest.fixture(scope="session")
def chromium():
    """The path of a browser; tests that need one are skipped, and say so, where there is none."""
    path = doctor.find_browser()
    if path is None:
        pytest.skip("no Chromium on this machine: install chromium, or name it with CHROMIUM=/path/to/it")
    return path

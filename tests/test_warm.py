"""Forked kernels: as good as started ones, and gone when nobody needs them."""

import json
import os
import time

import pytest
from report_home import cell, notebook

from churnlib.reporting import warm, worker
from churnlib.reporting.children import Child

pytestmark = pytest.mark.skipif(not warm.is_possible(), reason="kernels are forked on Linux only")
ASKED = """\
import os, sys
print([os.getpid() == os.getpgid(0), os.getcwd(), sys.path[0], os.environ["PYTHONHASHSEED"], __name__])
print("ipykernel_launcher" in " ".join(open(f"/proc/{os.getpid()}/cmdline").read().split("\\0")))
"""


def outputs(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "".join("".join(o.get("text", "")) for c in cells for o in c.get("outputs", ())).splitlines()


def test_a_notebook_runs_in_the_forked_kernel_as_in_a_fresh_one(tmp_path):
    source = notebook(tmp_path / "a.ipynb", "trend", [cell(ASKED)])
    done = Child(worker.work, source, tmp_path / "out.ipynb", {"horizon": 3}, tmp_path).result()
    assert done["error"] is None
    said = outputs(tmp_path / "out.ipynb")
    assert said == [str([True, str(tmp_path), "", "0", "__main__"]), "False"]


def test_the_second_attempt_takes_a_fresh_kernel():
    kernel = warm.Kernel()
    made = warm.manager(kernel)
    assert made._launch_kernel is made._async_launch_kernel
    kernel.dismiss()


def test_a_kernel_that_nobody_needs_ends():
    kernel = warm.Kernel()
    assert kernel.poll() is None
    kernel.dismiss()
    assert kernel.poll() == 0


def test_a_kernel_whose_executor_has_gone_ends():
    reader, writer = os.pipe()
    executor = os.fork()
    if executor == 0:  # forks a kernel and dies without a word
        os.write(writer, str(warm.Kernel().pid).encode())
        os._exit(0)
    os.waitpid(executor, 0)
    pid = int(os.read(reader, 20))
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        state = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
        if state == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("still there")

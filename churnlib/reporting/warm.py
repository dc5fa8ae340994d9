"""Kernels that are forked, not started: they have imported everything before their first cell (Linux only).

A fresh interpreter imports for two seconds before it can say anything, as often as there are notebooks; a report for
each of thirty branches would spend a third of its time so. The fork is taken before the executor has threads and
sockets of its own, waits for the connection that it is to serve, and then is an ordinary kernel.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any

PRELOADED = ("ipykernel.kernelapp", "matplotlib.pyplot", "seaborn", "pyarrow.parquet", "duckdb", "scipy.stats")
PRELOADED += ("scipy.special", "scipy.optimize", "churnlib.model.dataset", "churnlib.counts", "churnlib.show.display")
PRELOADED += ("churnlib.show.plots",)


def preload() -> None:
    """Import what kernels need, here and once: with their own settings, which libraries read when they are loaded."""
    from importlib import import_module

    from churnlib.reporting.worker import LIBRARY_SETTINGS

    if not is_possible():
        return
    os.environ.update(LIBRARY_SETTINGS)
    for name in PRELOADED:
        import_module(name)


def is_possible() -> bool:
    """Tell whether kernels may be forked here."""
    return sys.platform == "linux"


class Kernel:
    """A forked process that waits to become a kernel; to its manager it is what `subprocess.Popen` would be.

    Attributes
    ----------
    pid : int
    """

    stdin = stdout = stderr = None

    def __init__(self):
        theirs, self._ours = os.pipe()
        self.pid, self.returncode = os.fork(), None
        if self.pid == 0:
            os.close(self._ours)
            _wait_and_serve(theirs)
        os.close(theirs)

    def serve(self, argv: list[str], cwd: str, env: dict[str, str]) -> None:
        """Let it become the kernel of a connection, which the arguments name."""
        told = {"argv": argv, "cwd": cwd, "env": env, "parent": os.getpid()}
        with os.fdopen(self._ours, "w", encoding="utf-8") as pipe:
            json.dump(told, pipe)

    def dismiss(self) -> None:
        """End it unused."""
        with contextlib.suppress(OSError):
            os.close(self._ours)
        self.wait()

    def poll(self) -> int | None:
        """Give the exit code, None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signal it."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _wait_and_serve(pipe: int) -> None:
    """Be the kernel: never returns."""
    code = 1
    try:
        with os.fdopen(pipe, encoding="utf-8") as stream:
            said = stream.read()
        if not said:
            os._exit(0)  # nobody needs it, or the one who would has gone
        told = json.loads(said)
        os.setsid()  # a group of its own, as kernels are stopped by group
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(told["env"], JPY_PARENT_PID=str(told["parent"]))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)  # standard output is the run's own
        os.chdir(told["cwd"])
        sys.path[:] = ["", *(path for path in sys.path if path)]
        from ipykernel.kernelapp import IPKernelApp

        # it ends when the executor does; the variable that says so was read when ipykernel was imported
        IPKernelApp.launch_instance(argv=[*told["argv"], f"--IPKernelApp.parent_handle={told['parent']}"])
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def manager(kernel: Kernel) -> type:
    """Give the class of a kernel manager whose first kernel is the forked one; a second attempt starts one afresh."""
    from jupyter_client import AsyncKernelManager

    waiting = [kernel]

    class WarmManager(AsyncKernelManager):
        """The manager of one notebook's kernel."""

        async def _async_launch_kernel(self, kernel_cmd: list[str], **kwargs: Any) -> None:
            if not waiting:
                await super()._async_launch_kernel(kernel_cmd, **kwargs)
                return
            process, served = waiting.pop(), self.provisioner
            argv = kernel_cmd[kernel_cmd.index("-f") :]
            process.serve(argv, str(kwargs.get("cwd") or os.getcwd()), kwargs.get("env") or dict(os.environ))
            served.process, served.pid, served.pgid = process, process.pid, process.pid
            self._reconcile_connection_info(served.connection_info)

        _launch_kernel = _async_launch_kernel  # the name under which the asynchronous manager calls it

    return WarmManager

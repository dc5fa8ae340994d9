"""One notebook in one process: papermill with a kernel of this very environment."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from churnlib.reporting import warm

START_SECONDS = 60  # a kernel that has not answered by then has not started
CELL_SECONDS = 900  # the slowest cell of the largest data set, and much more
LONGEST = 100  # characters of a socket's path; the system's limit is 107 or less
STARTS = 3  # attempts to start a kernel; a notebook that ran into an error is never repeated

QUIET_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
LIBRARY_SETTINGS = {"PYTHONWARNINGS": "ignore", "MPLBACKEND": "Agg", **dict.fromkeys(QUIET_THREADS, "1")}


def load_papermill():
    """Import papermill with an engine whose kernels talk over local sockets; give the module."""
    # jsonschema, which papermill needs, compiles a grammar of international web addresses while it is imported (2 s);
    # no notebook holds one, and jsonschema does without where the package is absent
    sys.modules.setdefault("rfc3987_syntax", None)
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines
    from traitlets.config import Config

    class LocalEngine(NBClientEngine):
        """A kernel reached through a file instead of a TCP port: nobody else can connect, and nothing warns."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
            # papermill would write the whole notebook twice a cell, a third of the time of many small ones: it is
            # written when it has ended, however it ends
            nb_man.save = lambda **_: None
            try:
                super().execute_managed_notebook(nb_man, kernel_name, config=Config(KernelManager=_sockets()), **kwargs)
            finally:
                del nb_man.save

    papermill_engines.register("churn", LocalEngine)
    return papermill


def _near(target: Path) -> Path | None:
    """Give the folder for a kernel's files: that of the run, which is swept; the system's where paths get too long."""
    return target.parent if len(str(target.parent)) < LONGEST - 30 else None


def _sockets() -> dict[str, str]:
    """Say where a kernel listens: at files of its own in its runtime folder, as far as the system allows."""
    # by default every kernel in a folder would take the same files
    path = os.path.join(os.environ.get("JUPYTER_RUNTIME_DIR", "."), "kernel")
    fits = len(path) < LONGEST and sys.platform != "win32"
    return {"transport": "ipc", "ip": path} if fits else {"transport": "tcp"}


def environment(scratch: Path, home: Path) -> dict[str, str]:
    """Give the variables of a kernel: this environment's own kernel, one thread a library, no user's settings."""
    package = str(Path(__file__).resolve().parents[2])
    return {
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
        **{f"JUPYTER_{kind}_DIR": str(scratch) for kind in ("CONFIG", "DATA", "RUNTIME")},
        "TMPDIR": str(scratch),  # a kernel that is killed leaves nothing elsewhere
        "IPYTHONDIR": str(scratch / "ipython"),
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "CHURN_HOME": str(home),
        **LIBRARY_SETTINGS,
    }


def work(source: Path, target: Path, parameters: dict[str, Any], home: Path) -> dict[str, Any]:
    """Execute one notebook: the body of a child process.

    Returns
    -------
    dict
        `error`: None, or {"cell", "name", "message"} with the cell's number in the source, counted from 1;
        `seconds`; `megabytes`: the largest memory that the kernel held.
    """
    start = time.monotonic()
    log = os.open(target.with_suffix(".log"), os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(log, 2)  # what libraries mutter is kept, and read only when a notebook failed
    with tempfile.TemporaryDirectory(dir=_near(target), prefix="churn-", ignore_cleanup_errors=True) as scratch:
        os.environ.update(environment(Path(scratch), home))
        tempfile.tempdir = scratch  # jupyter's own temporary files; decided once, before the environment was
        kernel = warm.Kernel() if warm.is_possible() else None  # before papermill has sockets
        error = execute(source, target, parameters, kernel)
        return {"error": error, "seconds": time.monotonic() - start, "megabytes": _kernel_memory()}


def execute(
    source: Path, target: Path, parameters: dict[str, Any], kernel: warm.Kernel | None = None
) -> dict[str, Any] | None:
    """Execute one notebook, in a kernel that waits or else in new ones; give None, or the error."""
    papermill = load_papermill()
    own = {"kernel_manager_class": warm.manager(kernel)} if kernel else {}
    for attempt in range(1, STARTS + 1):
        try:
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters=parameters,
                engine_name="churn",
                kernel_name="python3",
                language="python",
                progress_bar=False,
                start_timeout=START_SECONDS,
                execution_timeout=CELL_SECONDS,
                shutdown_kernel="immediate",  # nothing in it is worth waiting for
                autosave_cell_every=0,
                cwd=str(source.parent),
                **own,
            )
            return None
        except papermill.PapermillExecutionError as problem:
            return _error(source, problem.cell_index + 1, problem.ename, problem.evalue)
        except Exception as problem:  # papermill and jupyter raise many kinds when a kernel dies
            reached = _last_cell(target)
            if attempt == STARTS or reached:
                return _error(source, reached, type(problem).__name__, str(problem))
    raise AssertionError("unreachable")


def _cells(notebook: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(notebook.read_text("utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []


def _error(source: Path, cell: int, name: str, message: str) -> dict[str, Any]:
    """Give the error with the cell's number in the source: papermill adds one cell after the parameters."""
    tagged = [i for i, c in enumerate(_cells(source), 1) if "parameters" in c["metadata"].get("tags", ())]
    return {"cell": cell - (bool(tagged) and cell > tagged[0]), "name": name, "message": message}


def _last_cell(notebook: Path) -> int:
    """Give the number of the last cell that was reached (papermill notes a start time in each cell that it runs)."""
    reached = [i for i, c in enumerate(_cells(notebook), 1) if (c["metadata"].get("papermill") or {}).get("start_time")]
    return max(reached, default=0)


def _kernel_memory() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)

"""Functions that run in a process of their own: memory is given back, a crash stays theirs, and they die with us."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from typing import Any, TypeVar

from churnlib import text

PATIENCE = 10  # seconds in which a child that is asked to end may clear its things away
# forked where that is safe: a child then has what the parent has imported
CONTEXT = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")

Job = TypeVar("Job")


class ChildDied(text.ChurnError):
    """A child that ended without an answer: killed, for instance, by a machine out of memory."""


class Child:
    """A function at work in its own process; it must be importable by name."""

    def __init__(self, function: Callable[..., Any], *args: Any):
        # the pipe becomes readable when the answer is there or the child is dead
        self.pipe, theirs = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=_body, args=(theirs, function, args))
        self._process.start()
        theirs.close()  # so that the pipe ends when the child does

    def result(self) -> Any:
        """Wait for what the function returns; its ChurnError is raised here."""
        try:
            answer, problem = self.pipe.recv()
        except EOFError:
            self._process.join()
            raise ChildDied("run.died", code=self._process.exitcode) from None
        finally:
            self.pipe.close()
        self._process.join()
        if problem is not None:
            kind, key, values = problem
            raise kind(key, **values)
        return answer

    def stop(self) -> None:
        """End the process: asked first, then killed."""
        self._process.terminate()
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()


def finished(jobs: Iterable[Job], start: Callable[[Job], Child], at_once: int) -> Iterator[tuple[Job, Child]]:
    """Start a child for each job, several at once; give each when its answer is there. What is left ends with us."""
    waiting, running = list(jobs), {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                child = start(job)
                running[child.pipe] = (job, child)
            for pipe in wait(list(running)):
                yield running.pop(pipe)
    finally:
        for _, child in running.values():
            child.stop()


def _body(pipe, function: Callable[..., Any], args: tuple) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # control-C reaches the whole group; the parent stops us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        message = (function(*args), None)
    except text.ChurnError as problem:
        message = (None, (type(problem), problem.key, problem.values))
    except Exception:
        traceback.print_exc()
        os._exit(1)
    pipe.send(message)


def _die_with_parent() -> None:
    """Stop when the run was killed: nobody would read what we make."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)  # so that kernels end and temporary files go
        time.sleep(PATIENCE)
        os._exit(143)

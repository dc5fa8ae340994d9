"""Which notebooks a report needs, and their execution: each in its own process, as many at once as there are cores."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.reporting import doctor, worker
from churnlib.reporting.children import Child, ChildDied, finished
from churnlib.text import Label

# Management's order of questions (how many, why, when, cohorts ...), whatever the files are called; data quality last.
ORDER = ("trend", "why", "reasons", "survival", "cohort", "value", "who", "warning", "winback")
ORDER += ("definitions", "silence", "quality")


NOTEBOOK_BYTES = 700 * 1024**2  # of memory that a notebook on the largest demo data set takes, and some more


@dataclass(frozen=True)
class Parameter:
    """One name in a notebook's cell tagged `parameters`."""

    name: str
    default: Any  # a literal of Python
    kind: str  # of `_READERS`: from its annotation (horizon: int = 24), else from its default; None means text

    def read(self, given: str) -> Any:
        """Turn what an operator typed into a value of this kind; text stays as it was typed: 001 is '001'."""
        try:
            return _READERS[self.kind](given)
        except (ValueError, KeyError):
            kind = text.label(f"run.kind.{self.kind}")
            raise text.UsageError("run.wrong_type", name=self.name, value=given, kind=kind) from None


_READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "whole": int,
    "number": float,
    "flag": lambda given: {"true": True, "yes": True, "false": False, "no": False}[given.lower()],
    "list": lambda given: [part.strip() for part in given.replace("，", ",").split(",") if part.strip()],
}
_KINDS = {"str": "text", "int": "whole", "float": "number", "bool": "flag", "list": "list", "tuple": "list"}


class Notebook:
    """A source notebook: its chapter, the tables that it needs and its parameters, read without starting anything."""

    def __init__(self, path: Path):
        self.path, self.name = path, path.stem

    @cached_property
    def content(self) -> dict[str, Any]:
        """The notebook as JSON."""
        try:
            content = json.loads(self.path.read_text("utf-8"))
        except ValueError:
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
            raise text.UsageError("run.not_a_notebook", file=self.path.name)
        return content

    @property
    def churn(self) -> Mapping[str, Any]:
        """What the notebook's metadata say about its chapter."""
        return self.content.get("metadata", {}).get("churn", {})

    @property
    def chapter(self) -> str:
        """The chapter's code; empty for a notebook that is no part of the report."""
        return self.churn.get("chapter", "")

    @property
    def title(self) -> Label:
        """The chapter's title in both languages."""
        return Label.of(self.churn.get("title", self.name))

    @property
    def needs(self) -> tuple[str, ...]:
        """Tables ("exit_survey"), columns ("customers.start_date") or "history" without which it says nothing."""
        return tuple(self.churn.get("needs", ()))

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that its tagged cell assigns."""
        tagged = (c for c in self.content["cells"] if "parameters" in c.get("metadata", {}).get("tags", ()))
        source = next(("".join(c["source"]) for c in tagged), "")
        try:
            return {p.name: p for p in _assigned(ast.parse(source))}
        except (SyntaxError, ValueError):
            raise text.UsageError("run.bad_parameters_cell", file=self.path.name) from None


def _assigned(tree: ast.Module) -> Iterable[Parameter]:
    for line in tree.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value is not None:
            words = [word.strip() for word in ast.unparse(line.annotation).replace("[", "|").split("|")]
            kind = next((_KINDS[word] for word in words if word in _KINDS), None)
            default = ast.literal_eval(line.value)
            yield Parameter(line.target.id, default, kind or _KINDS.get(type(default).__name__, "text"))
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            default = ast.literal_eval(line.value)
            yield Parameter(line.targets[0].id, default, _KINDS.get(type(default).__name__, "text"))
        else:
            raise ValueError(ast.unparse(line))


def notebooks(folder: Path) -> list[Notebook]:
    """Give the notebooks that are chapters of the report, in the report's order."""
    found = [Notebook(path) for path in sorted(folder.glob("*.ipynb"))]
    place = {chapter: i for i, chapter in enumerate(ORDER)}
    chapters = [notebook for notebook in found if notebook.chapter]
    # a chapter that the order does not know comes before the data's quality
    return sorted(chapters, key=lambda n: (place.get(n.chapter, len(ORDER) - 1.5), n.name))


def missing(notebook: Notebook, has: Callable[[str], bool]) -> str | None:
    """Give the first thing that a notebook needs and the data set lacks; `a|b` is served by either."""
    return next((need for need in notebook.needs if not any(has(part) for part in need.split("|"))), None)


@dataclass(frozen=True)
class Failure:
    """Where and why a notebook stopped; `cell` counts all cells of the source from 1 (0: the kernel never started)."""

    notebook: str
    cell: int
    name: str
    message: str

    def say(self) -> str:
        """Give the failure in one line."""
        line = " ".join(f"{self.name}: {self.message}".split())
        return text.say("run.failed", notebook=self.notebook, cell=self.cell, error=line[:500])


@dataclass
class Job:
    """One notebook to execute: where from, where to, with which values; and what it took."""

    notebook: Notebook
    target: Path
    parameters: dict[str, Any]
    seconds: float = field(default=float("nan"), init=False)
    megabytes: float = field(default=float("nan"), init=False)


def execute(jobs: list[Job], home: Path, at_once: int, on_done: Callable[[Job], None]) -> Failure | None:
    """Execute notebooks, several at once; the first failure stops the others.

    Parameters
    ----------
    jobs : list of Job
        In the order in which they start.
    home : Path
        The folder above data/, for the kernels.
    at_once : int
    on_done : callable
        Called with each finished job.

    Returns
    -------
    Failure or None
        The executed notebooks are at the jobs' targets.
    """

    def start(job: Job) -> Child:
        return Child(worker.work, job.notebook.path, job.target, job.parameters, home)

    with closing(finished(jobs, start, at_once)) as done:
        for job, child in done:
            if failure := _finish(job, child):
                return failure
            on_done(job)
    return None


def _finish(job: Job, child: Child) -> Failure | None:
    try:
        done = child.result()
    except ChildDied as death:
        return Failure(job.notebook.name, 0, type(death).__name__, str(death))
    job.seconds, job.megabytes = done["seconds"], done["megabytes"]
    return Failure(job.notebook.name, **done["error"]) if done["error"] else None


def at_once() -> int:
    """Give the number of notebooks that run at once: one a core, as long as the free memory holds them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(doctor.free_memory() // NOTEBOOK_BYTES)))

"""`python -m churnlib`: the verbs of the Makefile, for people and for cron."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from churnlib import text

WITH_WARNINGS = 5
DATASET = "telecom"  # when none is named


class _Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one line and knows near misses."""

    def error(self, message: str) -> NoReturn:
        raise text.UsageError("report.usage", problem=message, command=self.prog)

    def check_known(self, rest: Sequence[str]) -> None:
        """Refuse what is left over."""
        from churnlib import yamlfile

        for word in rest:
            options = [option for action in self._actions for option in action.option_strings]
            hint = yamlfile.hint(word.partition("=")[0], options)
            raise text.UsageError("report.unknown_option", name=word, hint=hint)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code.

    0 done, 1 failed, 2 usage, 3 data, 4 period not complete, 5 done with warnings, 75 another run is at work.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what a run has begun is cleared away
    if (spoken := os.environ.get("CHURN_LANGUAGE", "")) in text.LANGUAGES:
        text.set_language(spoken)
    try:
        parsers = _parsers()
        given, rest = parsers[""].parse_known_args(argv)
        parsers[given.command].check_known(rest)
        return given.run(given)
    except text.ChurnError as problem:
        stream = sys.stdout if getattr(problem, "is_outcome", False) else sys.stderr
        print(*(problem, *problem.also), sep="\n", file=stream)
        return problem.exit_code
    except OSError as problem:
        where = problem.filename or text.MISSING
        print(text.say("report.cannot_write", where=where, why=problem.strerror or problem), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(text.say("report.interrupted"), file=sys.stderr)
        return 130


def _parsers() -> dict[str, _Parser]:
    top = _Parser(prog="python -m churnlib", description=__doc__, allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    parsers = {"": top}

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str) -> _Parser:
        parsers[name] = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        parsers[name].set_defaults(run=run)
        return parsers[name]

    report = command("report", _report, "make the report of a data set")
    report.add_argument("--dataset", help="name under data/, or a folder (default: the recipe's, else telecom)")
    report.add_argument("--recipe", help="reports/<name>.yml: chapters, segments, languages, limits, for whom")
    report.add_argument("--period", help="such as 2025-12, 2025-Q4, 2025, 2025-W49 (default: the last complete month)")
    report.add_argument("--languages", help="default: the recipe's, else zh,en")
    report.add_argument("--definition", help="a churn definition of dataset.yml (default: its own)")
    report.add_argument("--by", help="a segment of dataset.yml (default: its own)")
    report.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another parameter of a notebook"
    )
    report.add_argument("--pdf", action="store_true", help="print the pages as PDF too (needs Chromium)")
    report.add_argument("--reason", default="", help="why a published period is made again; printed in the run record")
    report.add_argument("--force", action="store_true", help="make it even when nothing has changed")
    report.add_argument("--clock", metavar="TIME", help="time to print (default: SOURCE_DATE_EPOCH, else now)")
    report.add_argument("--log", type=Path, metavar="FILE", help="append one line of JSON a step")
    report.add_argument("--jobs", type=int, help="notebooks at once (default: the number of cores)")
    diff = command("diff", _diff, "say in what two published reports differ")
    for name in ("a", "b"):
        diff.add_argument(name, help="such as telecom/2025-11, telecom/2025-11/r1, or telecom for the latest")
    clean = command("clean", _clean, "remove all but the newest reports")
    clean.add_argument(
        "--keep", type=int, default=24, help="periods of a report, and revisions of a period (default: 24)"
    )
    check = command("check", _check, "read the data and say what was found, without a report")
    check.add_argument("--dataset", default=DATASET)
    new = command("new", _new, "look at files and propose a dataset.yml")
    new.add_argument("--dataset", required=True, help="the new name under data/")
    new.add_argument("--from", dest="folder", required=True, help="the folder with the files")
    command("doctor", _doctor, "look at the machine")
    return parsers


def _report(given: argparse.Namespace) -> int:
    from churnlib.reporting.request import clock, read_request

    options = {
        "period": given.period,
        "definition": given.definition,
        "by": given.by,
        "languages": given.languages,
        "settings": given.set,
        "has_pdf": given.pdf,
        "is_forced": given.force,
        "reason": given.reason,
    }
    if given.recipe is None:
        recipe, request = None, read_request(given.dataset or DATASET, **options)
    else:
        from churnlib.reporting.recipe import read_recipe

        recipe, request = read_recipe(given.recipe, given.dataset, DATASET, **options)
    if given.jobs is not None and given.jobs < 1:
        raise text.UsageError("report.bad_jobs", value=given.jobs)
    moment = clock(given.clock)

    from churnlib.reporting.report import make_report
    from churnlib.reporting.steps import Steps

    language, steps = text.language(), Steps(log=given.log)
    if recipe is not None and recipe.each:
        from churnlib.reporting.packs import make_packs

        return _told(make_packs(request, recipe, moment, steps, given.jobs), language)
    return _told(make_report(request, moment, steps, given.jobs), language)


def _told(outcome, language: str) -> int:
    text.set_language(language)
    if not outcome.is_new:
        print(text.say("report.up_to_date"))
    for warning in outcome.warnings:
        print(text.say("report.warning", warning=warning[language]), file=sys.stderr)
    print(outcome.page)
    return WITH_WARNINGS if outcome.warnings else 0


def _diff(given: argparse.Namespace) -> int:
    from churnlib.model.places import home
    from churnlib.reporting import archive

    sides = [archive.find_revision(home() / "reports", name) for name in (given.a, given.b)]

    from churnlib.reporting import between

    print(between.diff_text(between.differ(*sides), text.language()))
    return 0


def _clean(given: argparse.Namespace) -> int:
    from churnlib.model.places import home
    from churnlib.reporting import archive

    if given.keep < 1:
        raise text.UsageError("archive.bad_keep", value=given.keep)
    removed = archive.clean(home() / "reports", given.keep)
    print(text.say("archive.cleaned", n=len(removed), keep=given.keep))
    return 0


def _check(given: argparse.Namespace) -> int:
    from churnlib.model import schema
    from churnlib.model.places import find_folder
    from churnlib.reporting.request import speak

    folder = find_folder(given.dataset)
    speak(schema.load(folder / "dataset.yml"))

    from churnlib.model.dataset import check_text, open_dataset

    print(check_text(open_dataset(folder, must_be_complete=False)))
    return 0


def _new(given: argparse.Namespace) -> int:
    from churnlib.model.propose import propose, what_to_check

    print(what_to_check(propose(given.dataset, Path(given.folder))))
    return 0


def _doctor(given: argparse.Namespace) -> int:
    from churnlib.reporting import doctor

    lines, is_ready = doctor.report()
    print(lines)
    return 0 if is_ready else 1


if __name__ == "__main__":
    sys.exit(main())

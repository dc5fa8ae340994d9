"""A report in the making: the data prepared, notebooks executed, pages rendered, verified and published."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnlib import text
from churnlib.about import Period
from churnlib.model import scope
from churnlib.reporting import collect, figures, fingerprint, formats, publish, record, render, run
from churnlib.reporting.children import Child
from churnlib.reporting.collect import Chapter
from churnlib.reporting.notes import Decision, Notes, read_notes
from churnlib.reporting.prepare import Prepared, prepare
from churnlib.reporting.request import Request
from churnlib.reporting.steps import Steps
from churnlib.reporting.summary import Summary, all_kpis, summarise
from churnlib.reporting.verify import marked, names_in, verify
from churnlib.text import LANGUAGES

if TYPE_CHECKING:
    from churnlib.reporting.between import Since

MANY_SET_ASIDE = 0.05  # more rows than this set aside, and the report is published with a warning


class NotebookFailed(text.ChurnError):
    """A notebook stopped and nothing is published (exit code 1): its one line is the last of standard output."""

    is_outcome = True


@dataclass
class Making:
    """One run under the lock: each step takes what the step before it has made."""

    request: Request
    moment: datetime  # printed as the time of making
    steps: Steps
    at_once: int  # notebooks
    work: Path  # the staging folder

    def make(self) -> tuple[Path, list[dict[str, str]]]:
        """Make and publish the report; give its first page and the warnings, in both languages."""
        self._limit()
        prepared = self._prepare()
        things = fingerprint.ingredients(self.request)
        chapters, left_out = self._execute(prepared)
        if any(now != things[name] for name, now in fingerprint.data_hashes(self.request).items()):
            raise text.DataError("report.changed_meanwhile", dataset=self.request.name)
        content = self._content(prepared, things, chapters, left_out)
        pages = self._render(content)
        return self._publish(content, things, pages)

    def _limit(self) -> None:
        """Tell the scope to the processes of this run."""
        os.environ.pop(scope.VARIABLE, None)
        if self.request.scope != scope.Scope():
            path = self.work / "scope.json"
            self.request.scope.write(path)
            os.environ[scope.VARIABLE] = str(path)

    def _prepare(self) -> Prepared:
        with self.steps.step("prepare", dataset=self.request.name, period=self.request.period) as told:
            reading = Child(prepare, self.request, self.work / "private")
            try:
                load_engines()  # while the data are read
                prepared = reading.result()
            except BaseException:
                reading.stop()
                raise
            told["n"] = prepared.n_rows_in
        return prepared

    def _execute(self, prepared: Prepared) -> tuple[list[Chapter], list[tuple[text.Label, str]]]:
        request, lacking = self.request, {b.name: run.missing(b, prepared.has) for b in self.request.notebooks}
        jobs = [
            run.Job(book, self.work / f"{book.name}.ipynb", request.parameters(book))
            for book in request.notebooks
            if lacking[book.name] is None
        ]
        with self.steps.step("execute", n=len(jobs), at_once=self.at_once):
            failure = run.execute(jobs, request.home, self.at_once, _teller(self.steps, len(jobs)))
            if failure is not None:
                kept = publish.keep_failed(self.work / f"{failure.notebook}.ipynb", request.reports)
                raise NotebookFailed("report.failed", failure=failure.say(), kept=kept)
        left_out = [(b.title, need) for b in request.notebooks if (need := lacking[b.name]) is not None]
        return [collect.chapter(job.notebook, job.target) for job in jobs], left_out

    def _content(
        self, prepared: Prepared, things: dict[str, Any], chapters: list[Chapter], left_out: list
    ) -> render.Content:
        request = self.request
        notes = {language: read_notes(request.folder, request.period, language) for language in LANGUAGES}
        revision = publish.next_revision(request.reports, request.period)
        summary = summarise(chapters, request.period, _decided(notes, request.languages[0]))
        since = self._since(prepared, chapters, revision)
        if since.results:
            from churnlib.show import display

            blocks = [{"block": display.block(result)} for result in since.results]
            chapters = [*chapters, Chapter("since", text.label("between.title"), "since", blocks)]
        name = request.reports.relative_to(request.home / "reports").as_posix().replace("/", "-")
        run_id = f"{name}-{request.period}-r{revision}-{fingerprint.hash_of(things)[:8]}"
        return render.Content(
            request=request,
            prepared=prepared,
            chapters=chapters,
            left_out=left_out,
            summary=summary,
            notes=notes,
            record=record.shown(request, things, run_id),
            generated=self.moment,
            revision=revision,
            run_id=run_id,
            warnings=_warnings(prepared, chapters, [notes[language] for language in request.languages], since),
            doubts=_unfounded(chapters, summary, request.period),
        )

    def _since(self, prepared: Prepared, chapters: list[Chapter], revision: int) -> Since:
        from churnlib.reporting import between

        request, rules = self.request, fingerprint.declared(self.request.spec, self.request.definition)
        replaced = publish.published(request.reports, request.period)
        earlier = [replaced[0] if replaced else None, publish.before(request.reports, request.period)]
        made = between.now(prepared.about, revision, all_kpis(chapters), rules, prepared.ledger)
        return between.since(prepared.about, [path for path in earlier if path], made)

    def _render(self, content: render.Content) -> dict[str, dict[str, str]]:
        """Give the verified texts: kind -> language -> HTML."""
        request = self.request
        with self.steps.step("render", languages=list(request.languages)):
            made = {"html": {language: render.page(content, language) for language in request.languages}}
            if "mail" in request.formats:
                made["mail"] = {language: self._mail(content, language) for language in request.languages}
            for pages in made.values():
                verify(pages, set(_names(content)))
                pages |= {"en": marked(pages["en"])} if "en" in pages else {}
        return made

    def _mail(self, content: render.Content, language: str) -> str:
        kinds = ("html", *(kind for kind in self.request.formats if kind != "mail"))
        files = [formats.name(kind, self.request.period, language) for kind in kinds]
        return formats.mail(render.context(content, language), files)

    def _publish(self, content: render.Content, things: dict[str, Any], pages: dict[str, dict]) -> tuple[Path, list]:
        request, made = self.request, self.work / "report"
        with self.steps.step("publish", revision=content.revision):
            self._write(content, pages, made)
            render.write_tables(content.chapters, made / "tables")
            render.write_json(made / "kpis.json", render.kpis(content))
            render.write_json(made / publish.MANIFEST, record.manifest(content, things, self.steps, made))
            private = self.work / "private"
            render.write_json(private / publish.LEDGER.format(f"r{content.revision}"), content.prepared.ledger)
            publish.put_private(private, request.reports, request.period)
            revision = publish.publish(made, request.reports, request.period)
        page = revision / formats.name("html", request.period, request.languages[0])
        return page, content.warnings + content.doubts

    def _write(self, content: render.Content, pages: dict[str, dict[str, str]], made: Path) -> None:
        """Write the report in all its forms."""
        request, about = self.request, content.prepared.about
        made.mkdir()
        for language in request.languages:
            path = {kind: made / formats.name(kind, request.period, language) for kind in formats.NAMES}
            for kind, texts in pages.items():
                path[kind].write_text(texts[language], "utf-8", newline="\n")
            if "xlsx" in request.formats:
                report = render.context(content, language)
                formats.write_workbook(path["xlsx"], report, all_kpis(content.chapters), about)
            if "pdf" in request.formats:
                formats.print_page(path["html"], path["pdf"], content.generated)


def load_engines() -> None:
    """Import what executes and renders, so that forked children have it."""
    from churnlib.reporting import warm

    warm.preload()  # first: it chooses the settings under which libraries are loaded

    from churnlib.reporting import between, page, worker  # noqa: F401 (pandas, nbconvert)

    worker.load_papermill()


def _decided(notes: dict[str, Notes], first: str) -> list[tuple[dict[str, str], Decision]]:
    """Give the analyst's decisions in both languages where both were written, else as they were written."""
    asked = {language: written.decisions for language, written in notes.items()}
    if len({len(decisions) for decisions in asked.values()}) > 1:
        asked = dict.fromkeys(LANGUAGES, asked[first])
    words = [{language: asked[language][i].text for language in LANGUAGES} for i in range(len(asked[first]))]
    owners = [text.Label(*(asked[language][i].owner for language in LANGUAGES)) for i in range(len(words))]
    named = [replace(decision, owner=owner) for decision, owner in zip(asked[first], owners, strict=True)]
    return list(zip(words, named, strict=True))


def _teller(steps: Steps, total: int):
    done = []

    def tell(job: run.Job) -> None:
        done.append(job)
        steps.seconds[job.notebook.name] = round(job.seconds, 2)
        steps.tell("notebook", {"name": job.notebook.name}, job.seconds, job.megabytes)
        steps.bar(len(done), total, job.notebook.name)

    steps.bar(0, total)
    return tell


def _warnings(
    prepared: Prepared, chapters: list[Chapter], notes: Iterable[Notes], since: Since
) -> list[dict[str, str]]:
    warned = [(finding.key, finding.values) for finding in since.new_rules]
    if prepared.n_rows_set_aside > MANY_SET_ASIDE * prepared.n_rows_in:
        values = {"n": prepared.n_rows_set_aside, "share": prepared.n_rows_set_aside / prepared.n_rows_in}
        warned.append(("report.warning.set_aside", values))
    known = [(chapter.id, chapter.title) for chapter in chapters]
    strangers = dict.fromkeys(heading for written in notes for heading in written.strangers(known))
    warned += [("report.warning.note", {"heading": heading}) for heading in strangers]
    return [text.label(key, **values)._asdict() for key, values in warned]


def _unfounded(chapters: list[Chapter], summary: Summary, period: Period) -> list[dict[str, str]]:
    """Warn of numbers that are said and that nothing vouches for."""
    found = figures.unfounded(chapters, summary, period)
    if not found:
        return []
    numbers = [f"{number} ({where})" for where, number in found[:5]]
    return [text.label("report.warning.unfounded", numbers=numbers)._asdict()]


def _names(content: render.Content) -> Iterable[str]:
    """Give what users and their data call things, and what the analyst wrote: may stand on a page in any language."""
    import csv

    request = content.request
    yield from (content.run_id, *map(str, request.unit or ()), *names_in(request.spec))
    for block in (block for chapter in content.chapters for block in chapter.blocks):
        yield from block.get("names", ())
        for row in csv.reader(block["data"]["csv"].splitlines()):
            yield from row
    for notes in content.notes.values():
        yield from notes.words()

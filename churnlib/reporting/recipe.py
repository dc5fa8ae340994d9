"""Recipes: reports/<name>.yml says which chapters, segments, languages and limits a report has, and for whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from churnlib import text
from churnlib.model.places import home
from churnlib.model.schema import Part, Strings, Words
from churnlib.model.scope import Scope
from churnlib.reporting.formats import USUAL
from churnlib.reporting.request import Request, read_request
from churnlib.reporting.run import Notebook
from churnlib.yamlfile import YamlFile, hint

Listed = Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Limits(Part):
    """Thresholds of a report: they may only be stricter than the data set's."""

    min_denominator: int | None = Field(None, ge=1)
    privacy_k: int | None = Field(None, ge=1)


class Recipe(Part):
    """A whole recipe. What it leaves out is as in a report without one."""

    title: Words | None = None
    dataset: str | None = None
    chapters: Strings | None = None
    definition: str | None = None
    by: str | None = None
    segments: Strings | None = None
    mask: Strings = ()
    where: dict[str, Listed] = {}
    each: str | None = None
    levels: Strings | None = None  # of `each`: only these
    languages: tuple[Literal["zh", "en"], ...] = text.LANGUAGES
    formats: tuple[Literal["xlsx", "mail", "pdf"], ...] = USUAL
    thresholds: Limits = Limits()
    settings: dict[str, str] = {}

    @property
    def scope(self) -> Scope:
        """What the notebooks are restricted to."""
        limits = {name: value for name, value in dict(self.thresholds).items() if value is not None}
        return Scope(dict(self.where), self.segments, limits, masked=self.mask)


def find_recipe(reports: Path, name: str) -> Path:
    """Find reports/<name>.yml; raises UsageError with near misses."""
    path = reports / f"{name}.yml"
    if "/" in name or not path.is_file():
        known = sorted(found.stem for found in reports.glob("*.yml"))
        raise text.UsageError("recipe.unknown", name=name, hint=hint(name, known or [text.MISSING]))
    return path


def load(path: Path) -> tuple[Recipe, YamlFile]:
    """Read a recipe; raises DataError that names the first problem's key, line and near misses."""
    file = YamlFile(path)
    return file.check(Recipe), file


def read_recipe(name: str, dataset: str | None, usual: str, **options: Any) -> tuple[Recipe, Request]:
    """Read reports/<name>.yml and the request that it makes.

    What was typed comes before what the recipe says: the data set (else the `usual` one), and the options of
    `read_request`.
    """
    recipe, file = load(find_recipe(home() / "reports", name))
    settings = [f"{key}={value}" for key, value in recipe.settings.items()]
    options["settings"] = [*settings, *options["settings"]]
    options["languages"] = options["languages"] or ",".join(recipe.languages)
    return recipe, cook(recipe, file, read_request(dataset or recipe.dataset or usual, **options))


def cook(recipe: Recipe, file: YamlFile, request: Request) -> Request:
    """Give the request that a recipe makes of a plain one, what was typed.

    Raises
    ------
    DataError
        A chapter or segment that the notebooks or the data set do not have, with its line in the file.
    """
    spec = request.spec
    _check(file, "chapters", recipe.chapters, [book.chapter for book in request.notebooks])
    for key, known in {
        **dict.fromkeys(("segments", "mask", "by", "each"), spec.segments),
        "definition": spec.definitions,
    }.items():
        given = getattr(recipe, key)
        _check(file, key, [given] if isinstance(given, str) else given, known)
    is_usual = request.definition == spec.definition  # none was typed
    books = tuple(b for b in request.notebooks if recipe.chapters is None or b.chapter in recipe.chapters)
    formats = (*recipe.formats, *(kind for kind in request.formats if kind == "pdf" and kind not in recipe.formats))
    return replace(
        request,
        spec=recipe.scope.applied(spec),
        notebooks=tuple(_ordered(books, recipe.chapters)),
        definition=recipe.definition if is_usual and recipe.definition else request.definition,
        by=request.by or recipe.by,
        formats=formats,
        recipe=file.path.stem,
        title=recipe.title,
        scope=recipe.scope,
    )


def _ordered(books: Iterable[Notebook], chapters: Iterable[str] | None) -> list[Notebook]:
    """Chapters stand in the order of the recipe."""
    if chapters is None:
        return list(books)
    place = {chapter: i for i, chapter in enumerate(chapters)}
    return sorted(books, key=lambda book: place[book.chapter])


def _check(file: YamlFile, key: str, given: Iterable[str] | None, known: Iterable[str]) -> None:
    known = list(known)
    for i, name in enumerate(given or ()):
        if name not in known:
            where: tuple[Any, ...] = (key, i) if isinstance(file.values.get(key), list) else (key,)
            raise file.problem(where, "schema.not_one_of", value=name, hint=hint(name, known))

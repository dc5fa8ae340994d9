"""YAML written by people: loaded safely, checked by a pydantic model, problems told with key, line, near misses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from churnlib import text

Model = TypeVar("Model", bound=BaseModel)
Path_ = tuple[Any, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 30
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_NULLS = ("", "~", "null", "Null", "NULL")
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_WORDS = {  # pydantic's kind of error -> what the reader should have written
    "date": "schema.expected.date",
    "int": "schema.expected.whole",
    "float": "schema.expected.number",
    "bool": "schema.expected.flag",
    "dict": "schema.expected.mapping",
    "model": "schema.expected.mapping",
    "mapping": "schema.expected.mapping",
    "list": "schema.expected.list",
    "tuple": "schema.expected.list",
    "string": "schema.expected.text",
}


class YamlFile:
    """One YAML file: its values and the line of every key.

    Every scalar is read as the text that stands in the file (so that a value `NO`, a code `007` or a header `2024-01`
    stays itself); the model turns text into dates and numbers where it wants them. Nothing in the file can run code.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        raw = path.read_bytes()
        if len(raw) > MAX_BYTES:
            raise text.DataError("schema.too_large", file=self.name, limit=MAX_BYTES)
        try:
            content = raw.decode("utf-8-sig")
            self._refuse_tricks(content)
            self._root = yaml.compose(content, Loader=yaml.CSafeLoader)
        except UnicodeDecodeError as problem:
            raise text.DataError("schema.not_utf8", file=self.name, byte=problem.start) from None
        except yaml.YAMLError as problem:
            mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
            what = getattr(problem, "problem", None) or getattr(problem, "reason", None) or "?"
            raise text.DataError(
                "schema.not_yaml", file=self.name, line=mark.line + 1 if mark else 1, what=what
            ) from None
        self.values = self._plain(self._root) if self._root is not None else {}
        if not isinstance(self.values, dict):
            raise text.DataError("schema.not_mapping", file=self.name)

    def _refuse_tricks(self, content: str) -> None:
        """Refuse aliases and very deep nesting: both let a small file exhaust the machine, nobody needs them here."""
        depth = 0
        for token in yaml.scan(content, Loader=yaml.CSafeLoader):
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if isinstance(token, yaml.AliasToken) or depth > MAX_DEPTH:
                what = f"*{token.value}" if isinstance(token, yaml.AliasToken) else "..."
                raise text.DataError("schema.not_yaml", file=self.name, line=token.start_mark.line + 1, what=what)

    def _plain(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            plain: dict[str, Any] = {}
            for key, value in node.value:
                name = str(key.value)
                if name in plain:
                    raise text.DataError("schema.twice", file=self.name, line=key.start_mark.line + 1, key=name)
                plain[name] = self._plain(value)
            return plain
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item) for item in node.value]
        return None if not node.style and node.value in _NULLS else node.value

    def line(self, where: Path_) -> int:
        """Give the line of a key (of the nearest key above it, if it is not in the file)."""
        node, line = self._root, 1
        for step in where:
            found = _child(node, step)
            if found is not None:
                line, node = found
        return line

    def check(self, model: type[Model]) -> Model:
        """Validate the file by a model; raises DataError that names the first problem, and the others."""
        try:
            return model.model_validate(self.values)
        except ValidationError as problem:
            found = problem.errors(include_url=False)
            # a mistyped key causes a second complaint about the key that is then missing: the first one is the cause
            mistyped = {e["loc"][:-1] for e in found if e["type"] == "extra_forbidden"}
            causes = [e for e in found if e["type"] != "missing" or e["loc"][:-1] not in mistyped]
            errors = sorted(causes, key=lambda e: (e["type"] != "extra_forbidden", self.line(e["loc"])))
            text.raise_all([self._told(error, model) for error in errors])

    def problem(self, where: Path_, key: str, /, **values: Any) -> text.DataError:
        """Make the error of one key: the catalogue entry may use {file}, {line} and {at} (the key's path)."""
        return text.DataError(key, file=self.name, line=self.line(where), at=dotted(where), **values)

    def _told(self, error: dict[str, Any], model: type[BaseModel]) -> text.DataError:
        where = tuple(self._steps(error["loc"]))
        kind, context = error["type"], error.get("ctx") or {}
        if text.known(kind):  # a PydanticCustomError of ours
            return self.problem(where, kind, **context)
        if kind == "extra_forbidden":
            return self.unknown_key(where, _allowed(model, error["loc"]))
        if kind == "missing":
            return self.problem(where[:-1], "schema.missing_key", key=error["loc"][-1])
        if kind == "union_tag_invalid":
            options = [o.strip(" '") for o in context["expected_tags"].split(",")]
            return self.problem(
                (*where, "kind"), "schema.not_one_of", value=context["tag"], **_hint(context["tag"], options)
            )
        if kind == "union_tag_not_found":
            return self.problem(where, "schema.missing_key", key="kind")
        if kind == "literal_error":
            options = [o.strip(" '") for o in context["expected"].replace(" or ", ", ").split(",")]
            return self.problem(where, "schema.not_one_of", value=error["input"], **_hint(str(error["input"]), options))
        limits = " ".join(f"{_SIGNS[name]} {value:g}" for name, value in context.items() if name in _SIGNS)
        words = text.label(
            "schema.expected.range" if limits else _WORDS.get(kind.split("_")[0], "schema.expected.other")
        )
        return self.problem(where, "schema.bad_value", value=_short(error["input"]), expected=words, limits=limits)

    def unknown_key(self, where: Path_, allowed: Iterable[str]) -> text.DataError:
        """Make the error of a key that nothing reads, with the keys it may have meant."""
        return self.problem(where, "schema.unknown_key", key=where[-1], **_hint(str(where[-1]), allowed))

    def _steps(self, loc: Path_) -> Iterator[Any]:
        """The steps of an error's location that are in the file (pydantic adds tags of unions) and the last one."""
        node = self._root
        for i, step in enumerate(loc):
            found = _child(node, step)
            if found is not None:
                node = found[1]
                yield step
            elif i == len(loc) - 1:
                yield step


def near_misses(name: str, options: Iterable[str], n: int = 3) -> list[str]:
    """Give the options that a mistyped name may have meant, nearest first."""
    by_folded = {str(option).casefold(): str(option) for option in reversed(list(options))}  # the first spelling wins
    return [by_folded[k] for k in difflib.get_close_matches(str(name).casefold(), by_folded, n=n, cutoff=0.6)]


def hint(name: str, options: Iterable[str]) -> str:
    """Say "did you mean ..." with the near misses of a name, or list all options when none is near."""
    options = [str(option) for option in options]
    near = near_misses(name, options)
    return text.say("schema.near", options=near) if near else text.say("schema.options", options=options[:20])


def dotted(where: Path_) -> str:
    """Write a key's path: tables.customers.columns."""
    return ".".join(str(step) for step in where) or "—"


class _Hint:
    """A hint that is worded when it is shown, in the language of that moment."""

    def __init__(self, name: str, options: Iterable[str]):
        self.name, self.options = name, list(options)

    def __str__(self) -> str:
        return hint(self.name, self.options)


def _hint(name: str, options: Iterable[str]) -> dict[str, _Hint]:
    return {"hint": _Hint(name, options)}


def _child(node: yaml.Node | None, step: Any) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def _allowed(model: type[BaseModel], loc: Path_) -> list[str]:
    """The keys that the model at a location knows, found by walking the annotations."""
    found: list[type[BaseModel]] = [model]
    for step in loc[:-1]:
        deeper = []
        for one in found:
            if isinstance(step, str) and step in one.model_fields:
                deeper += _models(one.model_fields[step].annotation)
        # a step that is no field (the key of a dict, the tag of a union, an index) stays at the same models
        found = deeper or [m for m in found if not isinstance(step, str) or _tag(m) in (None, step)] or found
    tagged = [m for m in found if _tag(m) in loc]
    return sorted({field.alias or name for m in tagged or found for name, field in m.model_fields.items()})


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    options = getattr(field.annotation, "__args__", ()) if field else ()
    return options[0] if len(options) == 1 and isinstance(options[0], str) else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models(part)]


def _short(value: Any) -> str:
    shown = str(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."

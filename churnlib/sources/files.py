"""The files of a data set: found by name, pattern or folder, kept inside it, known by what they are."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from churnlib import text

SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".xlsx", ".xlsm", ".xls", ".xlsb", ".parquet", ".pq")
_NOT_TABLES = {  # first bytes -> what the file really is
    b"\x1f\x8b": "gzip",
    b"Rar!": "rar",
    b"7z\xbc\xaf": "7z",
    b"%PDF": "PDF",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"SQLite format 3": "SQLite",
}
_MARKED_UP = {
    "HTML/XML": re.compile(rb"(?i)<(!doctype|\?xml|/?[a-z][a-z0-9]*[\s/>])"),
    "JSON": re.compile(rb'(\[\s*)?\{\s*("|\})'),
}


def find_files(patterns: Sequence[str], folder: Path, allow_outside: bool = False) -> list[Path]:
    """Find the files of declared names, patterns (activity/*.csv) and folders, in the order of their names.

    Raises
    ------
    DataError
        If there is none, if one lies outside of the folder, or if two files are copies of each other.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        paths = _matching(folder, pattern)
        if not paths:
            there = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
            raise text.DataError("reading.no_file", file=pattern, files=there or ["—"])
        found |= dict.fromkeys(paths)
    for path in found:
        if not allow_outside and not path.resolve().is_relative_to(folder.resolve()):
            raise text.DataError("reading.outside", file=path.name, folder=folder.name)
    _refuse_copies([*found], folder)
    return [*found]


def _matching(folder: Path, pattern: str) -> list[Path]:
    plain = folder / pattern
    if plain.is_file():
        return [plain]
    if plain.is_dir():
        found = [p for p in plain.rglob("*") if p.suffix.lower() in SUFFIXES]
    else:
        anchor = Path(plain.anchor) if Path(pattern).is_absolute() else folder
        try:
            found = list(anchor.glob(str(plain.relative_to(anchor))))
        except ValueError:  # no pattern at all, such as **a
            found = []
    # ~$name.xlsx is what Excel leaves beside an open workbook
    return sorted(p for p in found if p.is_file() and not p.name.startswith((".", "~$")))


def _refuse_copies(paths: list[Path], folder: Path) -> None:
    """Refuse a file that was saved twice: its rows would count double."""
    sizes, seen = Counter(path.stat().st_size for path in paths), {}
    for path in paths:
        if (size := path.stat().st_size) and sizes[size] > 1:
            with path.open("rb") as stream:
                first = seen.setdefault(hashlib.file_digest(stream, "sha256").hexdigest(), path)
            if first is not path:
                names = {"first": shown_name(first, folder), "second": shown_name(path, folder)}
                raise text.DataError("reading.same_file_twice", **names)


def shown_name(path: Path, folder: Path) -> str:
    """Give the name of a file in messages: its path inside the data set's folder, never the machine's."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def kind_of(path: Path, shown: str) -> Literal["parquet", "workbook", "text"]:
    """Tell what a file is by its first bytes, whatever it is called.

    Raises
    ------
    DataError
        It is empty, or no table.
    """
    with path.open("rb") as stream:
        start = stream.read(4096)
    if len(start) < 4096 and not start.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise text.DataError("reading.empty_file", file=shown)
    kinds = [kind for magic, kind in _NOT_TABLES.items() if start.startswith(magic)]
    kinds += [kind for kind, form in _MARKED_UP.items() if form.match(start.lstrip(b"\xef\xbb\xbf \t\r\n"))]
    if kinds:
        raise text.DataError("reading.not_a_table", file=shown, kind=kinds[0])
    if start.startswith(b"PAR1"):
        return "parquet"
    return "workbook" if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")) else "text"

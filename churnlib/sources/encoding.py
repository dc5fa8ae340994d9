"""Which encoding a text file has, and its lines as UTF-8: strict, block by block, every undecodable line named.

The ladder is: byte order mark, strict UTF-8, strict GB18030 that reads like Chinese; a file that fits none is refused,
for a detector that guesses would turn names into other names without a word.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from churnlib import text

BLOCK = 8 << 20  # bytes read at a time: memory stays bounded however large the file
LONGEST_LINE = 64 << 20
SAMPLE, SAMPLED_LINES = 1 << 20, 5000

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark begins the same
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_NAMES = {"gbk": "gb18030", "gb2312": "gb18030", "ansi": "gb18030", "utf-8-sig": "utf-8", "utf-16": "utf-16-le"}
# escape sequences, or bytes of ASCII signs inside of other characters: their lines cannot be told apart by bytes
_STATEFUL = ("utf-7", "hz", "iso2022", "utf-32")
# E4-E9 begins a Chinese character in UTF-8, 80-BF continues it: two in a row are no accident
_CLASSES = bytes(0x4C if 0xE4 <= i <= 0xE9 else 0x43 if 0x80 <= i <= 0xBF else 0x78 for i in range(256))
_COMMON = re.compile("[\u3000-\u303f\uff00-\uffef\u2014\u2018-\u201d\u2026\u00b7]")


class Encoding(NamedTuple):
    """How a text file is encoded."""

    name: str  # of the codec, as Python calls it
    mark: int  # bytes of the byte order mark
    newline: bytes = b"\n"  # in the file's own bytes; a carriage return only in files of old Macs


class Block(NamedTuple):
    """Whole lines of a file."""

    data: bytes  # UTF-8, lines end with a line feed
    first_line: int  # its number in the file, from 1
    bad_lines: list[int]  # those that could not be decoded: in `data` they hold replacement characters


def find_encoding(path: Path, shown: str, declared: str | None = None) -> Encoding:
    """Find the encoding of a text file.

    Parameters
    ----------
    shown : str
        The file's name for messages.
    declared : str, optional
        Encoding from dataset.yml; a byte order mark is stronger.

    Raises
    ------
    DataError
        If the bytes are no text in any encoding that can be told.
    """
    with path.open("rb") as stream:
        start = stream.read(SAMPLE)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return Encoding(name, len(mark), _newline(start, name))
    name = _declared(declared, shown) if declared else _told(path, shown, start)
    return Encoding(name, 0, _newline(start, name))


def blocks(path: Path, encoding: Encoding) -> Iterator[Block]:
    """Give the file's lines in blocks of UTF-8, with the lines that could not be decoded."""
    name, line = encoding.name, 1
    for raw in _raw_blocks(path, encoding.newline, encoding.mark):
        if encoding.name in _WIDE:
            name, raw = "utf-8", _narrowed(raw, encoding.name)
        data, bad = _feeds(raw, is_mac=encoding.newline == "\r".encode(encoding.name)), []
        if not data.isascii():
            data, bad = _decoded(data, name)
        yield Block(data, line, [line + i for i in bad])
        line += data.count(b"\n")


def _declared(declared: str, shown: str) -> str:
    name = declared.strip().lower().replace("_", "-")
    try:
        name = codecs.lookup(_NAMES.get(name, name)).name
        "a".encode(name)
    except LookupError:  # an unknown name, or a codec that is no text encoding
        raise text.DataError("reading.unknown_encoding", file=shown, encoding=declared) from None
    name = _NAMES.get(name, name)
    if name not in _WIDE and name.startswith(_STATEFUL):
        raise text.DataError("reading.unknown_encoding", file=shown, encoding=declared)
    return name


def _newline(start: bytes, name: str) -> bytes:
    feed, ret = "\n".encode(name), "\r".encode(name)
    return ret if feed not in start and ret in start else feed


def _told(path: Path, shown: str, start: bytes) -> str:
    """UTF-8 if all (or most) lines are; else GB18030 if it reads like Chinese; else nothing."""
    if start.count(b"\0") > len(start) // 5:
        raise text.DataError("reading.looks_like_utf16", file=shown)
    good, bad, evidence = _utf8_lines(path)
    if not bad:
        _refuse_if_unsure(good, shown)
        return "utf-8"
    # two bytes can be a word in both encodings (元 in GBK is UTF-8 too): such lines prove nothing against the others
    proof = [line for line in good if not _is_by_accident([line])]
    if sum(map(len, proof)) > sum(map(len, bad)):
        return "utf-8"  # a few damaged lines in a file that is UTF-8 otherwise: they are set aside
    if _is_chinese(evidence.decode("gb18030", "replace")):
        return "gb18030"
    line = next(block.bad_lines[0] for block in blocks(path, Encoding("utf-8", 0)) if block.bad_lines)
    raise text.DataError("reading.encoding_unsure", file=shown, line=line)


def _utf8_lines(path: Path) -> tuple[list[bytes], list[bytes], bytes]:
    """Lines beyond ASCII that are UTF-8, and those that are not, up to the first block with such; the latter joined."""
    good: list[bytes] = []
    for data in _raw_blocks(path, b"\n"):
        if data.isascii():
            continue
        try:
            data.decode()
            if sum(map(len, good)) < SAMPLE:
                good += _beyond_ascii(data)
        except UnicodeDecodeError as problem:
            near = data.rfind(b"\n", 0, problem.start) + 1  # the evidence must hold the line that fails
            lines = _beyond_ascii(data) + (_beyond_ascii(data[near:]) if near >= SAMPLE else [])
            bad = [line for line in lines if not _is_utf8(line)]
            return good + [line for line in lines if _is_utf8(line)], bad, b"\n".join(bad)
    return good, [], b""


def _beyond_ascii(data: bytes) -> list[bytes]:
    return [line for line in data[:SAMPLE].split(b"\n")[:SAMPLED_LINES] if not line.isascii()]


def _refuse_if_unsure(lines: list[bytes], shown: str) -> None:
    """Refuse a file whose few characters are UTF-8 by accident: 女 in GBK is Ů in UTF-8."""
    if _is_by_accident(lines):
        char = min(_foreign(lines))
        raise text.DataError("reading.encoding_of_two", file=shown, utf8=char, gbk=char.encode().decode("gb18030"))


def _foreign(lines: list[bytes]) -> set[str]:
    """The characters, read as UTF-8, that Western European text does not have."""
    return set("".join(line.decode("utf-8", "ignore") for line in lines)) - {chr(i) for i in range(0x100)}


def _is_by_accident(lines: list[bytes]) -> bool:
    """Tell whether all characters that are UTF-8 are also everyday Chinese in GBK."""
    found = _foreign(lines)
    if not found or any(ord(char) > 0x7FF for char in found):
        return False
    return all(_is_common(char.encode().decode("gb18030", "replace")) for char in found)


def _is_chinese(sample: str) -> bool:
    """Tell whether most characters beyond ASCII are everyday Chinese; in other encodings read as GB18030 few are."""
    beyond = [char for char in sample if ord(char) > 0x7F]
    return sum(map(_is_common, beyond)) > 0.6 * len(beyond)


def _is_common(char: str) -> bool:
    if _COMMON.match(char):
        return True
    try:
        return 0xB0 <= char.encode("gb2312")[0] <= 0xD7  # level 1 of the national standard: 3,755 characters
    except UnicodeEncodeError:
        return False


def _is_utf8(line: bytes) -> bool:
    return _decodes(line, "utf-8")


def _raw_blocks(path: Path, newline: bytes, skip: int = 0) -> Iterator[bytes]:
    """Whole lines in the file's own bytes; the last one gets its newline."""
    with path.open("rb") as stream:
        stream.seek(skip)
        rest = b""
        while chunk := stream.read(BLOCK):
            data = rest + chunk
            end = data.rfind(newline)
            while end > 0 and end % len(newline):  # half of one character and half of the next
                end = data.rfind(newline, 0, end + len(newline) - 1)
            end = end + len(newline) if end >= 0 else 0
            if end:
                yield data[:end]
            rest = data[end:]
            if len(rest) > LONGEST_LINE:
                raise text.DataError("reading.line_too_long", file=path.name, size=LONGEST_LINE >> 20)
        if rest:
            yield rest + newline


def _narrowed(raw: bytes, name: str) -> bytes:
    """Lines of UTF-16 or UTF-32 as UTF-8; halves of characters become bytes that are none."""
    lines = raw.decode(name, "churnlib.damaged").encode("utf-8", "surrogatepass")
    return lines if lines.endswith((b"\n", b"\r")) else lines + b"\n"


codecs.register_error("churnlib.damaged", lambda problem: ("\ud800", problem.end))


def _feeds(raw: bytes, is_mac: bool) -> bytes:
    """End every line with a line feed; a carriage return elsewhere is a blank."""
    if b"\r" not in raw:
        return raw
    return raw.replace(b"\r", b"\n") if is_mac else raw.replace(b"\r\n", b"\n").replace(b"\r", b" ")


def _decoded(raw: bytes, name: str) -> tuple[bytes, list[int]]:
    """Turn lines into UTF-8; lines that are not in this encoding are named."""
    bad: list[int] = []
    try:
        whole = raw.decode(name)
        data = raw if name == "utf-8" else whole.encode()
        if name == "gb18030" and b"LCCLCC" in raw.translate(_CLASSES):
            bad = [i for i, line in enumerate(raw.split(b"\n")) if _is_utf8_chinese(line)]
    except UnicodeDecodeError:
        lines = raw.split(b"\n")
        is_mixed = name == "gb18030"
        bad = [i for i, line in enumerate(lines) if not _decodes(line, name) or is_mixed and _is_utf8_chinese(line)]
        data = b"\n".join(line.decode(name, "replace").encode() for line in lines)
    return data.replace(codecs.BOM_UTF8, b""), bad  # a mark in the middle: files that were joined


def _decodes(line: bytes, name: str) -> bool:
    try:
        line.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8_chinese(line: bytes) -> bool:
    return b"LCCLCC" in line.translate(_CLASSES) and _is_utf8(line)

"""Replacing literals in a file's bytes, and what a plan of such edits looks like (spec/calibration.md, section 6).

An edit names the exact bytes that it replaces, so that it can be applied to nothing but the file it was planned
for; everything outside of the edits stays byte for byte as it was.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from gates.documents import Json

_SHA = re.compile(r"[0-9a-f]{64}\Z")
_OLD = re.compile(r"[-+ \t()]*[0-9.][0-9a-zA-Z_.]*(?:(?<=[eE])[-+]?[0-9_]+)?[ \t)]*\Z")
_NEW = re.compile(r"[-+]?[0-9.][0-9_.]*(?:[eE][-+]?[0-9_]+)?\Z")  # one token with its sign: it reads alike anywhere
_LARGEST = 10**300


class EditError(ValueError):
    """Edits that cannot be applied, or are none; the message is one line."""


@dataclass(frozen=True)
class Edit:
    """One replacement: `old`, the bytes at start..end of the file, becomes `new`.

    Attributes:
        about: What the edit is for, carried along for the report: stage, source, metric, direction, …
    """

    start: int
    end: int
    old: bytes
    new: bytes
    about: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}), hash=False)


@dataclass(frozen=True)
class FileEdits:
    """All edits of one file, and the file that they were planned for (SAFETY F1).

    Attributes:
        path: Relative to the repository, with "/".
        sha256: Of the whole file as planned.
        mode: Its permission bits.
        inode: Its inode, None when it was not known.
    """

    path: str
    sha256: str
    mode: int
    inode: int | None
    edits: tuple[Edit, ...]


def apply_edits(data: bytes, edits: Sequence[Edit]) -> bytes:
    """`data` with the edits made and nothing else changed.

    Raises:
        EditError: An edit lies outside, two overlap, or other bytes stand where one is to be made.
    """
    parts: list[bytes] = []
    at = 0
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        if not 0 <= edit.start < edit.end <= len(data):
            raise EditError(f"an edit of bytes {edit.start} to {edit.end} lies outside of {len(data)} bytes")
        if edit.start < at:
            raise EditError(f"two edits overlap at byte {edit.start}")
        if data[edit.start : edit.end] != edit.old:
            found = data[edit.start : edit.end]
            raise EditError(
                f"byte {edit.start}: {_shown(edit.old)} was planned to be replaced, {_shown(found)} is there"
            )
        parts += (data[at : edit.start], edit.new)
        at = edit.end
    return b"".join((*parts, data[at:]))


def spans_after(edits: Sequence[Edit]) -> tuple[tuple[int, int], ...]:
    """Where each edit's new bytes stand in the result of `apply_edits`, in the order of `edits`."""
    places: dict[int, tuple[int, int]] = {}
    moved = 0
    for number in sorted(range(len(edits)), key=lambda one: edits[one].start):
        edit = edits[number]
        start = edit.start + moved
        places[number] = (start, start + len(edit.new))
        moved += len(edit.new) - len(edit.old)
    return tuple(places[number] for number in range(len(edits)))


def blanked(data: bytes, spans: Sequence[tuple[int, int]]) -> bytes:
    """`data` with one 0 for each span: what stays the same when only those literals change.

    The staleness of a manifest is judged by the hash of this (spec/calibration.md, section 2).

    Raises:
        EditError: A span lies outside, or two overlap.
    """
    return apply_edits(data, [Edit(start, end, data[start:end], b"0") for start, end in set(spans)])


def number_text(new: int | float, like: str) -> str:
    """A literal for `new` in the style of the literal `like` that it replaces.

    A whole number stays one where `new` is whole; otherwise it is the shortest text that reads back as exactly
    `new`. A value that is already there keeps its text.

    Raises:
        EditError: `new` is not finite, or `like` is no number.
    """
    if isinstance(new, bool) or not _is_finite(new):
        raise EditError(f"{new!r} is not a finite number")
    old = number_in(like)
    if old == new:
        return like
    if isinstance(old, int):
        # Beyond 2^53 a float is not counting any more
        counts = isinstance(new, int) or (new == int(new) and abs(new) <= 2**53)
        return str(int(new)) if counts else repr(new)
    return repr(float(new)) if float(new) == new else str(new)


def number_in(text: str) -> int | float:
    """The value of a Python numeric literal, its signs and parentheses included.

    Raises:
        EditError: It is none, or not finite.
    """
    value = _evaluated(text) if _OLD.match(text) else None
    if value is None or not _is_finite(value):
        raise EditError(f"{text[:80]!r} is not a number")
    return value


def files_json(files: Sequence[FileEdits]) -> list[Json]:
    """The `files` of the apply verb's payload."""
    return [
        {
            "path": one.path,
            "sha256": one.sha256,
            "mode": one.mode,
            "inode": one.inode,
            "edits": [
                {
                    **edit.about,
                    "start": edit.start,
                    "end": edit.end,
                    "old": edit.old.decode("ascii"),
                    "new": edit.new.decode("ascii"),
                }
                for edit in one.edits
            ],
        }
        for one in files
    ]


def parse_files(document: Json) -> tuple[FileEdits, ...]:
    """Read the `files` of a payload, edits that change nothing left out.

    Raises:
        EditError: The document has another shape, names a file twice, or plans what is no number.
    """
    if not isinstance(document, list):
        raise EditError("files: not a list")
    files = tuple(_file(one, number) for number, one in enumerate(document))
    if len({one.path for one in files}) != len(files):
        raise EditError("files: one is named twice")
    return tuple(one for one in files if one.edits)


def digest(files: Sequence[FileEdits]) -> str:
    """Names exactly this change: every file as planned, every byte to be replaced and every byte to be written.

    What is shown to a person and what is applied are the same when their digests are (SAFETY F1).
    """
    body = [
        [
            one.path,
            one.sha256,
            one.mode,
            sorted([edit.start, edit.end, edit.old.hex(), edit.new.hex()] for edit in one.edits),
        ]
        for one in sorted(files, key=lambda one: one.path)
    ]
    return hashlib.sha256(json.dumps(body, separators=(",", ":")).encode()).hexdigest()


def is_inside(path: str) -> bool:
    """Whether `path` is a plain relative one, with "/", that names a file below where it starts and not git's own."""
    parts = path.split("/")
    return bool(path) and "\0" not in path and not any(part in ("", ".", "..", ".git") for part in parts)


def _is_finite(value: int | float) -> bool:
    """Whether it is a number that every step of the way can carry: JSON, a text, another Python."""
    return -_LARGEST < value < _LARGEST if isinstance(value, int) else math.isfinite(value)


def _evaluated(text: str) -> int | float | None:
    try:
        node: ast.expr = ast.parse(text.strip(), mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    negative = False
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        negative ^= isinstance(node.op, ast.USub)
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return -value if negative else value


def _file(document: Json, number: int) -> FileEdits:
    where = f"files[{number}]"
    if not isinstance(document, dict):
        raise EditError(f"{where}: not an object")
    path, sha256, edits = document.get("path"), document.get("sha256"), document.get("edits")
    if not isinstance(path, str) or not is_inside(path):
        raise EditError(f"{where}.path: not a path inside the repository")
    if not isinstance(sha256, str) or not _SHA.match(sha256):
        raise EditError(f"{where}.sha256: not 64 hexadecimal digits")
    if not isinstance(edits, list):
        raise EditError(f"{where}.edits: not a list")
    mode, inode = _whole(document.get("mode"), f"{where}.mode"), document.get("inode")
    known = None if inode is None else _whole(inode, f"{where}.inode")
    parsed = (_edit(one, f"{where}.edits[{at}]") for at, one in enumerate(edits))
    return FileEdits(path, sha256, mode, known, tuple(one for one in parsed if one.old != one.new))


def _edit(document: Json, where: str) -> Edit:
    if not isinstance(document, dict):
        raise EditError(f"{where}: not an object")
    old, new = document.get("old"), document.get("new")
    start, end = _whole(document.get("start"), f"{where}.start"), _whole(document.get("end"), f"{where}.end")
    if not isinstance(old, str) or not isinstance(new, str) or not (old.isascii() and new.isascii()):
        raise EditError(f"{where}: old and new are texts of numbers")
    try:
        number_in(old)
        number_in(new)
    except EditError as error:
        raise EditError(f"{where}: {error}") from None
    if not _NEW.match(new):
        raise EditError(f"{where}.new: {new[:80]!r} is not a plain number")
    about = {key: value for key, value in document.items() if key not in ("start", "end", "old", "new")}
    return Edit(start, end, old.encode(), new.encode(), MappingProxyType(about))


def _whole(value: Json, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise EditError(f"{where}: not a whole number")
    return value


def _shown(data: bytes) -> str:
    return repr(data[:40].decode("ascii", "replace"))

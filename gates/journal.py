"""The journal's format: one JSON object a line, append-only, unknown kinds kept.

`{"v":1,"id":ulid,"seq":n,"writer":ProcRef,"at":utc,"kind":…,"data":{}}`. It says what happened and when; it
never decides a result (DESIGN, rule 1). Reading is forgiving, because a machine can lose power in the middle
of a line: a torn last line is a fact and not an error; a broken line before it, or an end that no event begins
with, is a finding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

VERSION = 1


@dataclass(frozen=True)
class Event:
    """One line of a journal.

    Attributes:
        id: A ULID.
        seq: Counts up by one within one writer's holding of the lock, and goes on from the last line's.
        writer: The ProcRef of the writer, as JSON data.
        at: UTC, ISO 8601 with "Z".
        kind: Such as "attempt.started".
        data: What the kind says.
    """

    id: str
    seq: int
    writer: Mapping[str, object]
    at: str
    kind: str
    data: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Journal:
    """A journal as far as it could be read.

    Attributes:
        events: The readable lines, in the order of the file.
        findings: One sentence per line that could not be read, with its number.
        torn: True when the file does not end with a newline.
    """

    events: tuple[Event, ...]
    findings: tuple[str, ...] = ()
    torn: bool = False

    @property
    def last_seq(self) -> int:
        """The highest sequence number seen, 0 for an empty journal."""
        return max((event.seq for event in self.events), default=0)

    def last(self, *kinds: str) -> Event | None:
        """The newest event of one of these kinds."""
        places = [place for kind in kinds if (place := self._newest.get(kind)) is not None]
        return self.events[max(places)] if places else None

    @cached_property
    def _newest(self) -> Mapping[str, int]:
        """Where the newest event of each kind stands: a long journal is asked for several at every look."""
        return {event.kind: place for place, event in enumerate(self.events)}


def encode_event(event: Event) -> bytes:
    """One line with its newline.

    Raises:
        ValueError: The data holds NaN or an infinity.
    """
    body = {
        "v": VERSION,
        "id": event.id,
        "seq": event.seq,
        "writer": dict(event.writer),
        "at": event.at,
        "kind": event.kind,
        "data": dict(event.data),
    }
    line = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return line.encode("utf-8", "surrogatepass") + b"\n"


def decode_journal(data: bytes, before: bytes = b"", known: Journal | None = None) -> Journal:
    """Read a journal's bytes; never raises, whatever they are.

    Args:
        data: The whole file.
        before, known: What the file held earlier and the journal that this gave: where `data` goes on from there,
            only what was added is read.
    """
    if known is None or not before.endswith(b"\n") or not data.startswith(before):
        return _decode(data, 0)
    added = data[len(before) :]
    more = _decode(added, 0)
    if more.findings:  # which name their lines
        more = _decode(added, before.count(b"\n"))
    return Journal((*known.events, *more.events), (*known.findings, *more.findings), more.torn)


def _decode(data: bytes, lines_before: int) -> Journal:
    lines = data.split(b"\n")
    tail = lines.pop()
    events: list[Event] = []
    findings: list[str] = []
    for number, line in enumerate(lines, lines_before + 1):
        if not line.strip():
            continue
        event = _decode_line(line)
        if isinstance(event, str):
            findings.append(f"events.jsonl:{number}: {event}")
        else:
            events.append(event)
    if tail.strip():
        event = _decode_line(tail)
        if isinstance(event, Event):
            events.append(event)
        elif not _is_begun(tail):
            findings.append(f"events.jsonl:{lines_before + len(lines) + 1}: {event}")
    return Journal(tuple(events), tuple(findings), torn=bool(tail.strip()))


def _is_begun(tail: bytes) -> bool:
    """Whether it may be the beginning of an event, as a crash in the middle of its writing leaves it."""
    return tail.startswith(b"{") and b"\0" not in tail


def _decode_line(line: bytes) -> Event | str:
    try:
        body = _DECODER.decode(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        return f"not a JSON object ({type(error).__name__})"
    if not isinstance(body, dict):
        return "not a JSON object"
    writer, data = body.get("writer"), body.get("data")
    ident, seq, at, kind = body.get("id"), body.get("seq"), body.get("at"), body.get("kind")
    if not (isinstance(ident, str) and isinstance(at, str) and isinstance(kind, str)):
        return "id, at or kind is missing"
    if not isinstance(seq, int) or isinstance(seq, bool):
        return "seq is not a whole number"
    known_writer = writer if isinstance(writer, dict) else {}
    return Event(ident, seq, known_writer, at, kind, data if isinstance(data, dict) else {})


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


# Made once: a decoder costs as much as a line.
_DECODER = json.JSONDecoder(parse_constant=_no_constant)

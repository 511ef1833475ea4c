"""What a host can be asked to do: the shape of a verb, and those that only look."""

from __future__ import annotations

import glob
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hosts.errors import InputError
from hosts.host import Cursor, Json, Wants
from hosts.local.accelerators import read_accelerators
from hosts.local.observe import Observer, read_range
from hosts.local.wire import from_wire, to_wire

_MAX_FOUND = 10_000


@dataclass(frozen=True)
class Verb:
    """One thing that a host can be asked.

    Attributes:
        run: Takes the payload and gives the answer. It raises InputError, RefusedError or NotYetError for what a
            person is to be told; anything else counts as a fault of ours.
        acts: It writes, starts or signals. Then it needs an idempotency key, runs at most once per key, and is
            refused in a read-only session. A payload names the run directory it acts on, if any, as "run_dir".
        needs_run: The run directory has to exist; without this it is made, mode 0700, to keep the key in.
    """

    run: Callable[[Json], Json]
    acts: bool = False
    needs_run: bool = False


def in_session(verbs: Mapping[str, Verb]) -> dict[str, Verb]:
    """`verbs` with an `observe` that remembers its cursors for as long as the result is kept.

    Without this an observation is always full: the verbs themselves have no memory.
    """
    observer = Observer()
    return {**verbs, "observe": Verb(lambda payload: _observe(observer, payload))}


def text_of(payload: Json, key: str) -> str:
    """The string `key` of a payload.

    Raises:
        InputError: There is none.
    """
    value = payload.get(key) if isinstance(payload, dict) else None
    if not isinstance(value, str) or "\0" in value:
        raise InputError(f"the payload needs {key!r}, a string without NUL")
    return value


def number_of(payload: Json, key: str, default: float | None = None) -> float:
    """The number `key` of a payload; `default` where it is absent.

    Raises:
        InputError: It is no number, or absent without a default.
    """
    value = payload.get(key, default) if isinstance(payload, dict) else default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"the payload needs {key!r}, a number")
    return value


def locate(path: str) -> list[str]:
    """Absolute paths of what `path` means on this host: itself if it is there, else what it matches as a glob.

    "~" and "~user" are expanded; symbolic links stay as they are.

    Raises:
        InputError: It matches more than 10,000 paths.
    """
    expanded = os.path.expanduser(path)
    if os.path.lexists(expanded):
        return [os.path.abspath(expanded)]
    found: list[str] = []
    for match in glob.iglob(expanded):
        if len(found) == _MAX_FOUND:
            raise InputError(f"{path} matches more than {_MAX_FOUND} paths")
        found.append(os.path.abspath(match))
    return sorted(found)


def _observe(observer: Observer, payload: Json) -> Json:
    if not isinstance(payload, dict):
        raise InputError("observe needs an object as its payload")
    since = payload.get("since")
    cursor = Cursor(since) if isinstance(since, str) else None
    want = from_wire(Wants, payload.get("want"), "want")
    return to_wire(observer.observe(want, cursor, text_of(payload, "host"), number_of(payload, "deadline", 20.0)))


def _observe_once(payload: Json) -> Json:
    return _observe(Observer(), payload)


def _read(payload: Json) -> Json:
    offset, size = number_of(payload, "offset", 0), number_of(payload, "size", 0)
    if not isinstance(offset, int) or not isinstance(size, int):
        raise InputError("offset and size are whole numbers")
    return to_wire(read_range(text_of(payload, "path"), offset, size))


def _locate(payload: Json) -> Json:
    return list(locate(text_of(payload, "path")))


def _gpu(payload: Json) -> Json:
    return to_wire(read_accelerators(number_of(payload, "timeout", 10.0)))


def _ping(_payload: Json) -> Json:
    return {"at": time.time(), "pid": os.getpid(), "python": ".".join(map(str, sys.version_info[:3]))}


READ_VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "observe": Verb(_observe_once),
        "read": Verb(_read),
        "locate": Verb(_locate),
        "gpu": Verb(_gpu),
        "ping": Verb(_ping),
    }
)

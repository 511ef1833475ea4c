"""All that a host can be asked: the verbs that look, and those that start and stop runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType

from gates.systems import SYSTEMS
from hosts.errors import InputError, RefusedError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import new_ulid, utc_now, write_new
from hosts.local.inmemory import image_bytes
from hosts.local.locks import read_holder
from hosts.local.procs import is_alive, proc_ref_json, self_ref
from hosts.local.verbs import READ_VERBS, Verb, text_of
from jobs.runner.places import RunPlaces


def verbs_with(image: Callable[[], bytes]) -> Mapping[str, Verb]:
    """The table of verbs; `image` gives the runner's own zip, which start copies into the run directory."""
    systems: dict[str, Verb] = {}
    for system in SYSTEMS:
        systems.update(importlib.import_module(f"jobs.runner.{system}.verbs").VERBS)
    return MappingProxyType(
        {
            **READ_VERBS,
            **systems,
            "check": Verb(_check),
            "start": Verb(lambda payload: _start(payload, image()), acts=True),
            "stop": Verb(_stop, acts=True, needs_run=True),
        }
    )


def _own_image() -> bytes:
    data = image_bytes()
    if data is None:
        raise InputError("this process was not started from a runner image, so it has none to copy")
    return data


def _starter(payload: Json) -> ModuleType:
    """The module of the payload's system that checks and starts its runs."""
    system = text_of(payload, "system")
    if system not in SYSTEMS:
        raise InputError(f"unknown system {system!r}; known are {', '.join(SYSTEMS)}")
    return importlib.import_module(f"jobs.runner.{system}.start")


def _check(payload: Json) -> Json:
    """Everything that start would refuse, without changing anything."""
    answer: Json = _starter(payload).check(payload)
    return answer


def _start(payload: Json, image: bytes) -> Json:
    answer: Json = _starter(payload).start(payload, image)
    return answer


def _stop(payload: Json) -> Json:
    """Leave a request to end in the inbox of a run; its runner ends what it started and resume continues.

    Returns:
        `{holder}`: whom the request is for.

    Raises:
        RefusedError: No runner lives on this directory, or it cannot be judged from here.
    """
    places = RunPlaces(Path(text_of(payload, "run_dir")).expanduser())
    holder = read_holder(places.lock)
    alive = None if holder is None else is_alive(holder.ref)
    if holder is None or alive is False:
        raise RefusedError(f"no runner is at work in {places.root}")
    if alive is None:
        raise RefusedError(f"{holder} cannot be judged from here; stop it on its own host")
    request: Json = {"kind": "stop", "nonce": holder.nonce, "at": utc_now(), "by": proc_ref_json(self_ref())}
    places.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_new(places.inbox / f"{new_ulid()}.json", strictjson.dumps(request))
    return {"holder": proc_ref_json(holder.ref)}


VERBS: Mapping[str, Verb] = verbs_with(_own_image)

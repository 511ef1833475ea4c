"""Starting and stopping a calibration on its host, at most once each, whatever happens to the link."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hosts.errors import GatewatchError, InputError, RefusedError, UnreachableError, VerbError
from hosts.host import HostActor, HostReader, Json
from hosts.local.files import new_ulid
from hosts.local.observe import NotThereError
from hosts.standing import KeyChangedError, LoginRefusedError
from jobs.calibration.request import DEADLINE_S, Request
from monitors.calibration import LOCK

START_DEADLINE_S = 150.0
_TRIES = 6
_PAUSE_S = 2.0
_WITHIN_S = 20.0
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Checked:
    """What the host says of a request before anything is changed."""

    git_sha: str
    dirty: bool


@dataclass(frozen=True)
class Started:
    """A runner at work; `holder` is its process on the host, None when it has ended already."""

    run_dir: str
    git_sha: str
    holder: Json


async def check(reader: HostReader, request: Request) -> Checked:
    """Ask the host whether it would start this.

    Raises:
        InputError: Something is not right; RefusedError: a gate says no; UnreachableError: no answer.
    """
    answer = _object(await told(reader.query("check", request.payload, DEADLINE_S)))
    return Checked(
        git_sha=str(answer.get("git_sha")),
        dirty=answer.get("dirty") is True,
    )


async def start(
    actor: HostActor,
    request: Request,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    precheck: Json = None,
) -> Started:
    """Start the runner. A lost answer is asked for again under the same key, so that nothing starts twice.

    Args:
        precheck: What the precheck of the selected stages said, kept as precheck.json.

    Raises:
        InputError, RefusedError: The host refused; nothing was started.
        UnreachableError: The host stayed away; whether it started is then to be read from the run directory.
    """
    payload: Json = {**_object(request.payload), "precheck": precheck}
    answer = _object(await called(actor, "start", payload, START_DEADLINE_S, sleep))
    return Started(str(answer.get("run_dir")), str(answer.get("git_sha")), answer.get("holder"))


async def stop(actor: HostActor, run_dir: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Ask the runner of `run_dir` to end what it started and leave the rest to --resume.

    Raises:
        RefusedError: Nobody is at work there.
        UnreachableError: The host stayed away; whether it was asked is not known.
    """
    try:
        # Looked at first: the call leaves its key in the run directory, which may be one that others made.
        await patiently(lambda: actor.read(f"{run_dir}/{LOCK}", 0, 1), sleep)
    except NotThereError:
        raise RefusedError(f"no runner is at work in {run_dir}") from None
    await called(actor, "stop", {"run_dir": run_dir}, DEADLINE_S, sleep)


async def called(
    actor: HostActor,
    verb: str,
    payload: Json,
    deadline: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Json:
    """Run a verb that acts, at most once; a lost answer is asked for again under the same key.

    Raises:
        InputError, RefusedError: The host refused; nothing was changed.
        UnreachableError: The host stayed away.
    """
    key = new_ulid()
    return await patiently(lambda: told(actor.call(verb, payload, key, deadline)), sleep, math.inf)


async def patiently(
    ask: Callable[[], Awaitable[_Answer]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    within: float = _WITHIN_S,
) -> _Answer:
    """The answer to what can be asked more than once, also where the link is away for a moment.

    Args:
        within: Seconds after which it is not asked again; a host that says nothing at all makes each try long.

    Raises:
        UnreachableError: The host stayed away.
    """
    began = time.monotonic()
    for left in reversed(range(_TRIES)):
        try:
            return await ask()
        except (KeyChangedError, LoginRefusedError):
            raise  # a person has to mend that
        except UnreachableError:
            if not left or time.monotonic() - began >= within:
                raise
        except VerbError as error:
            # Our first call is still at work over there, on the far side of a link that broke.
            if error.kind != "not-yet" or not left:
                raise
        await sleep(_PAUSE_S)
    raise AssertionError("the last try returns or raises")


async def told(answer: Awaitable[Json]) -> Json:
    """The answer; what the host refused becomes the error that it would have been here."""
    try:
        return await answer
    except VerbError as error:
        kinds: dict[str, type[GatewatchError]] = {"input": InputError, "refused": RefusedError}
        if error.kind in kinds:
            raise kinds[error.kind](str(error)) from None
        raise


def _object(answer: Json) -> dict[str, Json]:
    if not isinstance(answer, dict):
        raise UnreachableError("the host gave an answer that is not an object")
    return answer

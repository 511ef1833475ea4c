"""Disowning one observation of a run on its host (spec/calibration.md, section 5)."""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass

from gates.calibration.layout import PLAN
from hosts.errors import InputError
from hosts.host import HostActor, Json
from hosts.local.observe import NotThereError
from jobs.calibration.control import called

_DEADLINE_S = 60.0


@dataclass(frozen=True)
class Discarded:
    """What came of a discard: the cell's path, and whether the journal has it or the live runner still has to."""

    cell: str
    journalled: bool


async def discard(actor: HostActor, run_dir: str, stage: str, run: int, reason: str) -> Discarded:
    """Disown one stage's run; its repeat is run again.

    Raises:
        InputError: No such stage, run or artifact, or no reason.
        RefusedError: It is discarded already, or the holder of the run's lock cannot be judged.
        UnreachableError: The host stayed away.
    """
    try:
        # Looked at first: the call leaves its key in the run directory, which must be one.
        await actor.read(f"{run_dir}/{PLAN}", 0, 1)
    except NotThereError:
        raise InputError(f"{run_dir} holds no {PLAN}, so it is not a run directory") from None
    payload: Json = {"run_dir": run_dir, "stage": stage, "run": run, "reason": reason, "by": who()}
    answer = await called(actor, "calibration.discard", payload, _DEADLINE_S)
    body = answer if isinstance(answer, dict) else {}
    return Discarded(str(body.get("cell")), body.get("journalled") is True)


def who() -> str:
    """The person at this terminal, as `user@machine`."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"

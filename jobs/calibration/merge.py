"""Making one run of several on the host where they lie (spec/calibration.md, section 5, merge)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hosts.errors import InputError
from hosts.host import HostActor, Json
from jobs.calibration.checkout import load_manifest_document
from jobs.calibration.control import called
from jobs.calibration.locate import Watched

_DEADLINE_S = 600.0


async def merge(actor: HostActor, out: str, runs: Sequence[Watched], model: str | None) -> str:
    """Make `out` of `runs`, which stay as they are.

    Args:
        out: Absolute path on the runs' host, not there yet.
        model: The model, for runs that have not frozen their stages.

    Returns:
        The new run directory.

    Raises:
        InputError: A directory is wrong; RefusedError: the runs cannot become one.
        UnreachableError: The host stayed away.
    """
    manifest: Json = None
    checkout = runs[0].checkout
    if checkout is not None and model is not None and checkout.manifest_path(model).is_file():
        manifest = (await asyncio.to_thread(load_manifest_document, checkout, model))[1]
    payload: Json = {"out": out, "runs": [watched.run_dir for watched in runs], "manifest": manifest}
    answer = await called(actor, "calibration.merge", payload, _DEADLINE_S)
    if not isinstance(answer, dict) or not isinstance(answer.get("run_dir"), str):
        raise InputError("the host did not say where the merged run is")
    return str(answer["run_dir"])

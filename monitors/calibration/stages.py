"""What a calibration's processes are known by: the tokens of its attempts, and the folders of its pytests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from gates.calibration.layout import PYTEST
from monitors.calibration.body import Calibration

_BASETEMP = re.compile(rf"{PYTEST}/([^/]+)/basetemp_run([1-9][0-9]{{0,8}})(?:/.*)?", re.DOTALL)


def stages_by_token(body: Calibration) -> Mapping[str, str]:
    """What runs, such as `test_a run 2`, by the token that each attempt's processes carry."""
    found = {}
    for event in body.journal.events:
        token = event.data.get("token")
        if event.kind.startswith("attempt.") and isinstance(token, str):
            found[token] = f"{event.data.get('unit')} run {event.data.get('run')}"
    return MappingProxyType(found)


def stage_at(relative: str) -> str | None:
    """What runs in this folder of the run directory, or None where no pytest of a calibration does."""
    found = _BASETEMP.fullmatch(relative)
    return None if found is None else f"{found[1]} run {found[2]}"

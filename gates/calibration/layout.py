"""Where things lie in a run directory (spec/calibration.md, section 3)."""

from __future__ import annotations

import re
from functools import lru_cache

PLAN = "plan.json"
MANIFEST = "stages.yaml"
FINGERPRINT = "environment-fingerprint.json"
PRECHECK = "precheck.json"
JOURNAL = "events.jsonl"
RUN_LOG = "run.log"
REPORT = "report.md"
PYTEST = "_pytest"
DISCARDED = "_discarded"

DOCUMENTS = (PLAN, MANIFEST, FINGERPRINT, PRECHECK)
"""Files with one document each that a reader of a run directory needs, besides the cells."""

GLOBS = (*DOCUMENTS, JOURNAL, "*/run*.json")
"""All that a reader of a run directory needs; what `parse_cell_path` does not know in it is not a cell."""

_OURS = frozenset({PYTEST, DISCARDED, "inbox", "answers"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CELL = re.compile(r"([^/]+)/run([1-9][0-9]{0,8})\.json")


def name_problem(name: str) -> str | None:
    """Why a stage or metric name cannot be one part of a path here, or None when it can.

    Names come from files that others wrote, and they become folders: nothing may climb out of the run
    directory or land on a folder of our own.
    """
    if not name:
        return "empty"
    if name.startswith("."):
        return "starts with '.'"
    if "/" in name:
        return "contains '/'"
    if _CONTROL.search(name):
        return "contains a control character"
    if _SURROGATE.search(name):
        return "is not valid text"
    if len(name.encode()) > 200:
        return "is longer than 200 bytes"
    return None


def stage_problem(name: str) -> str | None:
    """As name_problem; a stage may not be called like a folder of our own either."""
    return name_problem(name) or ("is the name of a folder of the run directory" if name in _OURS else None)


def cell_path(stage: str, run: int) -> str:
    """Path of one cell's artifact, such as "mmmu_speed/run3.json"."""
    return f"{stage}/run{run}.json"


@lru_cache(4096)  # hundreds of hosts may have the same stages, and each of their runs keeps what this gives
def parse_cell_path(path: str) -> tuple[str, int] | None:
    """Stage and run of an artifact's path, None for every other path."""
    found = _CELL.fullmatch(path)
    if found is None or stage_problem(found[1]) is not None:
        return None
    return found[1], int(found[2])


def log_path(unit: str, run: int) -> str:
    """Path of pytest's and the server's output of a unit's repeat."""
    return f"{PYTEST}/{unit}/run{run}.log"

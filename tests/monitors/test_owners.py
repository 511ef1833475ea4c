from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gates.journal import Event, Journal
from hosts.host import Accelerators, GpuDevice, GpuProcess
from hosts.local.gpu_owners import MARK_NAMES
from monitors.calibration import RUN_MARK, Calibration
from monitors.calibration.stages import stage_at, stages_by_token
from monitors.owners import ATTEMPT, RUN, KnownRun, Whose, belongs, owners

FIRST = KnownRun("run-1", "/runs/one", "r1", {"t1": "mmsu run 2"}, stage_at)
SECOND = KnownRun("run-2", "/runs/one-more/", "r2", {}, stage_at)
OTHERS = KnownRun("run-3", "/runs/theirs", None, {}, stage_at)
RUNS = (FIRST, SECOND, OTHERS)


def process(*marks: str, basetemp: str | None = None, pid: int = 7) -> GpuProcess:
    return GpuProcess(pid, 5, marks=marks, basetemp=basetemp)


@pytest.mark.parametrize(
    ("seen", "whose"),
    [
        (process("GATEWATCH_RUN=r1", "GATEWATCH_ATTEMPT=t1"), Whose("run-1", "mmsu run 2")),
        (process("GATEWATCH_RUN=r1", "GATEWATCH_ATTEMPT=t9"), Whose("run-1", None)),
        (process("GATEWATCH_RUN=r2", basetemp="/runs/one-more/_pytest/a/basetemp_run3"), Whose("run-2", "a run 3")),
        (process("GATEWATCH_RUN=r2", basetemp="/runs/one/_pytest/a/basetemp_run3"), Whose("run-2", None)),
        (process("GATEWATCH_RUN=r9"), None),
        (process("GATEWATCH_RUN=r9", basetemp="/runs/one/_pytest/a/basetemp_run1"), None),
        (process("GATEWATCH_RUN=r9", basetemp="/runs/theirs/_pytest/a/basetemp_run1"), Whose("run-3", "a run 1")),
        (process(basetemp="/runs/theirs/_pytest/a/basetemp_run1/inner"), Whose("run-3", "a run 1")),
        (process(basetemp="/runs/one/elsewhere"), Whose("run-1", None)),
        (process(basetemp="/runs/oneself/_pytest/a/basetemp_run1"), None),
        (process(basetemp="relative/_pytest/a/basetemp_run1"), None),
        (process(), None),
        (GpuProcess(7, 5), None),
    ],
)
def test_whose_a_process_is(seen: GpuProcess, whose: Whose | None) -> None:
    assert belongs(seen, RUNS) == whose


def test_all_processes_of_a_host() -> None:
    mine, theirs = process("GATEWATCH_RUN=r1"), process(pid=8)
    devices = tuple(
        GpuDevice(index, None, None, None, None, None, processes=held)
        for index, held in enumerate([(mine, theirs), None, (mine,)])
    )
    assert dict(owners(Accelerators(devices, "nvml"), RUNS)) == {7: Whose("run-1", None)}
    assert dict(owners(None, RUNS)) == {}


def event(kind: str, **data: Any) -> Event:
    writer: Mapping[str, object] = {}
    return Event("01J", 1, writer, "2026-01-01T00:00:00Z", kind, data)


def test_stages_of_a_calibration() -> None:
    told = (
        event("run.started", token="no"),
        event("attempt.intended", unit="mmsu", run=2, token="t1"),
        event("attempt.started", unit="mmsu", run=2, token="t1"),
        event("attempt.ended", unit="mmsu", run=3, token=5),
    )
    assert dict(stages_by_token(Calibration(journal=Journal(told)))) == {"t1": "mmsu run 2"}


def test_the_marks_are_those_that_are_looked_for() -> None:
    asked = [f"{name}=" for name in MARK_NAMES]
    assert asked == [RUN, ATTEMPT]
    assert asked[0].startswith(RUN_MARK)

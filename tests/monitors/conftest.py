"""Run directories to be watched, and real processes that belong to them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hosts.host import ProcRef
from hosts.local.procs import marked, ref_of
from monitors.calibration import RUN_MARK
from tests.monitors.runs import RunFolder, Watch

PATIENCE_S = 20.0


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """An empty run directory."""
    return RunFolder.make(tmp_path)


@pytest.fixture
def watch(run: RunFolder) -> Watch:
    """Somebody who watches it."""
    return Watch.of(run)


Start = Callable[..., "tuple[subprocess.Popen[bytes], ProcRef]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that carry a run's mark, and waits until they can be seen to."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(run_id: str | None = None) -> tuple[subprocess.Popen[bytes], ProcRef]:
        environment: Mapping[str, str] = {**os.environ, **({RUN_MARK: run_id} if run_id else {})}
        process = subprocess.Popen(["sleep", "600"], env=dict(environment), start_new_session=True)
        started.append(process)
        ref = ref_of(process.pid)
        assert ref is not None
        end = time.monotonic() + PATIENCE_S
        while run_id and process.pid not in [seen.ref.pid for seen in marked([f"{RUN_MARK}={run_id}"])]:
            assert time.monotonic() < end, "a started process carries its mark"
            time.sleep(0.005)
        found = ref_of(process.pid)
        assert found is not None
        return process, found

    yield begin
    for process in started:
        process.kill()
        process.wait()

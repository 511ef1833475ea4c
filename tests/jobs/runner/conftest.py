"""Checkouts of the fast project, and the certainty that no process of theirs outlives its test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.local.procs import end_marked
from jobs.runner.places import RUN_MARK

if TYPE_CHECKING:
    from tests.jobs.runner.fast import FastProject

Make = Callable[..., "FastProject"]


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[Make]:
    """Makes a checkout; what its runs leave alive is ended, and fails the test."""
    # Not above: tests of what travels run in this folder too, on Pythons that lack what the rest of us needs.
    from tests.jobs.runner.fast import FastProject

    def make(config: str = "", script: Mapping[str, Sequence[str]] | None = None, batch_s: float = 0.01) -> FastProject:
        return FastProject.make(tmp_path, config, script, batch_s)

    yield make
    plans = [json.loads(path.read_bytes()) for path in tmp_path.glob("repo/.tune-runs/*/plan.json")]
    left = end_marked([f"{RUN_MARK}={plan['run_id']}" for plan in plans], 0.0)
    assert [process.argv for process in left] == []


@pytest.fixture
def project(make_project: Make) -> FastProject:
    """A checkout whose tests all behave."""
    return make_project()

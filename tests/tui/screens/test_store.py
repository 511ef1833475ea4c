from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.paths import Paths
from monitors.calibration.glance import Glance
from tests.tui.screens.runs import RunBench
from tui.screens.store import GlanceStore
from tui.screens.subject import RunPlace

GLANCE = Glance("r", 100.0, "running", "NOT READY", {"a": "✓✓—"}, 1)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(tmp_path: Path, state: Path) -> GlanceStore:
    return GlanceStore(Paths.from_environment({"HOME": str(tmp_path), "GATEWATCH_STATE_DIR": str(state)}))


@pytest.fixture
def place(tmp_path: Path) -> RunPlace:
    return RunBench.make(tmp_path).place()


def test_what_is_kept_comes_back(store: GlanceStore, place: RunPlace, state: Path) -> None:
    assert store.read(place) is None
    assert not state.exists(), "reading makes nothing"
    assert store.write(place, GLANCE) == ""
    assert store.read(place) == GLANCE
    path = store.path(place)
    assert path is not None
    assert path.is_relative_to(state)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_outside_the_state_folder(store: GlanceStore, place: RunPlace, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    store.write(place, GLANCE)
    new = [path for path in tmp_path.rglob("*") if path not in before]
    assert {path.relative_to(tmp_path).parts[0] for path in new} == {"state"}


def test_the_same_folder_on_another_host_is_another_run(store: GlanceStore, tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path)
    assert store.path(bench.place(host="one")) != store.path(bench.place(host="two"))


@given(data=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_not_ours_is_nothing(store: GlanceStore, place: RunPlace, data: bytes) -> None:
    store.write(place, GLANCE)
    path = store.path(place)
    assert path is not None
    path.write_bytes(data)
    assert store.read(place) is None


@pytest.mark.parametrize("data", ["[]", "null", '{"v": 2, "glance": {}}', '{"v": 1}', '{"v": 1, "glance": {"run": 1}}'])
def test_nor_is_what_another_version_wrote(store: GlanceStore, place: RunPlace, data: str) -> None:
    store.write(place, GLANCE)
    path = store.path(place)
    assert path is not None
    path.write_text(data)
    assert store.read(place) is None


def test_nor_is_what_has_the_same_shape_and_another_version(store: GlanceStore, place: RunPlace) -> None:
    store.write(place, GLANCE)
    path = store.path(place)
    assert path is not None
    text = path.read_text()
    path.write_text(text.replace('"v": 1', '"v": 2'))
    assert store.read(place) is None
    path.write_text(text)
    assert store.read(place) == GLANCE


def test_where_nothing_can_be_kept_it_is_said_and_nothing_fails(place: RunPlace, state: Path, tmp_path: Path) -> None:
    state.symlink_to(tmp_path)
    store = GlanceStore(Paths.from_environment({"HOME": str(tmp_path), "GATEWATCH_STATE_DIR": str(state)}))
    assert "cannot use the folder" in store.write(place, GLANCE)
    assert store.read(place) is None
    assert not os.listdir(tmp_path / "glances") if (tmp_path / "glances").exists() else True


def test_nowhere_to_keep_anything(place: RunPlace) -> None:
    store = GlanceStore.of_environment({"GATEWATCH_STATE_DIR": "relative"})
    assert store.write(place, GLANCE) == ""
    assert store.read(place) is None

"""Runs that need GPUs, on a driver that tests control: the gate before a launch, leases, and two runs on one host."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gates.journal import Event, decode_journal
from tests.peers.nvml import COMPILER, FakeNvml, build, gpu, smi_script
from tests.peers.quick import Done, Quick, quick_checkout, until

pytestmark = pytest.mark.skipif(COMPILER is None, reason="NOT TESTED: no C compiler to build the NVML stand-in with")

# Leaves what pytest was given, beside its values.
_SEEN = "\n\ndef test_seen(tmp_path_factory):\n    import os, pathlib\n    base = tmp_path_factory.getbasetemp()\n"
_SEEN += "    (base / 'seen').write_text(os.environ.get('CUDA_VISIBLE_DEVICES', 'unset'))\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nvml(library: Path, tmp_path: Path) -> FakeNvml:
    driver = FakeNvml(library, tmp_path / "gpus")
    driver.says("driver driver 580.65", "driver cuda 13000", "driver count 2", *gpu(0), *gpu(1))
    return driver


@pytest.fixture
def quick(tmp_path: Path, nvml: FakeNvml) -> Iterator[Quick]:
    """The quick project, each of whose tests needs one GPU."""
    with quick_checkout(tmp_path) as made:
        made.config.write_text(made.config.read_text().replace(".py: 0", ".py: 1"))
        for path in (made.folder / "tests").glob("test_quick_*.py"):
            path.write_text(path.read_text() + _SEEN)
        made.commit("GPUs")
        made.env.update(nvml.environment)
        yield made


def events(run_dir: Path, kind: str) -> list[Event]:
    path = run_dir / "events.jsonl"
    return [event for event in decode_journal(path.read_bytes()).events if event.kind == kind] if path.exists() else []


def run(quick: Quick, name: str, *words: str) -> Done:
    """One repeat of the stages of one test, in a run directory of this name."""
    what = ("--stages", "a", "--repeats", "1", "--output-dir", str(quick.runs / name))
    return quick.gatewatch("calibrate", "run", *what, *words)


def launched(quick: Quick, name: str) -> None:
    until(lambda: bool(events(quick.runs / name, "attempt.started")), f"a launch of {name}")


def ended(quick: Quick, name: str) -> None:
    until(lambda: bool(events(quick.runs / name, "run.ended")), f"the end of {name}", 50)


def cell(run_dir: Path, stage: str = "a_accuracy", run: int = 1) -> dict[str, object]:
    found: dict[str, object] = json.loads((run_dir / stage / f"run{run}.json").read_bytes())
    return found


def test_pytest_gets_a_clear_gpu_and_nothing_else(quick: Quick, nvml: FakeNvml) -> None:
    nvml.says("driver count 2", *gpu(0, used=17_000), *gpu(1))
    done = run(quick, "r")
    assert done.code == 0, done.said
    run_dir = quick.runs / "r"
    assert cell(run_dir)["gpu_indices"] == [1]
    assert (run_dir / "_pytest/test_quick_a/basetemp_run1/seen").read_text() == "1"
    assert json.loads((run_dir / "environment-fingerprint.json").read_bytes())["gpu_count"] == 2


def test_two_runs_share_the_host_and_a_third_waits_and_names_a_holder(quick: Quick) -> None:
    with quick.holding():
        for name in ("one", "two", "three"):
            done = run(quick, name, "--detach")
            assert done.code == 0, done.said
            if name != "three":
                launched(quick, name)
        until(lambda: bool(events(quick.runs / "three", "unit.waiting")), "the third to wait")
        why = str(events(quick.runs / "three", "unit.waiting")[0].data["why"])
        assert "is leased by" in why
        assert str(quick.runs / "one") in why or str(quick.runs / "two") in why
        status = quick.gatewatch("calibrate", "status", "--run-dir", str(quick.runs / "three"), "--json").json()
        assert status["state"] == "waiting"
        assert not events(quick.runs / "three", "attempt.started")
    for name in ("one", "two", "three"):
        ended(quick, name)
    used = [cell(quick.runs / name)["gpu_indices"] for name in ("one", "two")]
    assert sorted(map(str, used)) == ["[0]", "[1]"]


def test_a_lease_outlives_the_runner_for_as_long_as_pytest_lives(quick: Quick, nvml: FakeNvml) -> None:
    nvml.says("driver count 1", *gpu(0))
    with quick.holding():
        assert run(quick, "one", "--detach").code == 0
        launched(quick, "one")
        holder = json.loads((quick.runs / "one/.gatewatch/lock").read_bytes())["holder"]["pid"]
        os.kill(holder, 9)
        assert run(quick, "two", "--detach").code == 0
        until(lambda: bool(events(quick.runs / "two", "unit.waiting")), "the second to wait")
        assert not events(quick.runs / "two", "attempt.started")
    ended(quick, "two")


@pytest.mark.parametrize("how", ["ended", "stopped"])
@pytest.mark.parametrize("given_back", [True, False])
def test_memory_that_is_not_given_back_is_told_however_the_run_ends(
    quick: Quick, nvml: FakeNvml, how: str, given_back: bool
) -> None:
    nvml.says("driver count 1", *gpu(0))
    root = quick.runs / "r"
    with quick.holding():
        assert run(quick, "r", "--detach").code == 0
        launched(quick, "r")
        nvml.says("driver count 1", *gpu(0, used=70_000))
        if how == "stopped":
            assert quick.gatewatch("calibrate", "stop", "--run-dir", str(root)).code == 0
            until(lambda: bool(events(root, "attempt.ended")), "the end of what was launched")
            if given_back:
                nvml.says("driver count 1", *gpu(0))
            until(lambda: bool(events(root, "run.halted")), "the end of the run")
    if how == "ended":
        until(lambda: bool(events(root, "attempt.ended")), "the end of what was launched")
        if given_back:
            nvml.says("driver count 1", *gpu(0))
        ended(quick, "r")
    said = [str(event.data["why"]) for event in events(root, "unit.waiting")]
    kept = [] if given_back else ["GPU 0: 70000 MiB used, at most 2048 allowed, no owner visible"]
    assert said == kept
    assert [
        line.split(" ", 1)[1] for line in (root / "run.log").read_text().splitlines() if "not released" in line
    ] == [f"WAIT not released: {why}" for why in kept]


def test_a_host_with_too_few_gpus_is_refused_before_anything_is_written(quick: Quick, nvml: FakeNvml) -> None:
    nvml.says("driver count 0")
    done = run(quick, "r")
    assert (done.code, quick.runs.exists()) == (1, False)
    assert "needs 1 GPUs, this host has none" in done.said


def test_a_refusal_tells_why_a_gpu_is_missing(quick: Quick) -> None:
    script = smi_script(quick.folder.parent, "No devices were found", code=6)
    quick.env.update(LD_LIBRARY_PATH="", PATH=f"{script.parent}:{os.environ['PATH']}")
    done = run(quick, "r")
    assert done.code == 1
    assert "this host has none; see gpus_per_test and gpu_exclude; nvidia-smi: no dev" in done.said.lower()

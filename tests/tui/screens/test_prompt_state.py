"""When the apply prompt may be opened, and the one plain reason when it may not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gates.calibration.layout import FINGERPRINT
from gates.journal import Event, encode_event
from hosts.host import ProcRef
from hosts.local.files import new_ulid
from hosts.local.procs import proc_ref_json, self_ref
from monitors.calibration import LOCK
from monitors.snapshot import State
from tests.tui.screens.applying import Lab
from tui.screens.prompt_state import apply_state, ended_since, interrupted
from tui.screens.subject import RunLook


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.make(tmp_path)


@pytest.fixture
def me() -> ProcRef:
    """A process that lives."""
    return self_ref()


def _note(lab: Lab, kind: str, **data: object) -> None:
    event = Event(new_ulid(), 1, {}, "2026-05-25T02:43:02Z", kind, data)
    with (lab.run_dir / "events.jsonl").open("ab") as file:
        file.write(encode_event(event))


def _lock(lab: Lab, ref: ProcRef, nonce: str = "n") -> None:
    path = lab.run_dir / LOCK
    path.parent.mkdir(exist_ok=True)
    body = {"holder": proc_ref_json(ref), "nonce": nonce, "counter": 1, "at": "2026-05-25T02:43:02Z"}
    path.write_text(json.dumps(body))


async def _why(lab: Lab, *, read_only: bool = False) -> str:
    return apply_state(await lab.look(), read_only)


async def test_a_run_that_has_ended_and_passes_may(lab: Lab) -> None:
    assert await _why(lab) == ""
    assert await _why(lab, read_only=True) == "read-only"


async def test_stages_to_go_are_counted_before_anything_else(lab: Lab, me: ProcRef) -> None:
    (lab.run_dir / "digits_speed" / "run1.json").unlink()
    _lock(lab, me)
    assert await _why(lab, read_only=True) == "1 stage to go"
    (lab.run_dir / "digits_accuracy" / "run1.json").unlink()
    assert await _why(lab) == "2 stages to go"


async def test_whoever_holds_the_lock_keeps_it_closed(lab: Lab, me: ProcRef) -> None:
    _lock(lab, me)
    assert await _why(lab) == "a runner lives"
    _lock(lab, me, "apply-1")
    assert await _why(lab) == "thresholds are being written"
    _lock(lab, replace(me, start_ticks=1))
    assert await _why(lab) == "", "a dead holder is no obstacle"
    _lock(lab, ProcRef("elsewhere", "another-boot", 7, 9, 7))
    assert (await _why(lab)).startswith("the lock is held by pid 7 on elsewhere")
    (lab.run_dir / LOCK).write_text("nonsense")
    assert await _why(lab) == "the lock cannot be read"


async def test_a_pytest_of_the_run_keeps_it_closed(lab: Lab) -> None:
    seen = (await lab.look()).snapshot
    unseen = replace(seen, body=replace(seen.body, pytests=None))
    assert apply_state(RunLook(unseen), False) == "what still runs cannot be told"
    busy = replace(seen, body=replace(seen.body, pytests=(object(),)))  # type: ignore[arg-type]  # only counted
    assert apply_state(RunLook(busy), False) == "a pytest still runs"


async def test_the_gates_keep_it_closed(lab: Lab) -> None:
    folder = lab.run_dir / "digits_speed"
    cell = json.loads((folder / "run1.json").read_text())
    (folder / "run4.json").write_text(json.dumps({**cell, "git_sha": "f" * 40}))
    assert await _why(lab) == "provenance gate fails"
    (folder / "run4.json").unlink()
    lab.write_run(reference={"gpu_model": "H20"})
    assert await _why(lab) == "", "an environment that is not known is stated and holds nothing back"
    (lab.run_dir / FINGERPRINT).write_text(json.dumps({"gpu_model": "A100"}))
    assert await _why(lab) == "environment gate fails"


async def test_nobody_applies_twice_until_the_run_goes_on(lab: Lab) -> None:
    _note(lab, "apply.begun", id="a")
    _note(lab, "apply.done", id="a")
    assert await _why(lab) == "already applied"
    _note(lab, "apply.rolled_back", id="a")
    assert await _why(lab) == ""
    _note(lab, "apply.done", id="b")
    _note(lab, "run.resumed")
    assert await _why(lab) == ""


async def test_an_interrupted_apply_opens_it(lab: Lab, me: ProcRef) -> None:
    _note(lab, "apply.begun", id="a")
    _note(lab, "apply.file", id="a")
    look = await lab.look()
    assert (apply_state(look, False), interrupted(look), ended_since(look, "a")) == ("", True, False)
    _lock(lab, me, "apply-1")
    look = await lab.look()
    assert (apply_state(look, False), interrupted(look)) == ("thresholds are being written", False)
    _note(lab, "apply.rolled_back", id="a")
    assert ended_since(await lab.look(), "a")


async def test_what_is_not_seen_is_not_applied(lab: Lab) -> None:
    seen = (await lab.look()).snapshot
    assert apply_state(RunLook(replace(seen, state=State.BLIND)), False) == "the run cannot be seen"
    assert apply_state(RunLook(replace(seen, body=replace(seen.body, audit=None))), False) == "the run cannot be seen"


async def test_a_host_that_never_answered_keeps_it_closed(lab: Lab) -> None:
    look = await lab.look()
    nothing: Any = None
    assert (
        apply_state(RunLook(replace(look.snapshot, state=State.BLIND, body=nothing)), True) == "the run cannot be seen"
    )

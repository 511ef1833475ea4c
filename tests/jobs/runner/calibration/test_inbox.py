"""Requests that wait for a runner: a discard holds for whoever has the lock, and never for another observation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from hosts.errors import RefusedError
from hosts.host import Json
from hosts.local.files import write_atomic
from hosts.local.locks import acquire
from jobs.runner.calibration import discard as module
from jobs.runner.calibration.discard import discard
from jobs.runner.calibration.inbox import take_in, waiting
from jobs.runner.journal import read_journal
from jobs.runner.places import RunPlaces
from tests.peers.quick import old_run

pytestmark = pytest.mark.travels


@pytest.fixture
def places(tmp_path: Path) -> RunPlaces:
    made = RunPlaces(old_run(tmp_path / "r"))
    made.inbox.mkdir(parents=True)
    return made


def request(places: RunPlaces, name: str, stage: str = "a_speed", run: int = 1, **more: Json) -> None:
    data = (places.root / stage / f"run{run}.json").read_bytes()
    body: dict[str, Json] = {"kind": "discard", "stage": stage, "run": run, "reason": "odd", "by": "me"}
    body["sha256"] = hashlib.sha256(data).hexdigest()
    (places.inbox / name).write_text(json.dumps({**body, **more}))


class Notes:
    """What was journalled."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Mapping[str, object], str]] = []

    def __call__(self, kind: str, data: Mapping[str, object], line: str) -> None:
        self.said.append((kind, data, line))


def test_requests_are_journalled_in_order_and_dropped(places: RunPlaces) -> None:
    request(places, "2.json", run=2)
    request(places, "1.json")
    notes = Notes()
    take_in(places, notes)
    assert [(kind, data["run"], data["why"]) for kind, data, _ in notes.said] == [
        ("cell.discarded", 1, "discard"),
        ("cell.discarded", 2, "discard"),
    ]
    assert waiting(places) == []


def test_another_observation_is_never_disowned(places: RunPlaces) -> None:
    request(places, "1.json")
    (places.root / "a_speed" / "run1.json").write_text("{}")
    notes = Notes()
    take_in(places, notes)
    assert [kind for kind, _, _ in notes.said] == ["discard.dropped"]
    assert waiting(places) == []


@pytest.mark.parametrize(
    "body",
    [{"stage": "../x", "run": 1}, {"stage": 7, "run": 1}, {"stage": "a_speed", "run": "1"}, {"stage": "a_speed"}],
)
def test_a_discard_that_names_nothing_is_dropped(places: RunPlaces, body: dict[str, Json]) -> None:
    (places.inbox / "1.json").write_text(json.dumps({"kind": "discard", **body, "sha256": None}))
    notes = Notes()
    take_in(places, notes)
    assert [kind for kind, _, _ in notes.said] in ([], ["discard.dropped"])
    assert waiting(places) == []


def test_what_is_no_discard_stays(places: RunPlaces) -> None:
    (places.inbox / "1.json").write_text('{"kind": "stop", "nonce": "x"}')
    (places.inbox / "2.json").write_text("{half")
    notes = Notes()
    take_in(places, notes)
    assert (notes.said, len(waiting(places))) == ([], 2)


def payload(places: RunPlaces, stage: str = "a_speed") -> Json:
    return {"run_dir": str(places.root), "stage": stage, "run": 1, "reason": "odd", "by": "me"}


def test_a_live_holder_gets_a_request(places: RunPlaces, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process holds the lock and lives: it is the runner here, and takes in nothing."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.2)
    lock = acquire(places.lock, "mine")
    try:
        assert discard(payload(places)) == {"cell": "a_speed/run1.json", "journalled": False}
        ((_path, waits),) = waiting(places)
        assert (waits["kind"], waits["stage"], waits["run"], "nonce" in waits) == ("discard", "a_speed", 1, False)
        assert not places.journal.exists()
    finally:
        lock.release()
    # Whoever is next takes it in.
    assert discard(payload(places, "b_wer")) == {"cell": "b_wer/run1.json", "journalled": True}
    about = [(event.data["stage"], event.data["why"]) for event in read_journal(places.journal).events]
    assert about == [("a_speed", "discard"), ("b_wer", "discard")]
    with pytest.raises(RefusedError, match="already"):
        discard(payload(places))


def test_a_dead_holder_is_no_obstacle_and_a_foreign_one_is(places: RunPlaces) -> None:
    acquire(places.lock, "old")
    body = json.loads(places.lock.read_bytes())
    dead = {**body, "holder": {**body["holder"], "start_ticks": 1}}
    write_atomic(places.lock, json.dumps(dead).encode())
    assert discard(payload(places)) == {"cell": "a_speed/run1.json", "journalled": True}
    foreign = {**body, "holder": {**body["holder"], "boot_id": "other", "host": "elsewhere"}}
    write_atomic(places.lock, json.dumps(foreign).encode())
    with pytest.raises(RefusedError, match="cannot be judged"):
        discard(payload(places, "b_wer"))

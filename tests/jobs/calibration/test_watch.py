"""One look at a run directory, near or far, and what scripts are told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hosts.errors import InputError
from hosts.host import HostReader
from hosts.local import observe
from jobs.calibration.locate import Watched, find_run
from jobs.calibration.watch import Look, look, make_monitor, status_document
from jobs.connect import open_reader
from monitors.snapshot import State
from tests.peers.quick import MODEL, SHA, STAGES, Quick, old_run, tree, write_cell


@pytest.fixture(params=["here", "hop"])
async def reader(request: pytest.FixtureRequest, quick: Quick) -> AsyncIterator[HostReader]:
    """This machine, looked at directly and through a process of its own."""
    quick.hop()
    watched = await asyncio.to_thread(find_at, quick, "hop" if request.param == "hop" else None)
    made = await asyncio.to_thread(open_reader, watched.profile if not watched.local else None)
    yield made
    await made.close()


def find_at(quick: Quick, host: str | None) -> Watched:
    run = old_run(quick.runs / "o") if not (quick.runs / "o").exists() else quick.runs / "o"
    return find_run(str(run), str(quick.folder), None, host, None, environ={})


async def watch(quick: Quick, reader: HostReader, model: str | None = None) -> Look:
    found = await asyncio.to_thread(find_at, quick, "hop" if reader.name == "hop" else None)
    return await look(reader, Watched(found.run_dir, found.profile, found.local, found.checkout, model))


async def test_a_look_is_complete_and_leaves_no_trace(quick: Quick, reader: HostReader) -> None:
    before = tree(quick.folder)
    found = await watch(quick, reader)
    assert found.model == MODEL
    assert found.snapshot.body.audit is not None
    assert found.snapshot.body.audit.strict_complete
    assert found.snapshot.state is State.ENDED
    assert found.snapshot.body.runner == "none"
    assert tree(quick.folder) == before


async def test_what_scripts_are_told(quick: Quick, reader: HostReader) -> None:
    write_cell(quick.runs / "o", "a_speed", 1, sample_counts={"total": 50, "ok": 48})
    (quick.runs / "o" / "b_wer" / "run2.json").unlink()
    document = status_document(await watch(quick, reader), "shown")
    assert json.loads(json.dumps(document)) == document
    assert {key: document[key] for key in ("run_dir", "model", "repeats", "ok", "total", "missing_count")} == {
        "run_dir": "shown",
        "model": MODEL,
        "repeats": 2,
        "ok": 5,
        "total": 6,
        "missing_count": 1,
    }
    assert document["missing"] == [{"stage_key": "b_wer", "run": 2, "reason": "not run yet"}]
    assert (document["complete"], document["strict_complete"], document["strict_ready"]) == (False, False, "1/3")
    assert (document["calibration_git_sha"], document["provenance"]) == (SHA, "ok")
    assert document["pytest_active"] is False


async def test_more_than_one_look_can_carry(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large run comes in several looks, and nothing of it is shown as broken."""
    monkeypatch.setattr(observe, "MAX_CONTENT", 900)
    reader = await asyncio.to_thread(open_reader, None)
    found = await watch(quick, reader)
    assert found.snapshot.body.audit is not None
    assert found.snapshot.body.audit.ready_count == len(STAGES)
    await reader.close()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"model": "quick", "stages": [], "repeats": 1}', None])
async def test_a_run_without_a_plan_cannot_be_looked_at(
    content: bytes | None, quick: Quick, reader: HostReader
) -> None:
    plan = quick.runs / "o" / "plan.json"
    plan.unlink()
    if content is not None:
        plan.write_bytes(content)
    found = Watched(str(quick.runs / "o"), None, True, None, None)
    with pytest.raises(InputError, match=r"plan\.json"):
        await look(reader, found)


async def test_a_run_of_another_model(quick: Quick, reader: HostReader) -> None:
    with pytest.raises(InputError, match="is a run of model quick, not of other"):
        await watch(quick, reader, model="other")


async def test_without_a_checkout_values_are_shown_and_not_judged(quick: Quick, reader: HostReader) -> None:
    found = await look(reader, Watched(str(quick.runs / "o"), None, True, None, None))
    document = status_document(found, "x")
    assert (document["strict_ready"], document["verdict"]) == ("0/3", "unknown")


async def test_a_wrong_manifest_of_the_checkout_is_told(quick: Quick, reader: HostReader) -> None:
    quick.manifest.write_text("a: [\n")
    found = await asyncio.to_thread(find_at, quick, None)
    with pytest.raises(InputError, match=r"stages\.yaml:2: "):
        await make_monitor(reader, found)


async def test_a_run_that_is_not_there(quick: Quick, reader: HostReader, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*: not there"):
        await look(reader, Watched(str(tmp_path / "none"), None, True, None, None))
    assert not (tmp_path / "none").exists()
    assert quick.runs.exists()

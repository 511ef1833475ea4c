"""Every step of the apply prompt in three sizes, as pictures that a person has looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.errors import UnreachableError
from hosts.here import LocalReader
from hosts.host import Json
from tests.tui.screens.applying import Lab, Table, Values, desk
from tests.tui.snapshots import FOLDER, SIZES, Album
from tui.sanitise import confirmable
from tui.screens.prompt_flow import Step

MANY: Values = {
    "digits_accuracy": {"accuracy": [0.912, 0.921, 0.917, 0.915, 0.919]},
    "digits_speed": {
        "throughput_qps": [2000.5, 2100.25, 2043.0, 2076.5, 2031.75],
        "latency_mean_s": [0.0112, 0.0121, 0.0108, 0.0109, 0.0111],
        "latency_p95_s": [0.021, 0.03, 0.0243, 0.0221, 0.0226],
    },
}
REPO = "/srv/lab"


class _Slow(LocalReader):
    """A host that does not come to answer."""

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        await asyncio.sleep(deadline)
        raise UnreachableError(verb)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A run whose repository's path is the same in every picture, whatever machine it is made on."""
    made = Lab.make(tmp_path, MANY)

    def named(text: str, **more: int) -> str:
        return confirmable(text.replace(str(made.folder), REPO), **more)

    monkeypatch.setattr("tui.screens.prompt_page.confirmable", named)
    return made


@pytest.fixture
def album(request: pytest.FixtureRequest, tmp_path: Path) -> Album:
    return Album(FOLDER / "prompt", bool(request.config.getoption("--update-snapshots")), tmp_path / "shown")


async def _modes(at: Table) -> None:
    await at.open()


async def _report(at: Table) -> None:
    await at.open()
    await at.press("enter")
    await at.at(Step.REPORT)


async def _question(at: Table) -> None:
    await at.smart()


async def _number(at: Table) -> None:
    await at.smart()
    await at.press("enter", "down", "down", "enter")
    await at.type("0.0222")


async def _wrong(at: Table) -> None:
    await _number(at)
    await at.type("x")


async def _change(at: Table) -> None:
    await _number(at)
    await at.press("enter")
    await at.at(Step.CHANGE)


async def _yes(at: Table) -> None:
    await _change(at)
    await at.press("right")


async def _done(at: Table) -> None:
    await _change(at)
    await at.write()


async def _closed(at: Table) -> None:
    await at.smart()
    at.lab.write_cell("digits_speed", 2, status="failed", reason="it was run again")
    await at.look()
    await at.at(Step.OVER)


async def _cut_off(at: Table) -> None:
    await _done(at)
    folder = next((at.lab.run_dir / ".gatewatch" / "apply").iterdir())
    body = json.loads((folder / "journal.json").read_text())
    body |= {"state": "prepared", "who": "ann", "at": "2026-05-25T02:43:02Z"}
    (folder / "journal.json").write_text(json.dumps(body))
    events = at.lab.run_dir / "events.jsonl"
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:2]))
    await at.press("enter")
    await at.look()
    await at.press("A")
    await at.at(Step.CUT_OFF)


async def _preparing(at: Table) -> None:
    at.app.place = replace(at.app.place, reader=_Slow())
    await at.press("A")
    await at.until(lambda: "earlier apply" in at.said)


STEPS: Mapping[str, Callable[[Table], Awaitable[None]]] = {
    "preparing": _preparing,
    "modes": _modes,
    "report": _report,
    "question": _question,
    "number": _number,
    "wrong": _wrong,
    "change": _change,
    "yes": _yes,
    "done": _done,
    "closed": _closed,
    "cut-off": _cut_off,
}


@pytest.mark.parametrize("step", STEPS)
async def test_looks(step: str, album: Album, lab: Lab) -> None:
    async with desk(lab, SIZES[0]) as at:
        await STEPS[step](at)
        async for _size in at.sizes():
            album.check(at.app, step)


async def test_looks_without_glyphs(album: Album, lab: Lab) -> None:
    async with desk(lab, SIZES[0], ascii_only=True) as at:
        await _number(at)
        await at.pilot.pause()
        album.check(at.app, "ascii")

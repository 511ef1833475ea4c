"""Every state of the log pane in three sizes, as pictures that a person has looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from monitors.logs.types import MarkKind, Status
from tests.tui.logs.panes import PaneDesk, desk, numbered
from tests.tui.snapshots import SIZES, Album

LOG = b"".join(
    (
        b"============================= test session starts ==============================\n",
        b"collecting ... collected 12 items\n",
        b"tests/test_wer_ci.py::test_wer \x1b[32mPASSED\x1b[0m\n",
        b"2026-11-21 14:02:11,042 INFO server ready on 127.0.0.1:33959\n",
        b"2026-11-21 14:02:11,107 \x1b[33mWARNING\x1b[0m relay retry 1/3 Connection refused\n",
        b"".join(
            b"\rbatch: %3d%%|%-21s| %d/63 [00:21, 2.1s/it]" % (n * 100 // 63, b"#" * (n // 3), n) for n in range(64)
        )
        + b"\n",
        b'{"level": "info", "step": 120, "loss": 0.3121, "lr": 0.0001, "tokens": {"in": 812, "out": 64}}\n',
        "模型 ready: 48 kHz, café, 🎉\n".encode(),
        b"2026-11-21 14:02:13,000 ERROR worker 3 died\n",
        b"Traceback (most recent call last):\n",
        b'  File "train.py", line 10, in <module>\n',
        b"RuntimeError: CUDA error: an illegal memory access was encountered [/tmp/x] [red]\n",
    )
)
HOSTILE = b"".join(
    (
        b"a title \x1b]0;pwned\x07 and a screen \x1b[2J\x1b[H cleared\n",
        b"[red]markup[/red] [/nothing] [@click=app.quit]press[/]\n",
        "right \u202eto left\u202c and no \u200bwidth\n".encode(),
        b"nul \x00 bell \x07 back\x08space del \x7f c1 \xc2\x9b31m and bytes \xff\xfe\n",
        b"token hf_" + b"a1B2" * 8 + b" and https://user:secret@host/x\n",
        b"e" + "\u0301".encode() * 200 + b" marks\n",
        b"\x1b[31;44mred on blue\x1b[0m \x1b[8mhidden\x1b[0m \x1b[30;40mblack on black\x1b[0m\n",
        b"long " + b"x" * 5000 + b"\n",
        b"partial line without an end",
    )
)


async def _nothing(_: PaneDesk) -> None:
    pass


async def _paused(at: PaneDesk) -> None:
    await at.press("pageup", "pageup")
    at.source.append(numbered(1234, 201))
    await at.until(lambda: "+1,234" in at.rows[-2])


async def _gaps(at: PaneDesk) -> None:
    at.source.rotate(b"the next file\n", MarkKind.ROTATED)
    at.source.rotate(b"after a cut\n", MarkKind.TRUNCATED, missing=4_200_000)
    at.source.mark(MarkKind.OFFLINE, "no connection for 3 min, nothing is missing")
    at.source.append(b"back\n")
    await at.until(lambda: at.lines[-1:] == ["back"])


async def _decorated(at: PaneDesk) -> None:
    await at.press("w", "number_sign", "t", "pageup", "m", "V", "up")


async def _detail(at: PaneDesk) -> None:
    await at.press("home", "enter")
    await at.until(lambda: at.pane.detail.is_open)


async def _typing(at: PaneDesk) -> None:
    await at.press("at")
    await at.type("nonsense")
    await at.press("enter")
    await at.until(lambda: any("not a time" in row for row in at.rows))


async def _finding(at: PaneDesk) -> None:
    await at.press("slash")
    await at.type("error")
    await at.until(lambda: any("12 of 12" in row for row in at.rows))


async def _found(at: PaneDesk) -> None:
    await _finding(at)
    await at.press("enter", "N", "N")
    await at.until(lambda: any("10 of 12" in row for row in at.rows))


async def _wrong(at: PaneDesk) -> None:
    await at.press("slash", "ctrl+r")
    await at.type("(")
    await at.until(lambda: any("missing )" in row for row in at.rows))


async def _filtered(at: PaneDesk) -> None:
    await at.press("ampersand")
    await at.type("!collect")
    await at.press("enter", "l", "l", "c")
    await at.until(lambda: any(" hits of 72 lines, 1 around, 26" in row for row in at.rows))


async def _bounded(at: PaneDesk) -> None:
    await at.press("less_than_sign")
    await at.type("20")
    await at.press("enter")
    await at.until(lambda: any("since 20" in row for row in at.rows))
    await at.press("greater_than_sign")
    await at.type("30")
    await at.press("enter")
    await at.until(lambda: at.lines[-1:] == ["line 29"])


async def _nothing_left(at: PaneDesk) -> None:
    await at.press("ampersand")
    await at.type("nowhere")
    await at.press("enter")
    await at.until(lambda: any("0 shown" in row for row in at.rows))


async def _stopped(at: PaneDesk) -> None:
    await at.press("space")
    at.source.append(numbered(50, 201))
    await at.until(lambda: "Painting stopped" in at.rows[-2])


async def _wrapped(at: PaneDesk) -> None:
    await at.press("w", "home")


async def _timed(at: PaneDesk) -> None:
    at.source.append(numbered(3, 51))
    await at.press("number_sign", "t")


async def _deltas(at: PaneDesk) -> None:
    await at.press("t", "t")
    at.source.append(numbered(3, 51))


async def _written(at: PaneDesk) -> None:
    await at.press("t", "t", "t", "home", "w")


async def _steps(at: PaneDesk) -> None:
    await at.press("t", "t", "t", "t", "number_sign", "home")


async def _sideways(at: PaneDesk) -> None:
    await at.press("right", "right")


async def _bookmarks(at: PaneDesk) -> None:
    await at.press("pageup", "m", "down", "down", "down", "m", "apostrophe")


async def _dragged(at: PaneDesk) -> None:
    await at.pilot.mouse_down("#log-view", offset=(10, 4))
    await at.pilot.hover("#log-view", offset=(4, 6))
    await at.pilot.mouse_up("#log-view", offset=(4, 6))


async def _detail_text(at: PaneDesk) -> None:
    await _detail(at)
    await at.press("x")
    await at.until(lambda: any("[text]" in row for row in at.rows))


async def _detail_bytes(at: PaneDesk) -> None:
    await _detail_text(at)
    await at.press("x")
    await at.until(lambda: any("[hex]" in row for row in at.rows))


async def _ended(at: PaneDesk) -> None:
    at.source.mark(MarkKind.ENDED, "end of standard input")
    at.source.status(Status.ENDED, "")
    await at.until(lambda: any("end of standard input" in row for row in at.rows))


async def _deleted(at: PaneDesk) -> None:
    at.source.status(Status.LIVE, "the file is deleted; it is read on until there is a new one")
    await at.until(lambda: "deleted" in at.rows[-2])


async def _told(at: PaneDesk) -> None:
    await at.press("apostrophe")
    await at.until(lambda: any("no bookmark" in row for row in at.rows))


async def _palette(at: PaneDesk) -> None:
    await at.press("colon")
    await at.type("bookmark")
    await at.until(lambda: any("next bookmark" in row for row in at.rows))


async def _small(at: PaneDesk) -> None:
    width, height = at.app.size
    await at.pilot.resize_terminal(width // 2, height // 3)


async def _help(at: PaneDesk) -> None:
    await at.press("question_mark")
    await at.until(lambda: any("keys: log" in row for row in at.rows))


def _status(status: Status, detail: str) -> Callable[[PaneDesk], Awaitable[None]]:
    async def say(at: PaneDesk) -> None:
        at.source.status(status, detail)
        await at.until(lambda: status.name in at.rows[-2])

    return say


STATES: dict[str, tuple[bytes | None, Callable[[PaneDesk], Awaitable[None]]]] = {
    "following": (LOG * 6, _nothing),
    "short": (LOG, _nothing),
    "empty": (b"", _nothing),
    "paused": (numbered(200), _paused),
    "gaps": (LOG, _gaps),
    "decorated": (LOG * 6 + HOSTILE, _decorated),
    "hostile": (HOSTILE, _nothing),
    "detail": (LOG[LOG.index(b'{"level"') :] * 6, _detail),
    "typing": (numbered(50), _typing),
    "finding": (LOG * 6, _finding),
    "found": (LOG * 6, _found),
    "wrong": (LOG, _wrong),
    "filtered": (LOG * 6, _filtered),
    "bounded": (numbered(200), _bounded),
    "nothing-left": (LOG, _nothing_left),
    "stopped": (numbered(200), _stopped),
    "wrapped": (HOSTILE + LOG, _wrapped),
    "timed": (numbered(50), _timed),
    "deltas": (numbered(50), _deltas),
    "written": (LOG * 6, _written),
    "steps": (LOG * 6, _steps),
    "sideways": (LOG * 6, _sideways),
    "bookmarks": (numbered(200), _bookmarks),
    "dragged": (LOG * 6, _dragged),
    "detail-text": (LOG[LOG.index(b'{"level"') :] * 6, _detail_text),
    "detail-bytes": (LOG[LOG.index(b'{"level"') :] * 6, _detail_bytes),
    "ended": (LOG, _ended),
    "deleted": (LOG * 6, _deleted),
    "told": (LOG * 6, _told),
    "palette": (LOG * 6, _palette),
    "small": (LOG * 6, _small),
    "help": (numbered(50), _help),
    "waiting": (None, _status(Status.WAITING, "no such file yet")),
    "stale": (numbered(50), _status(Status.STALE, "no answer from the disk")),
    "denied": (numbered(50), _status(Status.DENIED, "permission denied")),
    "failed": (numbered(50), _status(Status.FAILED, "[Errno 5] Input/output \x1b[2J error of the disk [red]/srv/x[/]")),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
async def test_looks(state: str, size: tuple[int, int], album: Album) -> None:
    data, reach = STATES[state]
    async with desk(data, size) as at:
        await reach(at)
        await at.settled()
        album.check(at.app, state)

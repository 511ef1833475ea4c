"""What the chip says of lines that came while one reads is what the end shows, with a filter too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.logs.scanning import Scanner
from monitors.logs.types import Place, Progress
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.panes import FrozenApp, PaneDesk, desk, numbered
from tui.logs.arrived import Arrived
from tui.logs.reader import LetGo

OTHER = b"nothing to see\n"


async def filtered(at: PaneDesk, text: str) -> None:
    await at.press("ampersand")
    await at.type(text)
    await at.press("enter")
    await at.settled()


def chip(at: PaneDesk) -> str:
    return at.pane.status.chip


async def test_only_lines_that_pass_are_counted() -> None:
    async with desk(numbered(1000)) as at:
        await filtered(at, "7")
        await at.press("pageup")
        await at.settled()
        at.source.append(b"line 2006\n" * 50 + b"line 2007\n" * 5)
        await at.until(lambda: chip(at) == "+5 lines")
        assert at.rows[-2].rstrip().endswith("+5 lines")
        at.source.append(b"line 2008\n" * 50)
        await at.until(lambda: "1,105 lines" in at.rows[-2])
        await at.settled()
        assert chip(at) == "+5 lines"
        at.source.append(b"line 2007\n")
        await at.until(lambda: chip(at) == "+6 lines")
        await at.press("G")
        await at.until(lambda: at.lines[-7:] == ["line 997", *["line 2007"] * 6])
        await at.until(lambda: chip(at) == "")


async def test_nothing_that_passes_is_no_chip() -> None:
    async with desk(numbered(1000)) as at:
        await filtered(at, "line 9")
        await at.press("pageup")
        at.source.append(b"other\n" * 50)
        await at.until(lambda: "1,050 lines" in at.rows[-2])
        await at.settled()
        assert chip(at) == ""


async def test_another_filter_counts_anew() -> None:
    async with desk(numbered(1000)) as at:
        await filtered(at, "7")
        await at.press("pageup")
        at.source.append(b"line 2007\n" * 5 + b"line 2008\n" * 3)
        await at.until(lambda: chip(at) == "+5 lines")
        await at.press("backspace")
        await at.until(lambda: chip(at) == "+8 lines")
        await filtered(at, "2008")
        await at.until(lambda: chip(at) == "+3 lines")


async def test_what_lies_behind_the_end_of_a_range_is_not_counted() -> None:
    async with desk(numbered(1000)) as at:
        await at.until(lambda: "1,000 lines" in at.rows[-2])
        await at.press("at")
        await at.type("500")
        await at.press("enter")
        await at.until(lambda: "line 500" in at.lines)
        await at.press("greater_than_sign", "enter")
        await at.until(lambda: any("until line 500" in row for row in at.rows))
        at.source.append(numbered(50, 1001))
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1050)
        await at.settled()
        assert chip(at) == ""


async def test_a_fast_writer_is_not_told_of_as_if_all_were_counted() -> None:
    """What is said without "or more" is what has come, to a few lines, whenever one looks."""
    async with desk(numbered(1000)) as at:
        await filtered(at, "line")
        await at.press("pageup")
        await at.settled()
        pane = at.pane
        assert pane.model is not None
        told: list[tuple[int, str]] = []
        written = 0
        for _ in range(60):
            at.source.append(b"line 7\n" * 5000)
            written += 5000
            for _ in range(4):
                told.append((written, pane.chip()))
                await asyncio.sleep(0.005)
        exact = [(came, int(text[1:].split()[0].replace(",", ""))) for came, text in told if text.endswith("lines")]
        assert [pair for pair in exact if pair[0] - pair[1] > 3000] == []
        await at.until(lambda: chip(at) == "+300,000 lines")


async def test_what_the_filter_has_not_looked_at_is_said(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_bytes(b"a HIT\n" * 100)
    scanner = Scanner(small=0)

    async def make() -> LogModel:
        return LogModel(await open_source(Target(None, str(path))), scanner=scanner)

    app = FrozenApp(make)
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        at = PaneDesk(app, pilot, MemorySource(b""))  # unused: the log is a file
        await at.until(lambda: at.pane.model is not None and at.lines)
        await at.press("ampersand")
        await at.type("(?<=a )HIT|(n)othi(.)g (.)o .*(s)..e")
        await at.press("ctrl+r", "enter")
        await at.until(lambda: "100 shown" in at.rows[-2])
        await at.press("pageup")
        with path.open("ab") as file:
            file.write(b"a HIT\n" + OTHER * (16_000_000 // len(OTHER)))
        await at.until(lambda: chip(at) in {"+16.0 MB to filter", "+1 line or more"})
        await at.until(lambda: chip(at) == "+1 line")
    await scanner.close()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("count", [1, 200])
async def test_lines_are_counted_and_not_their_newlines(encoding: str, count: int) -> None:
    def written(text: str) -> bytes:
        return text.encode(encoding)

    begun = "\ufeff" if encoding != "utf-8" else ""
    async with desk(written(begun + "line\n" * count + "unfinished ")) as at:
        await at.until(lambda: f"{count + 1} lines" in at.rows[-2])
        await at.press("f")
        await at.settled()
        for text, said in (
            ("goes on", ""),
            ("\n", ""),
            ("next\n", "+1 line"),
            ("and", "+2 lines"),
            (" so on\n", "+2 lines"),
            ("a\nb\nc", "+5 lines"),
        ):
            at.source.append(written(text))
            await at.settled()
            assert chip(at) == said
        await at.press("f", "f")
        await at.until(lambda: chip(at) == "")
        at.source.append(written("\nd"))
        await at.until(lambda: chip(at) == "+1 line")


async def test_a_log_that_was_rotated_within_a_line_is_counted_right() -> None:
    async with desk(b"line\n" * 50 + b"unfinished") as at:
        at.source.rotate(b"one\ntwo")
        await at.until(lambda: "53 lines" in at.rows[-2])
        await at.press("f")
        await at.settled()
        at.source.append(b" is done\nthree\n")
        await at.until(lambda: chip(at) == "+1 line")
        at.source.append(b"four")
        await at.until(lambda: chip(at) == "+2 lines")
        at.source.rotate(b"five\nsix")
        await at.until(lambda: chip(at) == "+4 lines")


async def test_an_unfinished_line_counts_on_once_the_log_was_emptied(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_bytes(b"line\n" * 50)

    async def make() -> LogModel:
        return LogModel(await open_source(Target(None, str(path))))

    app = FrozenApp(make)
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        at = PaneDesk(app, pilot, MemorySource(b""))  # unused: the log is a file
        await at.until(lambda: at.pane.model is not None and "50 lines" in at.rows[-2])
        await at.press("f")
        with path.open("ab") as file:
            file.write(b"one\nunfinished")
        await at.until(lambda: chip(at) == "+2 lines")
        path.write_bytes(b"")
        with path.open("ab") as file:
            file.write(b"two\nthree")
        await at.until(lambda: "54 lines" in at.rows[-2] and chip(at) == "+4 lines")


@pytest.mark.parametrize("cut", [10, 1_000_000, 1_800_000, 2_100_000])
async def test_of_a_log_that_lost_its_beginning_only_what_came_is_counted(cut: int) -> None:
    data = numbered(187_000)
    async with desk(data) as at:
        await at.until(lambda: "187,000 lines" in at.rows[-2])
        await at.press("f")
        at.source.truncate(b"new 1\nnew 2\n", len(data) - cut)
        left = data.count(b"\n", cut) + 2
        told: list[str] = []

        def counted() -> bool:
            told.append(chip(at))
            return f"{left:,} lines" in at.rows[-2]

        await at.until(counted)
        await at.settled()
        assert chip(at) == "+2 lines"
        assert {text for text in told if text.endswith("lines")} <= {"+2 lines"}


async def test_what_lies_before_the_beginning_of_a_range_is_not_counted() -> None:
    async with desk(numbered(1000)) as at:
        await at.until(lambda: "1,000 lines" in at.rows[-2])
        await at.press("f")
        at.source.append(numbered(50, 1001))
        await at.until(lambda: chip(at) == "+50 lines")
        await at.press("at")
        await at.type("1020")
        await at.press("enter")
        await at.until(lambda: "line 1020" in at.lines)
        await at.press("less_than_sign", "enter")
        await at.until(lambda: chip(at) == "+31 lines")


class Undecided:
    """A filter that has found nothing yet in the block in which one let go."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.hits = self
        self.within = 0

    def before(self, _: object) -> int:
        return 0

    def is_known(self, generation: int, block: int) -> bool:
        return self.progress.done and generation == block == 0

    def covers(self, generation: int, size: int) -> bool:
        return self.progress.done and generation == 0 < size

    async def ordinal(self, _: Place) -> int:
        await asyncio.sleep(0)
        return self.within


async def test_what_was_found_before_a_place_is_looked_up_again_while_more_may_be_found_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, search, asked = MemorySource(numbered(1000)), Undecided(), []
    monkeypatch.setattr(LogModel, "passing", search)
    model = LogModel(source)
    await model.start()
    let_go = LetGo(0.0, model.end_place(), model.state.bytes)
    source.append(numbered(2, 1001))
    arrived = Arrived(lambda count, _: asked.append(count), lambda: None)
    arrived.text(model, let_go, None)
    await asked.pop()()
    search.within, search.progress = 3, Progress(hits=5, done=True)
    arrived.text(model, let_go, None)
    await asked.pop()()
    assert arrived.text(model, let_go, None) == "+2 lines"
    await model.close()

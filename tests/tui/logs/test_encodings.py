"""A log whose generations are not written alike: every line is read as its own generation is."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitors.logs.types import Place
from tests.tui.logs.panes import desk
from tui.logs.selection import Point, Selection, collect

OLD, NEW = "älter 模型\n", "new café\n"
WAYS = [("utf-8", "utf-16-le"), ("utf-16-le", "utf-8"), ("utf-16-be", "utf-16-le")]
MARK = "\ufeff"


def written(text: str, encoding: str) -> bytes:
    """As a log of this encoding begins."""
    return (text if encoding == "utf-8" else MARK + text).encode(encoding)


@pytest.mark.parametrize(("before", "after"), WAYS)
async def test_lines_are_shown_and_copied_as_their_own_generation_is_written(before: str, after: str) -> None:
    async with desk(written(OLD * 3, before)) as at:
        at.source.rotate(written(NEW * 3, after))
        await at.until(lambda: NEW.strip() in at.lines)
        assert [line for line in at.lines if line != "rotated"] == [OLD.strip()] * 3 + [NEW.strip()] * 3
        model = at.pane.model
        assert model is not None
        everything = Selection(Point(Place(0, 0)), Point(model.end_place()), lines=True)
        assert (await collect(model, everything, at.pane.view.whole)).text == OLD * 3 + NEW * 3


@pytest.mark.parametrize(("before", "after"), WAYS)
async def test_a_long_line_is_copied_and_opened_as_its_generation_is_written(before: str, after: str) -> None:
    long = "模" * 20_000
    async with desk(written(long + "\n", before)) as at:
        at.source.rotate(written(NEW, after))
        await at.until(lambda: NEW.strip() in at.lines)
        model = at.pane.model
        assert model is not None
        first = Selection(Point(Place(0, 0)), Point(Place(0, 0)), lines=True)
        assert (await collect(model, first, at.pane.view.whole)).text == long + "\n"
        await at.press("home", "enter")
        await at.until(lambda: at.pane.detail.is_open and any("the whole line" in row for row in at.rows))
        await at.until(lambda: sum(row.count("模") for row in at.rows[-8:-2]) > 100)


async def test_what_was_shown_before_its_encoding_was_known_is_laid_anew() -> None:
    text = "on\n" * 16
    data = text.encode("utf-16-le")  # without a mark, 64 bytes tell
    async with desk(data[:60], (80, 5)) as at:
        await at.until(lambda: bool(at.lines))
        await at.press("home")
        await at.until(lambda: "\0" not in at.lines[0] and at.lines[0] != "on")
        assert all(row.line.complete for row in at.pane.view.rows)  # none is read again for the sake of its end
        at.source.append(data[60:])
        await at.until(lambda: at.lines == ["on"] * len(at.lines))


@pytest.mark.parametrize(("before", "after"), WAYS)
async def test_what_is_saved_is_written_one_way(
    before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with desk(written(OLD * 3, before)) as at:
        at.source.rotate(written(NEW * 3, after))
        await at.until(lambda: NEW.strip() in at.lines)
        await at.press("S")
        await at.type("saved.txt")
        await at.press("enter")
        await at.until((tmp_path / "saved.txt").exists)
        assert (tmp_path / "saved.txt").read_bytes() == written(OLD * 3 + NEW * 3, before)


async def test_bytes_that_are_no_text_are_saved_as_they_are_where_all_is_written_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = b"\xff\xfa odd\nfine\r\n"
    async with desk(data) as at:
        at.source.rotate(data)
        await at.until(lambda: at.lines.count("fine") == 2)
        await at.press("S")
        await at.type("saved.txt")
        await at.press("enter")
        await at.until((tmp_path / "saved.txt").exists)
        assert (tmp_path / "saved.txt").read_bytes() == data * 2

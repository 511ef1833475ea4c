"""Columns on a terminal: measured in cells, and cut where they do not fit."""

from __future__ import annotations

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.peers.quick import ROOT, Quick
from tests.peers.terminal import Terminal
from tui.cells import breaks, cell_at, clusters, fit, index_at, painted, shorten, single, width


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("short", 8, "short"),
        ("exactly8", 8, "exactly8"),
        ("a long description", 8, "a long …"),
        ("tests/models/test_a_ci.py", 13, "test…_a_ci.py"),
        ("_P95[4]['rtf_mean']", 16, "_P95[…rtf_mean']"),
        ("模型模型模型", 8, "模型模…"),
        ("e\u0301e\u0301e\u0301e\u0301", 4, "e\u0301e\u0301e\u0301e\u0301"),
    ],
)
def test_what_is_cut_and_how(text: str, room: int, shown: str) -> None:
    assert shorten(text, room) == shown


@given(st.text(max_size=40), st.integers(1, 30))
def test_nothing_is_wider_than_its_room(text: str, room: int) -> None:
    assert width(shorten(text, room)) <= max(room, 1)


@given(st.lists(st.integers(0, 90), min_size=1, max_size=6), st.integers(0, 200))
def test_the_widest_columns_give_first(widths: list[int], room: int) -> None:
    fitted = fit(widths, room)
    assert all(one <= before for one, before in zip(fitted, widths, strict=True))
    assert sum(fitted) <= room or max(fitted) <= 8
    if sum(widths) <= room:
        assert fitted == widths
    given_up = [before for one, before in zip(fitted, widths, strict=True) if one < before]
    kept = [one for one, before in zip(fitted, widths, strict=True) if one == before]
    assert not given_up or max(kept, default=0) <= max(fitted)


def test_a_number_is_whole_or_the_table_is_too_wide() -> None:
    assert fit([30, 19, 30], 50, whole=[1]) == [15, 19, 16]
    assert fit([30, 19, 30], 20, whole=[1]) == [8, 19, 8]
    assert fit([30, 19], 10, whole=[0, 1]) == [30, 19]


shown = st.text(
    st.characters(min_codepoint=0x20, blacklist_categories=("Cc", "Cs")) | st.sampled_from("世❤\ufe0f\u0301é⋯␛👍🏽")
)


@given(shown)
@example("❤\ufe0fx")
def test_screens_are_measured_as_rich_does(text: str) -> None:
    assert painted(text) == cell_len(text)
    assert sum(cells for _, cells in clusters(text)) == cell_len(text)
    if single(text):
        assert cell_len(text) == len(text)


def test_characters_that_are_taken_for_one_cell_are_one() -> None:
    assert [hex(code) for code in range(0xA0, 0x3000) if single(chr(code)) and cell_len(chr(code)) != 1] == []


@given(shown, st.integers(1, 20))
@example("世a", 1)
def test_broken_rows_are_full_and_hold_all(text: str, room: int) -> None:
    starts = breaks(text, room)
    assert len(set(starts)) == len(starts)
    rows = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    assert "".join(rows) == text
    for row, following in zip(rows, [*rows[1:], ""], strict=True):
        assert painted(row) <= room or len(clusters(row)) == 1
        first = clusters(following)[0][1] if following else 0
        assert not following or painted(row) + first > room


@given(shown, st.integers(0, 60))
def test_a_cell_belongs_to_one_character(text: str, cell: int) -> None:
    index = index_at(text, cell)
    assert index == len(text) or cell_at(text, index) <= cell
    assert cell >= painted(text) or cell < painted(text[:index]) + 3
    assert cell_at(text, len(text)) == painted(text)
    assert [cell_at(text, at) for at in range(len(text))] == sorted(cell_at(text, at) for at in range(len(text)))


def test_a_table_fits_the_terminal_and_a_pipe_gets_all_of_it(quick: Quick) -> None:
    text = "A description that is much longer than any terminal of eighty columns has room for"
    quick.config.write_text(quick.config.read_text().replace("Two tests that take a blink", text))
    with Terminal(quick.argv("calibrate", "models"), quick.folder, dict(os.environ)) as screen:
        assert screen.wait() == 0
    lines = screen.text.replace("\r", "").splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80
    assert "A description that" in lines[1]
    assert "…" in lines[1]
    assert text in quick.gatewatch("calibrate", "models").text


@pytest.mark.parametrize("words", [[], ["calibrate"], ["hosts"]], ids=["gatewatch", "calibrate", "hosts"])
def test_a_list_of_commands_has_each_on_a_line_of_its_own(words: list[str], quick: Quick) -> None:
    lines = quick.gatewatch(*words, "--help", cwd=ROOT, env={"COLUMNS": "80"}).text.splitlines()
    commands = lines[lines.index("  COMMAND") + 1 :]
    names = [line.split()[0] for line in commands if line.startswith("    ") and line[4] != " "]
    assert names
    assert max(map(len, lines)) <= 80
    # Each name has the beginning of its help beside it.
    assert [line for line in commands if line.startswith("    ") and line[4] != " " and len(line.split()) < 2] == []

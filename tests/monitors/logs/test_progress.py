r"""Bars in a log: older states go, and nothing that is anything else ever does."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitors.logs.progress import collapse, moves_up, settle, superseded
from monitors.logs.spans import LOOKAHEAD

BLOCK = "█"


def tqdm(n: int, total: int = 10, label: str = "", unit: str = "it", ascii_only: bool = False, tail: str = "") -> str:
    """A state of a bar as tqdm writes it."""
    done = "#" * n if ascii_only else BLOCK * n + ("▍" if n < total else "")
    rate = f"{n * 1.37:.2f}{unit}/s" if n else f"?{unit}/s"
    left = "00:07" if n else "?"
    return f"{label}{100 * n // total:3d}%|{done:<{total}}| {n}/{total} [00:0{n % 10}<{left}, {rate}{tail}]"


def green(n: int) -> str:
    return f"{n * 10:3d}%|\x1b[32m{BLOCK * n:<9}\x1b[0m| {n}/9 [00:01<00:02, {n}it/s]\x1b[0m"


def rich_bar(n: int) -> str:
    return f"one \x1b[91m{'━' * n}\x1b[0m\x1b[90m╺{'━' * (9 - n)}\x1b[0m \x1b[35m{n * 11:3d}%\x1b[0m"


def written(*pieces: str) -> bytes:
    return "".join(pieces).encode()


def shown(line: bytes) -> list[str]:
    """What is left of a line, in the order in which it was written."""
    return collapse(line, unfinished=True).decode().split("\r")


LAST = tqdm(10)
STATES = "".join("\r" + tqdm(n) for n in range(11))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # tqdm: block and ASCII bars, a name, a postfix that comes later, no total, colours, other units
        (written(STATES), [LAST]),
        (written(*("\r" + tqdm(n, ascii_only=True) for n in range(11))), [tqdm(10, ascii_only=True)]),
        (written(*("\r" + tqdm(n, label="Epoch 3: ") for n in range(11))), [tqdm(10, label="Epoch 3: ")]),
        (written("\r", tqdm(0), *("\r" + tqdm(n, tail=f", loss={1 / (n + 1):.3g}, lr=1e-4") for n in (1, 2, 3))),
         [tqdm(3, tail=", loss=0.25, lr=1e-4")]),
        (written(*(f"\r{n}it [00:0{n}, {n * 3.1:.2f}it/s]" for n in range(9))), ["8it [00:08, 24.80it/s]"]),
        (written(*(f"\rstep {n} loss 0.{n}7: {tqdm(n)}" for n in range(9))), [f"step 8 loss 0.87: {tqdm(8)}"]),
        (written(*("\r" + green(n) for n in range(9))), [green(8)]),
        (written("\rmodel.bin:  1%|▏| 999k/3.00G [00:01<?, ?B/s]",
                 "\rmodel.bin: 40%|▍| 1.20G/3.00G [00:09<00:13, 140MB/s]"),
         ["model.bin: 40%|▍| 1.20G/3.00G [00:09<00:13, 140MB/s]"]),
        (written("\r", tqdm(1, unit="it"), "\r 20%|██        | 2/10 [00:05<00:20, 2.50s/it]"),
         [" 20%|██        | 2/10 [00:05<00:20, 2.50s/it]"]),
        (written(*(f"\rrank1 loss 0.{n}7: {tqdm(n)}" for n in range(9))), [f"rank1 loss 0.87: {tqdm(8)}"]),
        (written(*(f"\rCapturing (bs={9 - n} free=3.{n} GB): {tqdm(n)}" for n in range(9))),
         [f"Capturing (bs=1 free=3.8 GB): {tqdm(8)}"]),
        # rich, uv, cargo, npm: the line is erased, or the cursor put back, before it is written again
        (written(*("\r\x1b[2K" + rich_bar(n) for n in range(9))), [rich_bar(8)]),
        (b"\x1b[1m\x1b[36m  Building\x1b[0m [=>    ] 1/9: a\r\x1b[K"
         b"\x1b[1m\x1b[36m  Building\x1b[0m [====> ] 7/9: a\r\x1b[K",
         ["\x1b[1m\x1b[36m  Building\x1b[0m [====> ] 7/9: a"]),
        ("\x1b[1G\x1b[0K⠙\x1b[1G\x1b[0K⠹\x1b[1G\x1b[0Kadded 3 packages".encode(), ["added 3 packages"]),
        (b"\r- working\r\\ working\r| working\r/ working", ["/ working"]),
        # apt, git, curl, wget
        (b"\rReading package lists... 0%\rReading package lists... 99%\rReading package lists... Done",
         ["Reading package lists... Done"]),
        (b"Counting objects:  50% (5/10)\rCounting objects: 100% (10/10)\rCounting objects: 100% (10/10), done.",
         ["Counting objects: 100% (10/10), done."]),
        (b"\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0"
         b"\r 30 30.0M   30  9.1M    0     0   437k      0  0:01:10  0:00:21  0:00:49  437k",
         [" 30 30.0M   30  9.1M    0     0   437k      0  0:01:10  0:00:21  0:00:49  437k"]),
        (b"\r####          12.5%\r###########   50.1%", ["###########   50.1%"]),
        (b"\r#                                                                          2.1%\r"
         + b"#" * 72 + b" 100.0%", [f"{'#' * 72} 100.0%"]),
        (b"\r  0%|\r  1%|#\r 40%|####", [" 40%|####"]),
        (b"\r 10%|#         | 1/10 [00:01<00:09]\r 20%|##        | 2/10 [00:02<00:08]",
         [" 20%|##        | 2/10 [00:02<00:08]"]),
        (written(*(f"\rnumpy | 6.5 MB   | {'#' * n:<9} | {n * 11:3d}% " for n in range(9))),
         ["numpy | 6.5 MB   | ########  |  88% "]),
        (b"\r  1,000,000   1%  2.20MB/s    0:00:98\r 50,000,000  50%  110.00MB/s    0:00:49",
         [" 50,000,000  50%  110.00MB/s    0:00:49"]),
        (b"\rWaiting for it\rWaiting for it.\rWaiting for it..", ["Waiting for it.."]),
        # keras: backspaces over the whole line; mke2fs and spinners: over its end
        (b" 1/10 [=>......] - ETA: 9s - loss: 0.5" + b"\b" * 38 + b" 2/10 [==>.....] - ETA: 8s - loss: 0.4",
         [" 2/10 [==>.....] - ETA: 8s - loss: 0.4"]),
        (b"Writing tables:  1/16\b\b\b\b\b 2/16\b\b\b\b\bdone", ["Writing tables: done"]),
        (b"Solving |\b/\b-\b\\\b|", ["Solving |"]),
        (b"Solving 50%\b\b\b", ["Solving 50%"]),
        # several bars in one line, each told by its name
        (b"\rfile-1:  5%\rfile-2:  3%\rfile-1: 60%\rfile-2: 40%", ["file-1: 60%", "file-2: 40%"]),
        (written("\r", tqdm(10, label="Epoch 1: "), "\r", tqdm(4, label="Epoch 2: ")),
         [tqdm(10, label="Epoch 1: "), tqdm(4, label="Epoch 2: ")]),
        (b"\r[rank0]: 50%\r[rank1]: 70%", ["[rank0]: 50%", "[rank1]: 70%"]),
        (b"\rf1 10%\rf12 20%\rf1 30%", ["f12 20%", "f1 30%"]),
        # a bar that the program erased, to write a message in its place
        (written("\r", tqdm(3), "\r", " " * 60, "\rINFO saved"), ["INFO saved"]),
        (written("\r", tqdm(3), "\r\x1b[KINFO saved"), ["INFO saved"]),
        (written("\r", tqdm(3), "\r   \rINFO saved"), [tqdm(3), "INFO saved"]),  # three columns erase no bar
    ],
)  # fmt: skip
def test_the_newest_state_stays(line: bytes, expected: list[str]) -> None:
    assert shown(line) == expected


@pytest.mark.parametrize(
    "pieces",
    [
        [tqdm(1) + "RuntimeError: CUDA out of memory", tqdm(2)],
        [tqdm(1) + "Error: request 17 failed", tqdm(2) + "Error: request 18 failed"],
        [tqdm(1) + "错误 17", tqdm(2) + "错误 18"],
        ["E1121 12:00:00 lost rank 3", tqdm(2)],
        [" 50%", "ERROR x"],
        ["retry 1/3 Connection refused", "retry 2/3 Connection refused"],
        ["2026-01-01 10:00:00 step 1/10 50%", "2026-01-01 10:00:01 step 2/10 60%"],
        ["10:00:00 GET /a 5/10", "10:00:01 GET /a 6/10"],
        ["✓ 1/2", "✗ 2/2"],
        ["载入 1/2", "保存 2/2"],
        ["误 █ 1/2", "载 █ 2/2"],
        ["Reading 50%", "Reading the configuration of another server now"],
        ["a", "b", "a"],
        ["step a", "step b"],
        ["Processed 100 records", "Processed 200 records"],
        ["gw0 I / gw1 I", "gw0 ok / gw1 I"],
        ["Loading 50%", "Loading the checkpoint 3/5"],
        [".....F..", "......E."],
        ["issue #5 50%", "issue 5 60%"],
        ["# comment 50%", "comment 60%"],
        ["C# 50%", "C 60%"],
        ["\x1b[2J", "x", "\x1b[?1049h\x1b[H"],
    ],
)
def test_what_is_something_else_is_never_hidden(pieces: list[str]) -> None:
    assert shown("\r".join(pieces).encode()) == pieces


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"plain", b"plain"),
        (b"", b""),
        (b"windows\r", b"windows"),
        (b" 50%|#####     | 5/10\r", b" 50%|#####     | 5/10"),
        (b"written twice\r\r", b"written twice"),
        (b"\r\r\r", b""),
        (b"\r\x1b[K\r\x1b[0m\x1b[2K\x1b[A\r", b""),
        (b"\x1b[31mred\x1b[0m \x1b[2J", b"\x1b[31mred\x1b[0m \x1b[2J"),
        (b"git\x1b[K", b"git\x1b[K"),
        (b"moved \x1b[A up", b"moved \x1b[A up"),
        (b"\x1b[Ga\x1b[1;1Hb", b"a\x1b[1;1Hb"),
        (b"bold N\bNo", b"bold N\bNo"),
    ],
)
def test_other_lines_stay_as_they_are(line: bytes, expected: bytes) -> None:
    assert collapse(line) == expected


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_wide_characters(encoding: str) -> None:
    text = f"\r{tqdm(1)}\r{tqdm(2)}"
    assert collapse(text.encode(encoding), encoding) == tqdm(2).encode(encoding)
    assert collapse("windows\r".encode(encoding), encoding) == "windows".encode(encoding)
    untouched = "\u0d0d\u0d0a\ud800 plain".encode(encoding, "surrogatepass") + b"\r"  # half a character at the end
    assert collapse(untouched, encoding) == untouched
    assert collapse("\r".encode(encoding) + untouched, encoding) == untouched


WORDS = st.text("abcdefgh .:;", min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
BARS = st.builds(tqdm, st.integers(0, 10), label=st.sampled_from(["", "train: ", "Epoch 2: ", "file-7: "]))


@given(st.lists(st.one_of(WORDS, BARS), max_size=20))
@example(["train: " + "a", tqdm(1, label="train: ")])
def test_messages_among_bars_all_stay(pieces: list[str]) -> None:
    out = shown("\r".join(pieces).encode())
    messages = [piece for piece in pieces if "%" not in piece]
    kept = [piece for piece in out if piece and "%" not in piece]
    rest = iter(messages)
    assert all(piece in rest for piece in kept)  # in their order
    assert all(any(piece.startswith(message) for piece in out) for message in messages)
    bars = [
        (at, piece, piece.partition("%")[0].rstrip(" 0123456789")) for at, piece in enumerate(pieces) if "%" in piece
    ]
    last = {label: (at, piece) for at, piece, label in bars}
    # Names without a number may be of one bar whose name changes, and a bar without one may come to have any
    counted = [(at, done(piece), label) for at, piece, label in bars]
    gone = {
        piece
        for label, (at, piece) in last.items()
        if label in {"", "train:"} and done(piece) < 10
        if any(
            later > at and count >= done(piece) and (not label or name in {"", "train:"})
            for later, count, name in counted
        )
    }
    assert {piece for _, piece in last.values()} - gone == {piece for piece in out if "%" in piece}


def done(bar: str) -> int:
    return int(bar.partition("/10 ")[0].rpartition(" ")[2])


PARTS = [
    *(
        b"\r",
        b"\b",
        b"\b\b\b",
        b"\x1b[A",
        b"\x1b[2K",
        b"\x1b[K",
        b"\x1b[1G",
        b"\x1b[F",
        b"\x1b[31m",
        b"\x1b",
        b" ",
        b"5%",
    ),
    *(b"3/7", b"|", b"[", b"]", b"#", "█".encode(), b"\xe2", b"\xff", b"error", b"a", b"[00:01<00:02, 3it/s]"),
]
HOSTILE = st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join)


@given(st.one_of(HOSTILE, st.binary(max_size=200)))
def test_nothing_is_made_up_and_pieces_of_letters_stay(line: bytes) -> None:
    out = collapse(line, unfinished=True)
    assert sorted(out.split(b"\r")) == sorted(collapse(line).split(b"\r"))
    rest = iter(line.replace(b"\r", b""))
    assert all(byte in rest for byte in out.replace(b"\r", b""))  # a subsequence
    if not {0x08, 0x1B} & set(line):
        silent = [piece for piece in line.split(b"\r") if re.fullmatch(rb"[ A-Za-z]*[A-Za-z][ A-Za-z]*", piece)]
        assert all(any(one.startswith(piece) for one in out.split(b"\r")) for piece in silent)


@given(st.one_of(HOSTILE, st.binary(max_size=200)))
def test_once_is_enough_for_what_holds_no_cursor_moves(line: bytes) -> None:
    if b"\x1b" not in line and b"\x08" not in line:
        assert collapse(collapse(line, unfinished=True)) == collapse(line)


@pytest.mark.parametrize("erased", ["\r" + " " * 90 + "\r", "\r\x1b[2K"])
@pytest.mark.parametrize("said", ["RuntimeError: CUDA out of memory", "NaN", "错误", "Error 17"])
def test_an_error_glued_to_a_bar_stays_when_the_bar_is_erased(said: str, erased: str) -> None:
    glued = tqdm(3) + said
    assert shown(f"\r{tqdm(2)}\r{glued}{erased}INFO next".encode()) == [glued, "INFO next"]
    more = f"{tqdm(4)}{said}, done"
    assert shown(f"\r{glued}\r{more}".encode()) == [glued, more]
    assert on_screen([f"\r{glued}".encode(), f"\x1b[A{erased}next".encode()]) == [glued, "next"]


def nested() -> list[bytes]:
    """Two tqdm bars, the inner one not left behind, as tqdm writes them to a file."""
    text = "\r" + tqdm(0, 2, "outer: ")
    for n in range(2):
        text += "".join("\n\r" + tqdm(i, 3, "inner: ") + "\x1b[A" for i in range(4))
        text += "\n\r" + " " * 60 + "\x1b[A\r" + tqdm(n + 1, 2, "outer: ")
    return text.encode().split(b"\n")


def stacked(count: int, steps: int) -> list[bytes]:
    """Several tqdm bars, one below the other."""
    text = ""
    for step in range(steps + 1):
        for at in range(count):
            text += "\n" * at + "\r" + tqdm(step, steps, f"f{at}: ") + "\x1b[A" * at
    return text.encode().split(b"\n")


def rich(steps: int) -> list[bytes]:
    """Two bars of rich."""
    text = "\x1b[?25l"
    for step in range(steps + 1):
        text += "\r\x1b[2K" + ("\x1b[1A\x1b[2K" if step else "")
        text += f"one {'━' * step} {step * 10}%\ntwo {'━' * step} {step * 10}%"
    return text.encode().split(b"\n")


def on_screen(lines: list[bytes]) -> list[str]:
    return [piece for line in settle(lines) if line for piece in line.decode().split("\r")]


def overwritten(lines: list[bytes]) -> tuple[bool, ...]:
    return tuple(line is None for line in settle(lines))


def test_bars_below_each_other_show_their_newest_state() -> None:
    assert on_screen(nested()) == [tqdm(2, 2, "outer: ")]
    assert sorted(on_screen(stacked(3, 4))) == [tqdm(4, 4, f"f{at}: ") for at in range(3)]
    assert on_screen(rich(5)) == [f"one {'━' * 5} 50%", f"two {'━' * 5} 50%"]


def test_a_bar_is_told_by_its_name_or_by_its_row() -> None:
    assert shown(f"\r{tqdm(9, 9)}\x1b[A\r{tqdm(1)}".encode()) == [tqdm(9, 9), tqdm(1)]
    assert shown(f"\r{tqdm(8, 9, 'in: ')}\x1b[A\r{tqdm(9, 9, 'in: ')}".encode()) == [tqdm(9, 9, "in: ")]
    # Erased to the right of a text only
    assert overwritten([b"\ra: 1%", b"\x1b[Ab: 2%\x1b[K"]) == (False, False)
    assert overwritten([b"\ra: 1%", b"\x1b[A\x1b[Kb: 2%"]) == (True, False)


def test_lines_between_bars_stay() -> None:
    lines = stacked(2, 3)
    lines[3:3] = [b"RuntimeError: boom", b"", b"\rinner: 5% worker 3 died"]
    assert [text for text in on_screen(lines) if "f0" not in text and "f1" not in text] == [
        "RuntimeError: boom",
        "inner: 5% worker 3 died",
    ]
    glued = [
        b"\rf0: 10%",
        b"\rf1: 10%|# | 1/10 [00:01<00:09, 1it/s]NaN in layer 3\x1b[A",
        b"\rf1: 20%|##| 2/10 [00:01<00:09, 1it/s]\x1b[A",
    ]
    moved = [b"\ra: 1%\x1b[A|b: 2%", b"\ra: 2%\x1b[A|b: 3%", b""]
    assert overwritten(moved) == (False, False, False)
    assert overwritten([*glued, b"\rf1: 30%|###| 3/10 [00:01<00:09, 1it/s]"]) == (False, False, True, False)


def test_blank_lines_go_only_where_a_bar_climbed_over_them() -> None:
    assert overwritten([b"a", b"", b"\r5%\x1b[A\x1b[A\x1b[A", b"words"]) == (False,) * 4
    assert overwritten([b"", b"\rf0: 5%", b"", b"\rf2: 5%\x1b[A\x1b[A\rf0: 6%"]) == (False, True, True, False)
    assert overwritten([b"", b"", b"text\x1b[99A"]) == (False,) * 3


def test_a_bar_too_far_away_stays() -> None:
    near = [b"\ra: 1%", *([b"x"] * (LOOKAHEAD - 1)), b"\x1b[%dA\ra: 2%%" % LOOKAHEAD]
    assert superseded(near[0], near[1:])
    assert overwritten(near)[0]
    far = [near[0], b"\rb: 1%\x1b[A", *near[1:]]  # one line more, on the same row as the next
    assert not superseded(far[0], far[1:])
    assert not overwritten(far)[0]


def test_ordinary_lines_are_not_looked_at() -> None:
    assert overwritten([b"a", b"\r5%", b"\r6%", b"\x1b[31mred\x1b[0m"]) == (False,) * 4
    assert not moves_up(b"\x1b[31mred\x1b[2K")
    assert moves_up(b"\x1b[A")
    assert moves_up(b"\x1b[12F")


@given(st.lists(HOSTILE, max_size=8))
def test_a_line_with_words_is_never_painted_over(lines: list[bytes]) -> None:
    for index, gone in enumerate(overwritten(lines)):
        if gone and b"error" in lines[index]:
            assert any(b"error" in line for line in lines[index + 1 :])


@pytest.mark.parametrize(
    "line",
    [
        b"\r" * 1_000_000,
        b"a\rb\r" * 250_000,
        b"a\b" * 500_000,
        b"\r5%" + b"[" * 1_000_000,
        b"\r5%" + b"-" * 1_000_000,
        (b"\r5%" + b"[" * 500) * 2000,
        b"\r" + b"\x1b[K" * 300_000,
        b"\x1b[A\r" * 250_000,
        b"".join(b"\r%d%% error %d" % (n % 100, n) for n in range(60_000)),
        b"".join(b"\r%d%% %x" % (n % 100, n * 7919) for n in range(60_000)),
    ],
    ids=lambda line: repr(line[:12]),
)
def test_a_hostile_line_costs_little_and_loses_no_word(line: bytes) -> None:
    # No clock: what would be quadratic here would run into the time limit of the test.
    out = collapse(line)
    assert out.count(b"error") == line.count(b"error")


def test_a_line_with_too_many_pieces_stays_as_it_is() -> None:
    assert collapse(b"\r5%" * 60_000) == b"5%"
    assert collapse(b"\r5%" * 70_000) == b"\r5%" * 70_000


@given(
    st.lists(st.one_of(WORDS, BARS, st.sampled_from(["", "5%"])), max_size=12),
    st.integers(0, 12),
)
def test_a_line_may_be_collapsed_as_it_grows(pieces: list[str], at: int) -> None:
    earlier, later = ("\r".join(part).encode() for part in (pieces[:at], pieces[at:]))
    whole = earlier + b"\r" + later
    assert collapse(collapse(earlier, unfinished=True) + b"\r" + later) == collapse(whole)

"""Bars whose words change while they count on: the newest state is seen, and nothing that says more is lost."""

from __future__ import annotations

import pytest

from monitors.logs import bars, counts
from monitors.logs.bars import LONGEST, Kind, flatten, look, said
from monitors.logs.counts import Counts
from monitors.logs.progress import collapse, settle
from tests.hosts.cost import UNBOUNDED, hostile, little_work
from tests.monitors.logs.test_progress import tqdm

NAMES = ["alpha.txt", "beta.bin", "gamma.md", "delta.py"]


def rewritten(*states: str) -> bytes:
    return "".join(f"\r{state}" for state in states).encode()


def described(describe: str, total: int = 40) -> bytes:
    """A bar of tqdm whose description is set before every step."""
    states = [tqdm(0, total)]
    for n in range(total):
        label = describe.format(n=n, name=NAMES[n % 4], word="abcdefgh"[n % 8] * 3) + ": "
        states += [tqdm(n, total, label), tqdm(n + 1, total, label)]
    return rewritten(*states)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        *[
            (described(describe), tqdm(40, 40, describe.format(n=39, name="delta.py", word="hhh") + ": "))
            for describe in (
                "Processing {name}",
                "Processing shard_{n:05d}.parquet",
                "shard {n}",
                "Scoring {word}",
                "{word} error_log.txt",
                "layer model.layers.{n}.mlp",
            )
        ],
        # What stands behind the bar changes, or is cut
        (rewritten(*(tqdm(n, tail=", " + "abc"[n % 3]) for n in range(11))), tqdm(10, tail=", b")),
        (rewritten(*(tqdm(n, tail=f", loss={7 / 10**(n % 4):.3g}, norm=0.{n}")[:64] for n in range(11))),
         tqdm(10, tail=f", loss={7 / 10**2:.3g}, norm=0.10")[:64]),
        (rewritten(*(tqdm(n, tail=f", ok={n}, failed=0") for n in range(11))), tqdm(10, tail=", ok=10, failed=0")),
        # Two of the same count, a full one that is drawn twice
        (rewritten(*(tqdm(n, 20, "train: " if n % 10 < 8 else "valid: ") for n in range(21))), tqdm(20, 20, "train: ")),
        (rewritten(tqdm(10, tail=", a=1"), tqdm(10, tail=", b")), tqdm(10, tail=", b")),
        # Text that was printed into the bar's line
        (rewritten(tqdm(1), tqdm(2) + "step 50: loss=0.50"), tqdm(2) + "step 50: loss=0.50"),
        # Other counters
        (rewritten(*(f"[{n}/345] Building CXX object src/{'xyz'[n % 3]}{NAMES[n % 4]}.cc.o\x1b[K" for n in range(346))),
         "[345/345] Building CXX object src/xbeta.bin.cc.o"),
        (rewritten(*(f"[{n:3d}%] Building CUDA object {NAMES[n % 4]}.o" for n in range(101))),
         "[100%] Building CUDA object alpha.txt.o"),
        (b"".join(b"\x1b[1m    Building\x1b[0m [%-9s] %d/9: %s\r" % (b"=" * n + b">", n, NAMES[n % 4].encode())
                  for n in range(9)), "\x1b[1m    Building\x1b[0m [========>] 8/9: alpha.txt"),
        (rewritten(*(f"Processed {n} / 100 requests, errors: 0, retries: {n // 30}" for n in range(101))),
         "Processed 100 / 100 requests, errors: 0, retries: 3"),
        (rewritten(*(f"[{n:3d}/100] task={NAMES[n % 4]} ok={n} failed={n // 20} errors=0" for n in range(101))),
         "[100/100] task=alpha.txt ok=100 failed=5 errors=0"),
        (rewritten(*(f"Epoch 1/3 step {n}/50 loss {'nan' if n > 40 else n}" for n in range(51))),
         "Epoch 1/3 step 50/50 loss nan"),
        (rewritten(*(f"Downloading {n / 2:.1f}/50.0 MB {'.' * (n % 4)} from {NAMES[n % 3]}" for n in range(101))),
         "Downloading 50.0/50.0 MB  from beta.bin"),
        (rewritten(*(f"{n}% done, at {NAMES[n % 4]}" for n in range(101))), "100% done, at alpha.txt"),
        (rewritten(*(f"Compiling {name} ({n} of 4)" for n, name in enumerate(NAMES))), "Compiling delta.py (3 of 4)"),
        (rewritten(*(f"{'⠋⠙⠹⠸'[n % 4]} Copying {NAMES[n % 4]} {n}/9 files" for n in range(10))),
         "⠙ Copying beta.bin 9/9 files"),
        (rewritten(*(f"step {n}/9 train error: 0.{n} {'ab'[n % 2]}" for n in range(9))), "step 8/9 train error: 0.8 a"),
    ],
)  # fmt: skip
def test_the_newest_state_is_all_that_is_shown(line: bytes, expected: str) -> None:
    assert collapse(line).decode() == expected


@pytest.mark.parametrize(
    "pieces",
    [
        # They say more than how far they are
        ["3/9 Connection refused by a", "4/9 step b"],
        [tqdm(1, tail=", RuntimeError: x"), tqdm(2, tail=", b")],
        [tqdm(1, label="worker died, retrying: "), tqdm(2, label="b: ")],
        ["[318/345] FAILED: a.o", "[319/345] Building b.o"],
        ["[1/9] a.c: warning: unused", "[2/9] b.c"],
        # The number of errors is not told by a later one
        ["1/9 a, errors: 3", "2/9 b, errors: 0"],
        ["Processed 3 / 9, errors: 3", "Processed 4 / 9, errors: 0"],
        ["1/9 a, 2 failed", "2/9 b"],
        [tqdm(1, tail=", failed=2, ok=1"), tqdm(2, tail=", failed=1, ok=2")],
        [tqdm(3, label="loss nan: "), tqdm(4, label="loss 0.5: ")],
        # It is another bar: one that was done, of another total, behind, of another rank, file or epoch
        [tqdm(10, label="train: "), tqdm(10, label="valid: ")],
        [tqdm(4, 8, label="train: "), tqdm(6, 9, label="valid: ")],
        [tqdm(5, label="train: "), tqdm(4, label="valid: ")],
        [tqdm(4, 9, label="rank0: "), tqdm(5, 9, label="rank1: ")],
        [tqdm(4, label="Epoch 7: "), tqdm(5, label="Epoch 8: ")],
        ["a.bin: 40%|#| 1.2G/3.0G [00:01<00:02]", "b.bin: 50%|#| 1.5G/3.0G [00:01<00:02]"],
        ["alpha.bin: 12%", "beta.bin: 13%"],
        ["Loading 2/3", "Saving 3/3"],
        # It is no progress: results, times, versions, addresses
        ["accuracy 40% on task a", "accuracy 50% on task b"],
        ["GPU 35% memory a", "GPU 36% memory b"],
        ["11/22 10:00:00 a begins", "11/22 10:00:01 b begins"],
        ["INFO 10:00:00 5/10 a", "INFO 10:00:01 6/10 b"],
        ["10.0.0.1/24 up", "10.0.0.2/24 down"],
        ["v1/2 a", "v1/3 b"],
    ],
)
def test_what_is_no_older_state_stays(pieces: list[str]) -> None:
    line = "\r".join(pieces).encode()
    assert collapse(line, unfinished=True).decode().split("\r") == pieces
    assert sorted(collapse(line).decode().split("\r")) == sorted(pieces)


def test_a_bar_that_began_again_leaves_nothing_behind() -> None:
    assert collapse(rewritten("[7/9] a", "[1/9] b", "[2/9] c")) == b"[2/9] c"
    assert collapse(rewritten(tqdm(7, label="a: "), tqdm(0, label="a: "), tqdm(1))) == tqdm(1).encode()


def test_what_a_terminal_shows_in_the_end_stands_first_where_there_is_a_bar() -> None:
    said_before = ["ERROR: rank 3 is lost", "WARNING: slow"]
    assert collapse(rewritten(*said_before, tqdm(1), tqdm(2))).decode().split("\r") == [tqdm(2), *said_before]
    assert collapse(rewritten(tqdm(2), "INFO saved")).decode().split("\r") == ["INFO saved", tqdm(2)]
    many = rewritten(*(f"3/9 retry after {name}" for name in NAMES * 99), tqdm(9))
    assert collapse(many).decode().startswith(tqdm(9) + "\r3/9 retry")
    assert collapse(rewritten(tqdm(1), "Epoch 1", tqdm(2) + "Error: 17")).decode().split("\r") == [
        tqdm(2) + "Error: 17",
        "Epoch 1",
    ]
    # Lines that are ended by carriage returns are read from their beginning on, and rows from above
    assert collapse(b"first\rsecond\rlast") == b"first\rsecond\rlast"
    assert collapse(f"\r{tqdm(9, 9)}\x1b[A\r{tqdm(1)}".encode()).decode().split("\r") == [tqdm(9, 9), tqdm(1)]


def test_the_same_in_utf_16_and_among_lines_that_climb() -> None:
    line = rewritten("ERROR: x", tqdm(1), tqdm(2))
    for encoding in ("utf-16-le", "utf-16-be"):
        wide = line.decode().encode(encoding)
        assert collapse(wide, encoding) == collapse(line).decode().encode(encoding)
    climbing = [line, b"\rother: 1%", b"\x1b[A\rother: 2%"]
    assert settle(climbing)[0] == collapse(line)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("errors: 0, failed=0", {}),
        ("errors: 3, failed=12, Retries: 4/5", {b"errors": 3, b"failed": 12, b"retries": 4}),
        ("2 failed, 1 errors", {b"failed": 2, b"errors": 1}),
        ("train error: 0.12", {}),
        ("loss=NaN", {b"nan": 1}),
        ("src/error_handling.cc.o", {}),
        ("errors: 3 of rank a: RuntimeError", None),
        ("failed: 3x", None),
        ("Error 17", None),
        ("connection lost", None),
        ("[00:01<00:02, 3it/s]step 3", None),
    ],
)
def test_counts_of_what_went_wrong_are_no_alarms(text: str, told: dict[bytes, int] | None) -> None:
    assert said(text.encode()) == told


@pytest.mark.parametrize(
    "unit",
    [
        *(b"[", b"1/", b"9", b"1%|", b"a:", b"errors:0", b"a.", b" ", b"x", b"1,1", b"- ", b"\x1b[0", b"1 of ", b"0 "),
        *(b"<", b"s/", b"1.", b"|", b"1-", b"#"),
    ],
)
def test_hostile_texts_cost_little(unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "LONGEST", UNBOUNDED)
    monkeypatch.setattr(counts, "_LONGEST_TEXT", UNBOUNDED)
    with little_work():
        for end in (b" 3/9 50% errors: 3", b" 50%|##| 3/9 [00:01<00:02] lost"):
            text = b"[" + hostile(unit, end)
            Counts().of(text)
            said(text)
            look(flatten(text), text)


def test_what_is_longer_than_any_bar_is_none() -> None:
    name, bar = b"x" * LONGEST, b" 3/9"
    assert look(flatten(name[: -len(bar)] + bar), b"").kind is Kind.BAR
    assert look(flatten(name[: 1 - len(bar)] + bar), b"").kind is Kind.TEXT
    names = name * 4
    assert Counts().of(names[: -len(bar)] + bar) is not None
    assert Counts().of(names[: 1 - len(bar)] + bar) is None

"""The viewers that are measured: how each is started, what its keys are, and how one sees what it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.logs_screen import Screen

TOOLONG = "toolong==1.5.0"
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Keys:
    """What a viewer's keys are, None where it has none for that.

    Attributes:
        search: Those before the words that are looked for, one after another; `go` follows the words.
        regex: The same for a regular expression.
        next: Goes to the first line found, where that does not happen by itself.
        ask: Opens a prompt at the foot of the screen, `leave` closes it; `asks` says whether it is open.
        filter: Those before the words that all lines shown are to hold.
        cancel: Gives a search up.
        let_go: Leaves the end of a growing log; `up` and `down` then move by a line.
    """

    top: bytes | None = b"g"
    end: bytes | None = b"G"
    search: tuple[bytes, ...] | None = (b"/",)
    regex: tuple[bytes, ...] | None = None
    go: bytes = b"\r"
    next: bytes = b""
    ask: bytes | None = None
    leave: bytes = b"\x1b"
    asks: Callable[[Screen], bool] = field(default=lambda screen: False)
    filter: bytes | None = None
    cancel: bytes | None = None
    let_go: bytes | None = None
    up: bytes = b"k"
    down: bytes = b"j"


@dataclass(frozen=True)
class Peer:
    """One viewer.

    Attributes:
        name: How it is called in the table.
        argv: Opens a log; the log's path follows.
        follow: Opens a log and follows it.
        keys: See there.
        counted: Whether the number of lines on the screen is the true one; None where it never says.
        sought: Whether the screen says that the whole log was searched; None where it never says.
        filtered: Likewise for a filter.
        searches: Whether the screen says that it is searching.
        nudge: Keys that make it say the number.
        busy: What it shows while it counts, where it never says the number.
        env: What it needs in its environment.
        version: What it says of itself.
    """

    name: str
    argv: tuple[str, ...]
    follow: tuple[str, ...]
    keys: Keys = Keys()
    counted: Callable[[Screen, int], bool] | None = None
    sought: Callable[[Screen], bool] | None = None
    filtered: Callable[[Screen], bool] | None = None
    searches: Callable[[Screen], bool] | None = None
    nudge: bytes = b""
    busy: str = ""
    env: dict[str, str] = field(default_factory=dict)
    version: str = ""


def find_peers(folder: Path, names: Sequence[str], install: bool, toolong: str | None) -> tuple[list[Peer], list[str]]:
    """What there is to measure on this machine.

    Args:
        folder: Where a viewer's settings go, and what is installed.
        names: Those wanted; all of them if empty.
        install: Whether toolong may be installed from the package index, into `folder`.
        toolong: Its command, where it is installed already.

    Returns:
        The viewers, ours first, and one line for each that is missing.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "LESSHISTFILE": "-"}
    found: list[Peer] = []
    missing: list[str] = []
    for name, make in _PEERS.items():
        if names and name not in names:
            continue
        try:
            peer = make(folder, install, toolong)
        except _MissingError as error:
            missing.append(f"{name}: not measured: {error}")
            continue
        found.append(_with(peer, env))
    return found, missing


class _MissingError(Exception):
    pass


def _with(peer: Peer, env: dict[str, str]) -> Peer:
    version = peer.version or version_of([peer.argv[0], "--version"])
    return replace(peer, env={**env, **peer.env}, version=version)


def version_of(argv: Sequence[str]) -> str:
    """The number that a program says it is."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    number = re.search(r"\d+(?:\.\d+)*", done.stdout + done.stderr)
    return number.group() if number else "?"


def _needs(command: str) -> str:
    found = shutil.which(command)
    if found is None:
        raise _MissingError(f"{command} is not installed")
    return found


def says(screen: Screen, number: int) -> bool:
    """Whether the screen shows this number, in one of the ways that people write numbers."""
    ways = (str(number), f"{number:,}", f"{number:_}", f"{number:,}".replace(",", " "), f"{number:,}".replace(",", " "))
    pattern = r"(?<![\d,._])(?:" + "|".join(map(re.escape, ways)) + r")(?![\d]|[,._]\d)"
    return any(re.search(pattern, line) for line in screen.lines())


def _gatewatch(folder: Path, install: bool, toolong: str | None) -> Peer:
    argv = (sys.executable, str(_ROOT / "gatewatch.py"), "tail")
    keys = Keys(
        regex=(b"/", b"\x12"),
        ask=b"/",
        filter=b"&",
        cancel=b"\x1b",
        let_go=b"\x1b[5~",
        up=b"\x1b[A",
        down=b"\x1b[B",
        asks=lambda screen: screen.line(-2).startswith("find "),
    )

    def sought(screen: Screen) -> bool:
        return screen.line(-2).rstrip().endswith("1 of 1")

    def filtered(screen: Screen) -> bool:
        return "shown of" in screen.line(-2) and "filtered" not in screen.line(-2)

    def searches(screen: Screen) -> bool:
        return re.search(r"\d found, \d+ %$", screen.line(-2).rstrip()) is not None

    # Byte code is written once, as an installation has it, and not into this tree
    state = {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    state |= {f"XDG_{name}_HOME": str(folder / "home" / name.lower()) for name in ("STATE", "CACHE", "DATA")}
    version = version_of([*argv[:2], "--version"])
    return Peer("gatewatch", argv, argv, keys, says, sought, filtered, searches, env=state, version=version)


def _toolong(folder: Path, install: bool, toolong: str | None) -> Peer:
    if toolong is None and install:
        toolong = _installed(folder / "toolong")
    if toolong is None:
        raise _MissingError(f"give --peers to install {TOOLONG} into a folder of its own, or --toolong COMMAND")
    keys = Keys(
        top=b"\x1b[H",
        end=b"\x1b[F",
        search=(b"\x06",),
        go=b"\x1b[B",
        ask=b"\x06",
        asks=lambda screen: "Case sensitive" in screen.line(2),
        let_go=b"\x1b[5~",
        up=b"\x1b[A",
        down=b"\x1b[B",
    )
    return Peer("toolong", (toolong,), (toolong,), keys, busy="Scanning")


def _installed(folder: Path) -> str:
    """A virtual environment with toolong alone, which needs a textual of its own."""
    try:
        venv.create(folder, with_pip=True)
        subprocess.run(
            [folder / "bin" / "python", "-m", "pip", "install", "--quiet", TOOLONG],
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or str(error)).strip().splitlines()
        raise _MissingError(f"{TOOLONG} cannot be installed: {said[-1]}") from error
    return str(folder / "bin" / "tl")


def _lnav(folder: Path, install: bool, toolong: str | None) -> Peer:
    argv = (_needs("lnav"),)
    keys = Keys(
        next=b"n",
        ask=b":",
        leave=b"\x1d",
        asks=lambda screen: screen.line(-1).startswith(":"),
        filter=b":filter-in ",
        let_go=b"\x1b[5~",
    )

    def counted(screen: Screen, number: int) -> bool:
        return f" L{number - 1} " in screen.line(-2)  # counts from 0, and names the line that is looked at

    return Peer("lnav", argv, argv, keys, counted, nudge=b"G", version=version_of(["lnav", "-V"]))


def _less(folder: Path, install: bool, toolong: str | None) -> Peer:
    less = _needs("less")
    return Peer("less +F", (less,), (less, "+F"), Keys(regex=(b"/",), filter=b"&"))


def _tail(folder: Path, install: bool, toolong: str | None) -> Peer:
    argv = (_needs("tail"), "-n", "50", "-f")
    return Peer("tail -f", argv, argv, Keys(top=None, end=None, search=None))


_PEERS: dict[str, Callable[[Path, bool, str | None], Peer]] = {
    "gatewatch": _gatewatch,
    "toolong": _toolong,
    "lnav": _lnav,
    "less": _less,
    "tail": _tail,
}


def ripgrep() -> str | None:
    """Where ripgrep is."""
    return shutil.which("rg")

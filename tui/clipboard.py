"""How copied text leaves the program: through the terminal or its tmux, a program of the desktop, or into a file.

A terminal does not say whether it took a text (OSC 52), and refuses long ones in silence, so long texts go to a file.
tmux throws what a program sends that way away unless it is set up otherwise, but it takes a text that it is given.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hosts.errors import InputError
from hosts.paths import Paths

LIMIT = 74_994
"""The longest text that is handed to a terminal, in encoded bytes; k9s found that terminals take no more."""

_NATIVE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("", ("pbcopy",)),
)
_PATIENCE = 5.0  # seconds
_TMUX_PATIENCE = 1.5  # seconds, for all that it is asked; less than is waited for as one leaves
_TERMINAL = 2  # the descriptor that the framework paints on
_SCREENFUL = 250
"""Characters that GNU screen passes on in one sequence; of a longer one it shows the rest, older ones from 256 on."""

_ASKED = ("show-options", "-sv", "set-clipboard", ";", "list-panes", "-a", "-F", "#{pane_tty}")


class Way(Enum):
    """Where copied text goes."""

    AUTO = "auto"
    NATIVE = "native"
    OSC52 = "osc52"
    FILE = "file"


@dataclass(frozen=True)
class Copied:
    """What became of a copied text.

    Attributes:
        told: One line for people.
        sequence: What the terminal has to be sent for it, or "".
    """

    told: str
    sequence: str = ""


def way(env: Mapping[str, str]) -> Way:
    """The way that GATEWATCH_CLIPBOARD or CLIPBOARD asks for; auto where neither does.

    Raises:
        InputError: It names none.
    """
    for name in ("GATEWATCH_CLIPBOARD", "CLIPBOARD"):
        asked = env.get(name, "")
        if asked:
            try:
                return Way(asked)
            except ValueError:
                ways = ", ".join(known.value for known in Way)
                raise InputError(f"{name} is {asked!r}; it may be {ways}") from None
    return Way.AUTO


def osc52(text: str) -> str | None:
    """The control sequence that hands `text` to a terminal's clipboard, None where the text is too long for it."""
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    return f"\x1b]52;c;{encoded}\x07" if len(encoded) <= LIMIT else None


def terminal_name() -> str | None:
    """The device that our terminal is, None where that has no name here."""
    try:
        return os.ttyname(_TERMINAL)
    except OSError:
        return None


async def copy(
    text: str,
    what: str,
    env: Mapping[str, str],
    *,
    find: Callable[[str], str | None] = shutil.which,
    terminal: Callable[[], str | None] = terminal_name,
) -> Copied:
    """Copy `text`; other programs that take it are waited for, but not for ever.

    Args:
        text: Safe and without secrets already.
        what: What it is, for what is told: "12 lines".
        env: Environment variables.
        find: Finds a program on PATH.
        terminal: Gives the device that our terminal is.

    Raises:
        InputError: The environment asks for a way that does not exist or does not work here.
    """
    asked = way(env)
    if asked is Way.NATIVE:
        return await asyncio.to_thread(_native, text, what, env, find)
    bare = await asyncio.to_thread(osc52, text) if asked is not Way.FILE else None
    if bare is None:
        path = await asyncio.to_thread(_to_file, text, env)
        why = "" if asked is Way.FILE else ": too long for a terminal's clipboard"
        return Copied(f"{what} written to {path}{why}")
    if not env.get("TMUX"):
        return Copied(f"{what} sent to the terminal's clipboard", _to_terminal(bare, env))
    tmux = await _to_tmux(text, env, find, terminal, give=asked is Way.AUTO)
    wrapped = f"\x1bPtmux;{bare.replace(chr(27), chr(27) * 2)}\x1b\\"  # comes through with allow-passthrough on
    if not tmux.refused and tmux.ours:
        told = f"{what} in tmux's buffer: prefix ] pastes it; the terminal's clipboard may have it too"
        return Copied(told, wrapped)
    if not tmux.refused:
        told = f"{what} sent to the terminal's clipboard, and in the buffer of the tmux that TMUX names"
        return Copied(told, _to_terminal(bare, env))
    told = f"{what} sent to the terminal; within tmux it has it only where set-clipboard or allow-passthrough is on"
    within = not tmux.ours and _in_screen(env)
    return Copied(f"{told} ({tmux.refused})", _to_terminal(bare, env) if within else bare + wrapped)


def _in_screen(env: Mapping[str, str]) -> bool:
    """Whether it seems to be GNU screen that shows us; a terminal that was started from there has another TERM."""
    return bool(env.get("STY")) and env.get("TERM", "").startswith("screen")


def _to_terminal(bare: str, env: Mapping[str, str]) -> str:
    """The sequence, so that GNU screen passes it on: it drops a short one, and shows the text of a long one."""
    if not _in_screen(env):
        return bare
    return "".join(f"\x1bP{bare[at : at + _SCREENFUL]}\x1b\\" for at in range(0, len(bare), _SCREENFUL))


@dataclass(frozen=True)
class _Tmux:
    """What came of asking the tmux that TMUX names, which whoever was started within it is told too.

    Attributes:
        ours: Our terminal is one of its panes.
        refused: Why it has not got the text, or "".
    """

    ours: bool
    refused: str


async def _to_tmux(
    text: str,
    env: Mapping[str, str],
    find: Callable[[str], str | None],
    terminal: Callable[[], str | None],
    *,
    give: bool,
) -> _Tmux:
    """Make `text` tmux's newest buffer, and that of its terminal's clipboard, where it is to be given to it."""
    ours, refused = False, "tmux did not take it" if give else "CLIPBOARD=osc52"
    program = await asyncio.to_thread(find, "tmux")
    if program is None:
        return _Tmux(ours, "there is no tmux on PATH to give it to" if give else refused)
    data = text.encode("utf-8", "replace")
    try:
        async with asyncio.timeout(_TMUX_PATIENCE):
            found = (await _tmux((program, *_ASKED), env) or b"\n").decode("utf-8", "replace")
            clips, *panes = found.splitlines()
            ours = terminal() in panes
            # With -w it goes to the terminal's clipboard even where that is off; tmux before 3.2 does not know it.
            for options in ((),) if clips == "off" else (("-w",), ()):
                if give and await _tmux((program, "load-buffer", *options, "-"), env, data) is not None:
                    return _Tmux(ours, "")
    except TimeoutError:
        refused = f"tmux gave no answer within {_TMUX_PATIENCE:g} s" if give else refused
    except OSError as error:
        refused = f"tmux cannot be started: {error.strerror}" if give else refused
    return _Tmux(ours, refused)


async def _tmux(argv: Sequence[str], env: Mapping[str, str], data: bytes = b"") -> bytes | None:
    """What it prints, None where it fails; it is killed where nobody waits for it any more."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=dict(env),
        start_new_session=True,  # what it may have started dies with it
    )
    try:
        printed, _ = await process.communicate(data)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return printed if process.returncode == 0 else None


def _native(text: str, what: str, env: Mapping[str, str], find: Callable[[str], str | None]) -> Copied:
    for needs, argv in _NATIVE:
        program = find(argv[0]) if not needs or env.get(needs) else None
        if program is None:
            continue
        try:
            done = subprocess.run(
                [program, *argv[1:]],
                input=text.encode("utf-8", "replace"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(env),
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{argv[0]} did not take the text: {error}") from None
        if done.returncode:
            raise InputError(f"{argv[0]} did not take the text: it ended with {done.returncode}")
        return Copied(f"{what} copied with {argv[0]}")
    raise InputError("CLIPBOARD=native needs wl-copy, xclip or pbcopy, and a display")


def _to_file(text: str, env: Mapping[str, str]) -> Path:
    paths = Paths.from_environment(env)
    folder = paths.ensure(paths.state / "copied")
    handle, name = tempfile.mkstemp(prefix="copied-", suffix=".txt", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise InputError(f"cannot write {name}: {error.strerror}") from None
    return Path(name)

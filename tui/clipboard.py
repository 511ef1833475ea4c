"""How copied text leaves the program: through the terminal, through a program of the desktop, or into a file.

A terminal does not say whether it took a text (OSC 52), and refuses long ones in silence, so long texts go to a file.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
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


def osc52(text: str, env: Mapping[str, str]) -> str | None:
    """The control sequence that hands `text` to a terminal's clipboard, None where the text is too long for it.

    Within tmux it is sent twice: bare for `set-clipboard on`, wrapped for `allow-passthrough on`.
    """
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(encoded) > LIMIT:
        return None
    bare = f"\x1b]52;c;{encoded}\x07"
    if not env.get("TMUX"):
        return bare
    return f"{bare}\x1bPtmux;{bare.replace(chr(27), chr(27) * 2)}\x1b\\"


def copy(
    text: str,
    what: str,
    env: Mapping[str, str],
    *,
    find: Callable[[str], str | None] = shutil.which,
) -> Copied:
    """Copy `text`; it waits for other programs, so call it from a thread.

    Args:
        text: Safe and without secrets already.
        what: What it is, for what is told: "12 lines".
        env: Environment variables.
        find: Finds a program on PATH.

    Raises:
        InputError: The environment asks for a way that does not exist or does not work here.
    """
    asked = way(env)
    if asked is Way.NATIVE:
        return _native(text, what, env, find)
    if asked is not Way.FILE:
        sequence = osc52(text, env)
        if sequence is not None:
            return Copied(f"{what} copied", sequence)
    path = _to_file(text, env)
    why = "" if asked is Way.FILE else ": too long for a terminal's clipboard"
    return Copied(f"{what} written to {path}{why}")


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

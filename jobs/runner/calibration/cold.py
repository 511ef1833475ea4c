"""Emptying caches that CI starts without, before every launch (spec/calibration.md, section 4, cold_paths)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from hosts.errors import InputError

DEFAULT_BELOW_HOME = ".cache/flashinfer"


def cold_paths(configured: Sequence[str] | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The folders to empty for a launch with `environment`.

    None means the default folder. Only below $OMNI_CI_HOME: a relative path is taken from there, and without
    OMNI_CI_HOME nothing is emptied.

    Raises:
        InputError: A configured path leaves OMNI_CI_HOME, is OMNI_CI_HOME itself, or leads through a link.
    """
    home_text = environment.get("OMNI_CI_HOME")
    if not home_text:
        if configured:
            raise InputError("cold_paths needs OMNI_CI_HOME: only folders below it are ever emptied")
        return ()
    home = Path(os.path.realpath(home_text))
    return tuple(
        _below(home, home_text, text) for text in ((DEFAULT_BELOW_HOME,) if configured is None else configured)
    )


def _below(home: Path, home_text: str, text: str) -> Path:
    named = Path(home_text, text.replace("$OMNI_CI_HOME", home_text, 1))
    if ".." in Path(text).parts:
        raise InputError(f"cold_paths: {text!r} holds '..'; name the folder itself, below OMNI_CI_HOME")
    base = next((base for base in (Path(home_text), home) if base in named.parents), None)
    if base is None:
        raise InputError(f"cold_paths: {text!r} does not lie below OMNI_CI_HOME ({home})")
    folder = home / named.relative_to(base)
    if Path(os.path.realpath(folder)) != folder:
        raise InputError(f"cold_paths: {text!r} leads through a symbolic link, which is not followed ({folder})")
    return folder


def empty(folder: Path) -> int:
    """Remove everything in `folder` and keep the folder; links inside are removed, never followed.

    Returns:
        How many entries were removed; 0 when there is no such folder.

    Raises:
        OSError: Something could not be removed.
        InputError: `folder` itself is a link, or this platform cannot remove a tree without following links.
    """
    if folder.is_symlink():
        raise InputError(f"{folder} is a symbolic link and is not emptied")
    if not shutil.rmtree.avoids_symlink_attacks:
        raise InputError("this platform cannot empty a folder without following links")
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return 0
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    return len(entries)

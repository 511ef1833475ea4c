"""Every folder of our own, in one place (XDG base directories); each is made on first use, for its owner alone."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hosts.errors import InputError

_NAME = "gatewatch"


@dataclass(frozen=True)
class Paths:
    """The folders of one user. Reading an attribute makes nothing; `ensure` does.

    `GATEWATCH_CONFIG_DIR`, `GATEWATCH_STATE_DIR`, `GATEWATCH_CACHE_DIR` and `GATEWATCH_DATA_DIR` name one
    directly; otherwise the XDG variables and their defaults hold.

    Attributes:
        config: Settings that a person writes.
        state: What we must not lose: leases, acknowledgements, records of what was started.
        cache: What can be made again: clones, parsed logs.
        data: What we keep for a person: reports, archived runs.
    """

    config: Path
    state: Path
    cache: Path
    data: Path

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Paths:
        """Work the folders out from environment variables; touches no file.

        Raises:
            InputError: One of our own variables holds a relative path, or there is no home folder to start from.
        """
        return cls(
            config=_folder(env, "CONFIG", ".config"),
            state=_folder(env, "STATE", ".local/state"),
            cache=_folder(env, "CACHE", ".cache"),
            data=_folder(env, "DATA", ".local/share"),
        )

    def ensure(self, folder: Path) -> Path:
        """Make one of these folders, or a folder below one, with mode 0700 where it is missing, and check it.

        Raises:
            InputError: It cannot be made, belongs to someone else, is writable by others, or a symbolic link
                stands in its place. Only the config folder may be a link, as people keep theirs under git.
        """
        base = next((base for base in (self.config, self.state, self.cache, self.data) if _within(folder, base)), None)
        if base is None:
            raise InputError(f"{folder} is not within a folder of gatewatch")
        try:
            base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            steps = [base, *(base.joinpath(*part) for part in _prefixes(folder.relative_to(base).parts))]
            for step in steps:
                step.mkdir(mode=0o700, exist_ok=True)
                _check(step, may_be_link=step == self.config)
        except OSError as error:
            raise InputError(f"cannot use the folder {folder}: {_reason(error)}") from None
        return folder


def _folder(env: Mapping[str, str], kind: str, default: str) -> Path:
    own = env.get(f"GATEWATCH_{kind}_DIR", "")
    if own:
        if not os.path.isabs(own):
            raise InputError(f"GATEWATCH_{kind}_DIR must be an absolute path, not {own!r}")
        return Path(own)
    base = env.get(f"XDG_{kind}_HOME", "")
    # The specification wants a relative value ignored
    return Path(base) / _NAME if os.path.isabs(base) else _home(env) / default / _NAME


def _home(env: Mapping[str, str]) -> Path:
    home = env.get("HOME", "")
    if not os.path.isabs(home):
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            raise InputError("there is no home folder: set HOME, or the GATEWATCH_*_DIR variables") from None
    return Path(home)


def _within(folder: Path, base: Path) -> bool:
    return folder.is_relative_to(base) and ".." not in folder.relative_to(base).parts


def _prefixes(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [parts[: count + 1] for count in range(len(parts))]


def _check(folder: Path, *, may_be_link: bool) -> None:
    """Look at the folder itself through a descriptor, so that it cannot be exchanged under the look (SAFETY G3)."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    fd = os.open(folder, flags if may_be_link else flags | os.O_NOFOLLOW)
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    if status.st_uid != os.geteuid():
        raise InputError(f"the folder {folder} belongs to user {status.st_uid}, not to you")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(f"the folder {folder} can be written by others; chmod go-w it")


def _reason(error: OSError) -> str:
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]

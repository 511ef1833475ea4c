"""What could not be run on a host: the Python, the one that leads into a container, or anything at all."""

from __future__ import annotations

import posixpath
import re

from hosts.errors import NoPythonError, UnreachableError

_NAME = r"['‘\"]?(?P<name>[^\s:'‘’\"]+)['’\"]?"
_SAID = (
    # sh, bash, ksh, csh, sudo, env; what cannot be run may be there
    re.compile(
        rf"(?:^|\s){_NAME}: (?:(?:command )?not found|No such file or directory|Permission denied)\.?\Z", re.IGNORECASE
    ),
    re.compile(rf"(?:command not found|unknown command): {_NAME}\Z", re.IGNORECASE),  # zsh, fish
)
_POINTED_AT = re.compile(r"^\^~*\^?\Z")  # the last that fish says is an arrow
_NO_COMMANDS = re.compile(
    r"sftp connections only|restricted by (?:rssh|scponly)|account is (?:currently )?not available", re.IGNORECASE
)
_FISH = re.compile(r"^fish: Unknown command: [\w./+-]+$", re.MULTILINE)


class NoCommandError(UnreachableError):
    """An account that says it runs no commands: it may be for files alone."""


def forbids(said: str) -> str:
    """The line in which an account says that it runs no commands, as sshd and nologin do; "" for none."""
    return next((line for line in said.splitlines() if _NO_COMMANDS.search(line)), "")


def not_run(python: str, host: str, said: str, errors: str = "") -> NoPythonError:
    """What a person is told of a helper that could not be started.

    Args:
        python: The Python that was to run it.
        host: Where.
        said: What the shell there, or `enter`, said last; plain.
        errors: All that was said, as it came.
    """
    if _POINTED_AT.match(said) and (lines := _FISH.findall(errors)):
        said = lines[-1]
    found = next((match["name"] for pattern in _SAID if (match := pattern.search(said))), python)
    if posixpath.basename(found) == posixpath.basename(python):
        return NoPythonError(f"{python} cannot be run on {host} ({said}); set `python:` in the profile")
    return NoPythonError(f"{found} cannot be run on {host} ({said}); correct `enter:` or `python:` in the profile")

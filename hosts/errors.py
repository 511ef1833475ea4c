"""The errors that a person is told about, each in one clear line.

Everything that gatewatch raises on purpose descends from `GatewatchError`; the command line maps the
subclass to an exit code (DESIGN, "Exit codes") and prints the message alone. A traceback is a bug.
"""

from __future__ import annotations


class GatewatchError(Exception):
    """Something went wrong that has one clear line; `code` is the exit code that goes with it."""

    code = 2


class InputError(GatewatchError):
    """A person's input is wrong: an option, a file, a key, a line. Nothing was changed."""

    code = 2


class NoPythonError(InputError):
    """A host has no Python that our helper could run in."""


class RefusedError(GatewatchError):
    """A gate says no: the action was understood and is not allowed now. Nothing was changed."""

    code = 1


class NotYetError(GatewatchError):
    """The answer is unknown, or the thing asked about has not ended."""

    code = 3


class UnreachableError(GatewatchError):
    """A host could not be reached, or stopped answering before the deadline."""

    code = 4


class VerbError(GatewatchError):
    """A verb failed on the host; `kind` says how: input, refused, not-yet, unknown-verb, internal."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = {"refused": RefusedError.code, "not-yet": NotYetError.code}.get(kind, InputError.code)

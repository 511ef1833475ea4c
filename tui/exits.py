"""Exit codes: what a script may rely on (DESIGN, "Exit codes")."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from gates.verdict import Decision


class ExitCode(enum.IntEnum):
    """What a command says with its exit code."""

    OK = 0
    """The gate passes, or the command did what was asked; a declined prompt too."""
    SAYS_NO = 1
    """The gate says no; `audit`, `plan`, `apply` and `report` when not ready."""
    USAGE = 2
    """A usage or configuration error, or an input that is missing. Nothing was changed."""
    UNKNOWN = 3
    """The answer is unknown, or the thing asked about has not ended."""
    UNREACHABLE = 4
    """A host could not be reached."""
    INTERRUPTED = 130
    """Ctrl-c."""


# Wrong input hides everything else, a host that is dark hides its verdict, and a sure "no" outranks "not yet".
_FIRST = (ExitCode.INTERRUPTED, ExitCode.USAGE, ExitCode.UNREACHABLE, ExitCode.SAYS_NO, ExitCode.UNKNOWN)
_OF_DECISION = {
    Decision.PASS: ExitCode.OK,
    Decision.FAIL: ExitCode.SAYS_NO,
    Decision.UNKNOWN: ExitCode.UNKNOWN,
    Decision.NOT_YET: ExitCode.UNKNOWN,
}


def combine(codes: Iterable[int]) -> ExitCode:
    """The one code for several results at once: 2, then 4, then 1, then 3, else 0.

    An interruption comes before all of them, and a code that is not ours counts as 2.
    """
    known = set(ExitCode)
    seen = {ExitCode(code) if code in known else ExitCode.USAGE for code in codes}
    return next((code for code in _FIRST if code in seen), ExitCode.OK)


def of_decision(decision: Decision) -> ExitCode:
    """The exit code that a verdict's decision gives."""
    return _OF_DECISION[decision]

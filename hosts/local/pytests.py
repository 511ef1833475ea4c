"""Which pytests run on this machine, whoever started them, and where their output goes."""

from __future__ import annotations

import os
import stat

from hosts.host import PytestSeen
from hosts.local.procs import parent_of, pids, read_argv, ref_of, started_at

_PYTEST = frozenset({"pytest", "py.test"})
_WITH_VALUE = frozenset({"-X", "-W", "--check-hash-based-pycs"})  # python's own options that take the next word


def running_pytests() -> tuple[PytestSeen, ...]:
    """Every `python -m pytest` (or `python …/bin/pytest`) that lives, oldest first.

    The process itself, not the shell, `timeout` or supervisor that started it; of a pytest that has forked, the
    first one (its children still carry its arguments). What cannot be read of somebody else's process is None.
    """
    found = {pid: argv for pid in pids() if is_pytest(argv := read_argv(pid))}
    seen = []
    for pid, argv in found.items():
        ref = ref_of(pid)
        if ref is None or found.get(parent_of(pid) or 0) == argv or read_argv(pid) != argv:
            continue
        cwd = _link(pid, "cwd")
        seen.append(PytestSeen(ref, argv, cwd, basetemp(argv, cwd), _output(pid), started_at(ref)))
    return tuple(sorted(seen, key=lambda one: (one.ref.start_ticks, one.ref.pid)))


def is_pytest(argv: tuple[str, ...]) -> bool:
    """Whether these are the arguments of a Python that runs pytest."""
    if not argv or not os.path.basename(argv[0]).lower().startswith(("python", "pypy")):
        return False
    words = iter(argv[1:])
    for word in words:
        if word == "-m":
            return next(words, "") in _PYTEST
        if word.startswith("-m") and not word.startswith("--"):
            return word[2:] in _PYTEST
        if word == "-c":
            return False
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return os.path.basename(word) in _PYTEST
    return False


def basetemp(argv: tuple[str, ...], cwd: str | None) -> str | None:
    """The last `--basetemp` in these arguments, absolute where `cwd` is known; None where there is none."""
    value = None
    for number, word in enumerate(argv):
        if word == "--basetemp" and number + 1 < len(argv):
            value = argv[number + 1]
        elif word.startswith("--basetemp="):
            value = word.partition("=")[2]
    if not value:
        return None
    return os.path.normpath(os.path.join(cwd, value) if cwd else value)


def _output(pid: int) -> str | None:
    """The regular file that its standard output goes to."""
    path = _link(pid, "fd/1")
    try:
        return path if path and stat.S_ISREG(os.stat(f"/proc/{pid}/fd/1").st_mode) else None
    except OSError:
        return None


def _link(pid: int, name: str) -> str | None:
    try:
        path = os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return None
    return path if path.startswith("/") and not path.endswith(" (deleted)") else None

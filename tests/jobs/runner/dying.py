"""Travels with the runner of a test: ends the process without a word right before its n-th change of the disk.

FAST_DIE_AT is that n, FAST_DIE_WHO the command that is to die ("run", "exec", or "start" for the verb), FAST_DIE_ONCE
a file that is made when it happens, so that it happens once; without it, every time. FAST_DIE_LIKE is a regular
expression: only steps that it finds are counted. With FAST_DIE_TORN half of what is to be written is written first.
FAST_DIE_SIGNAL is another signal than KILL. Standard library alone, like everything that travels.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def arm(who: str) -> None:
    """Make this process mortal, when it is meant."""
    if os.environ.get("FAST_DIE_WHO") != who:
        return
    at, once = int(os.environ["FAST_DIE_AT"]), os.environ.get("FAST_DIE_ONCE")
    torn = bool(os.environ.get("FAST_DIE_TORN"))
    like = re.compile(os.environ.get("FAST_DIE_LIKE", ""), re.DOTALL)
    number = int(os.environ.get("FAST_DIE_SIGNAL", signal.SIGKILL))
    steps = 0
    make, put, kill = os.open, os.write, os.kill

    def step(name: str, *arguments: Any) -> None:
        nonlocal steps
        said = f"{name} {arguments!r}"
        steps += like.search(said) is not None
        if steps != at or not like.search(said):
            return
        try:
            if once is not None:
                put(make(once, os.O_WRONLY | os.O_CREAT | os.O_EXCL), said[:300].encode())
        except FileExistsError:
            return
        if torn and name == "write":
            put(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        kill(os.getpid(), number)

    def mortal(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if name != "open" or arguments[1] & _WRITING:
                step(name, *arguments)
            return function(*arguments, **named)

        return call

    for name in ("open", "write", "pwrite", "fsync", "rename", "link", "unlink", "mkdir", "truncate", "kill"):
        setattr(os, name, mortal(name, getattr(os, name)))
    popen = subprocess.Popen.__init__

    def mortal_popen(self: Any, *arguments: Any, **named: Any) -> None:
        step("Popen", *arguments)
        popen(self, *arguments, **named)
        step("Popen done")

    setattr(subprocess.Popen, "__init__", mortal_popen)  # noqa: B010 - mypy lets no method be assigned


if __name__ == "dying":
    arm(sys.argv[1] if len(sys.argv) > 1 else "")

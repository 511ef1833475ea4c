"""What ends a command whose helper was killed, and so could not end it itself.

SIGKILL leaves a helper (hosts/local/commanding.py) no time for anything. So a process of its own is forked before the
command: it waits for the helper's word that all is done, and where the helper is gone without one, it ends the session
of the command as the helper would have. It holds for programs that change their user too, for which the kernel forgets
to tell of a parent's death (prctl(2), PR_SET_PDEATHSIG), and for all of the session, which that never reaches.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

from hosts.host import ProcRef
from hosts.local.procs import ref_of, session_groups

LAST = 2.0
"""Seconds that SIGKILL may take, and that a helper's last words may take."""
_DONE = b"done\n"
_TICK = 0.05


class Guard:
    """Watches over one command, from before it is started.

    Args:
        grace: Seconds between SIGTERM and SIGKILL.

    Raises:
        OSError: No further process can be had.
    """

    def __init__(self, grace: float) -> None:
        told, self._tell = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(told)
            os.close(self._tell)
            raise
        with contextlib.suppress(OSError):
            os.setpgid(self._pid, 0)  # what is meant for the helper's group is not meant for it, from the first moment
        if not self._pid:
            try:
                _wait(told, grace)
            finally:
                os._exit(0)
        os.close(told)

    def take(self) -> None:
        """Called in the command's process before its program begins, so that none ever runs that is not known."""
        with contextlib.suppress(OSError):
            os.write(self._tell, b"%d\n" % os.getpid())

    def dismiss(self) -> None:
        """All is done: what the command left behind is not to be ended. Returns when the guard is gone."""
        with contextlib.suppress(OSError):
            os.write(self._tell, _DONE)
        os.close(self._tell)
        with contextlib.suppress(OSError):
            os.waitpid(self._pid, 0)


def signal_groups(groups: Iterable[int], number: int) -> None:
    """Signal process groups; after SIGTERM they are let run on, since one that is stopped would never hear of it."""
    for group in groups:
        for each in (number, signal.SIGCONT) if number == signal.SIGTERM else (number,):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, each)


def _wait(told: int, grace: float) -> None:
    """The guard itself."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # it goes when its helper goes
    _keep_only(told)
    said = b""
    leader: ProcRef | None = None
    while data := os.read(told, 256):
        said += data
        if leader is None and not said.endswith(_DONE):
            leader = ref_of(int(said.split()[0]))
    # The other ends are the helper's and, until its program begins, the command's: now both are gone
    if leader is not None and not said.endswith(_DONE):
        _end(leader, grace)


def _keep_only(descriptor: int) -> None:
    """Close all others: a channel ends when nobody holds it any more."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    try:
        found = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        found = list(range(256))
    for other in found:
        if other > 2 and other != descriptor:
            with contextlib.suppress(OSError):
                os.close(other)


def _end(leader: ProcRef, grace: float) -> None:
    """End all of a process's session: SIGTERM, `grace` seconds, SIGKILL."""
    kill_at = time.monotonic() + grace
    groups = _groups(leader)
    signal_groups(groups, signal.SIGTERM)
    while groups and time.monotonic() < kill_at + LAST:
        time.sleep(_TICK)
        groups = _groups(leader)
        if time.monotonic() >= kill_at:
            signal_groups(groups, signal.SIGKILL)


def _groups(leader: ProcRef) -> list[int]:
    """The groups of its session; none where the number is another's by now."""
    now = ref_of(leader.pid)
    return session_groups(leader.pid) if now is None or now.start_ticks == leader.start_ticks else []

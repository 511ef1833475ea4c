"""Half-written files that a killed writer left in a run directory; removed by whoever holds the run's lock."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from gates.calibration.layout import stage_problem
from hosts.local.files import TEMP_PREFIX, TEMP_SUFFIX
from jobs.runner.places import RunPlaces

_TEMP = re.compile(rf"{re.escape(TEMP_PREFIX)}[0-9a-f]{{16}}{re.escape(TEMP_SUFFIX)}\Z")
_GRACE_NS = 60 * 10**9
"""In the run directory itself a report is written without the lock: one that is being written is left alone."""


def remove_leftovers(places: RunPlaces, stages: Iterable[str]) -> tuple[Path, ...]:
    """Remove what writers before us have left; the caller has just taken the run's lock.

    Only regular files of our own user, with the name that only our writer gives, older than the lock: nobody but its
    holder writes in the folders of the stages and in ours. What tests write is not looked at.

    Args:
        stages: The planned ones; a folder of any other name is somebody else's.

    Returns:
        What was removed; a file or a folder that the system does not let us look at is left.
    """
    try:
        taken = places.lock.stat().st_mtime_ns
    except OSError:
        return ()
    folders = [(places.root, taken - _GRACE_NS), (places.ours, taken), (places.inbox, taken - _GRACE_NS)]
    named = [places.root / stage for stage in stages if stage_problem(stage) is None]
    folders += [(folder, taken) for folder in named if not folder.is_symlink()]
    return tuple(path for folder, before in folders for path in _temps(folder, before) if _removed(path))


def _temps(folder: Path, before: int) -> list[Path]:
    found: list[Path] = []
    try:
        for entry in os.scandir(folder):
            if _TEMP.match(entry.name):
                status = entry.stat(follow_symlinks=False)
                ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
                if ours and status.st_mtime_ns < before:
                    found.append(Path(entry.path))
    except OSError:
        pass  # it is gone, or not for us: then nothing in it is
    return sorted(found)


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True

"""The command `gatewatch`: makes sure that the rooms are ours, then hands over to the command line.

The rooms have short import names (`jobs`, `hosts`, …), and a project's own folder of such a name can come
first on the import path. Python would then run somebody else's code under our name, so this module looks where
each room would be imported from before it imports any of them. It needs nothing but the standard library.
"""

from __future__ import annotations

import gc
import importlib.util
import os.path
import sys

ROOMS = ("gates", "hosts", "jobs", "monitors", "tui")

GC_THRESHOLD = (50_000, 20, 20)

_USAGE = 2


def main() -> int:
    """Run the command line of this process.

    Returns:
        The exit code (DESIGN, "Exit codes"); 2 where a room would come from somewhere else.
    """
    complaint = misplaced_room(os.path.dirname(os.path.realpath(__file__)))
    if complaint is not None:
        print(f"gatewatch: error: {complaint}", file=sys.stderr)
        return _USAGE
    # A large run becomes a million objects that live to the end; to look for garbage among them is a fifth of an audit.
    gc.set_threshold(*GC_THRESHOLD)
    from tui.cli.main import main as run

    return run()


def misplaced_room(home: str) -> str | None:
    """Say in one line which room would not be imported from `home`; None when all would be.

    Args:
        home: The folder that holds this module, links resolved.
    """
    for room in ROOMS:
        found = _where(room)
        if found is None:
            return f"its package {room!r} is missing from {home!r}; install gatewatch again"
        # A room is a folder in `home`: a module `jobs.py` beside us is no less a stranger.
        if found != os.path.join(home, room):
            return (
                f"its package {room!r} would be imported from {found!r} instead of {home!r}; "
                "install gatewatch isolated (pipx, uv tool, a venv of its own), unset PYTHONPATH, "
                "and start it as `gatewatch`"
            )
    return None


def _where(room: str) -> str | None:
    """The folder or file that `import room` would take, links resolved; nothing is imported."""
    try:
        spec = importlib.util.find_spec(room)
    except ValueError:  # something put a module without a spec there, so it did not come from a folder of ours
        return f"<{room} already in memory>"
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    if folders:  # also for a folder without __init__.py, which has no origin
        return os.path.realpath(folders[0])
    return os.path.realpath(spec.origin) if spec.has_location and spec.origin else str(spec.origin)


if __name__ == "__main__":
    sys.exit(main())

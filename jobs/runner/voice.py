"""What the runner and the shim say on their standard error, which is a log file in the run directory."""

from __future__ import annotations

import contextlib
import sys


def tell(line: str) -> None:
    """Say one line. On a full disk it is lost: whoever speaks must neither die of that nor stop what it was doing."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

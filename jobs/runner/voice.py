"""What the runner and the shim say on their standard error, which is a log file in the run directory."""

from __future__ import annotations

import contextlib
import os


def tell(line: str) -> None:
    """Say one line. On a full disk it is lost: whoever speaks must neither die of that nor stop what it was doing.

    Past Python's own buffer, which would keep what could not be written and change the exit status in the end.
    """
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode("utf-8", "backslashreplace"))

"""A machine without a Python: a folder with the few programs that can be found there, and sshd's settings for it."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from tests.peers import smi_replay

SFTP = "Subsystem sftp internal-sftp\n"


def settings(folder: Path) -> str:
    """Lines of sshd_config under which nothing is found by name but a shell and what else lies in `folder`."""
    for name in ("sh", "tail", "sleep"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    # SHLVL: a bash that thinks it is not the first reads no start-up file, which could put more on the path
    return f"SetEnv PATH={folder} SHLVL=5\n"


def put_smi(folder: Path, recording: Path, script: str = "", seconds: float = 0) -> None:
    """Put an nvidia-smi there that answers out of a recording after so many seconds, or that is a script."""
    words = [sys.executable, "-I", smi_replay.__file__, str(recording)]
    pause = f"sleep {seconds:g}\n" if seconds else ""
    (folder / "nvidia-smi").write_text(f'#!/bin/sh\n{pause}{script or f"exec {shlex.join(words)}"} "$@"\n')
    (folder / "nvidia-smi").chmod(0o755)

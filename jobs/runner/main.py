"""The runner's entry when it is started from its own file: `run SYSTEM RUN_DIR NONCE`, or `exec` for the shim."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from gates.systems import SYSTEMS
from hosts.errors import GatewatchError
from jobs.runner.shim import exec_command
from jobs.runner.voice import tell


def main(argv: Sequence[str]) -> int:
    """Run one command of the runner; returns the process's exit status."""
    command, *rest = argv or [""]
    try:
        if command == "exec" and not rest:
            return exec_command(sys.stdin.buffer.read())
        if command == "run" and len(rest) == 3 and rest[0] in SYSTEMS:
            module = importlib.import_module(f"jobs.runner.{rest[0]}.run")
            code: int = module.run_command(Path(rest[1]), rest[2])
            return code
    except GatewatchError as error:
        tell(f"gatewatch runner: {error}")
        return error.code
    print("gatewatch runner: expected `run SYSTEM RUN_DIR NONCE` or `exec`", file=sys.stderr)
    return 2

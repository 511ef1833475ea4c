"""`gatewatch init`: write a commented gatewatch.yaml, and never over one that is there."""

from __future__ import annotations

import argparse
from pathlib import Path


class Init:
    """Writes the workspace file."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="where to (the current folder)")

    def run(self, args: argparse.Namespace) -> int:
        from hosts.errors import InputError
        from jobs.workspace import write_workspace
        from tui import console
        from tui.exits import ExitCode

        folder = Path(args.folder).expanduser().absolute()
        if not folder.is_dir():
            raise InputError(f"{args.folder}: no such folder")
        path = write_workspace(folder)
        console.print_text(f"wrote {path}; look at it, then start: gatewatch")
        return ExitCode.OK


CLI = Init()

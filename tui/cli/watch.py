"""`gatewatch watch RUN_DIR …`: the dashboard on runs that are named."""

from __future__ import annotations

import argparse

from hosts.errors import InputError

LONGEST_S = 120.0


class Watch:
    """Shows runs and follows them; what runs is never touched by it."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        from tui.cli.calibration_options import add_site

        parser.add_argument(
            "run_dir",
            metavar="RUN_DIR",
            nargs="+",
            help="a run: a path, a name below .tune-runs/, or HOST:/path",
        )
        add_site(parser)
        add_screen(parser)

    def run(self, args: argparse.Namespace) -> int:
        need_screen()
        from tui.cli.watch_screen import watch_runs

        return watch_runs(args)


CLI = Watch()


BARE = ("interval", "act", "no_mouse", "ascii")
"""What every dashboard can be told, also the one without a command."""


def add_screen(parser: argparse.ArgumentParser, prefix: str = "", *, act: bool = True) -> None:
    """Give `parser` the options of a dashboard; their names in the namespace begin with `prefix`."""
    parser.add_argument(
        "--interval",
        metavar="S",
        type=_interval,
        dest=f"{prefix}interval",
        help="seconds between looks that no change called for, at most 120 (5)",
    )
    if act:
        parser.add_argument(
            "--act", action="store_true", dest=f"{prefix}act", help="allow what changes something; each asks first"
        )
    for name, what in (
        ("no-mouse", "leave the mouse to the terminal"),
        ("ascii", "use no signs beyond ASCII"),
    ):
        parser.add_argument(f"--{name}", action="store_true", dest=f"{prefix}{name.replace('-', '_')}", help=what)


def need_screen(instead: str = "gatewatch calibrate status [--json]") -> None:
    """Refuse where nothing can be painted.

    Args:
        instead: The command that does it without a terminal.

    Raises:
        InputError: It is no terminal.
    """
    from tui.cli.terminal import has_screen

    if not has_screen():
        raise InputError(f"the dashboard needs a terminal; without one: {instead}")


def _interval(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < value <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"more than 0 and at most {LONGEST_S:.0f} s, got {text}")
    return value

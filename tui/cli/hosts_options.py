"""Options that several words of `gatewatch hosts` share."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_timeout(parser: argparse.ArgumentParser, default: float, most: float, what: str) -> None:
    """`--timeout`.

    Args:
        parser: Whose option it becomes.
        default: Seconds.
        most: Seconds.
        what: What happens within them.
    """
    parser.add_argument("--timeout", metavar="S", type=_seconds(most), default=default, help=f"{what} ({default:g})")


def _seconds(most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"more than 0 and at most {most:g} s, got {text}")
        return value

    return read

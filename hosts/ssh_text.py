"""What went wrong on the way to a host, as text that may be shown: the other side wrote some of it."""

from __future__ import annotations

import os
import re

_SHOWN = 200
_NUMBER = re.compile(r"\[Errno (\d{1,4})\] Connect call failed")


def plain(error: Exception) -> str:
    """What an error says, as one short printable line."""
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    numbers = [int(number) for number in _NUMBER.findall(str(error))]  # one for each address of the host
    if isinstance(error, ConnectionError) and error.errno is not None:
        numbers = [error.errno]
    if numbers:
        return ", ".join(dict.fromkeys(os.strerror(number).lower() for number in numbers))
    said = getattr(error, "reason", "") or getattr(error, "strerror", "") or error
    return plain_line(str(said)) or type(error).__name__


def plain_line(text: str) -> str:
    """Text of others as one short line of printable characters."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))[:_SHOWN]

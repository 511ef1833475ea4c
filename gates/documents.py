"""What a file became once it was read: JSON data, or the reason why it is not.

A file that is there and cannot be read is not the same as a file that is not there, so the reason travels as
a value: the cell it belongs to is broken, and the rest goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]


@dataclass(frozen=True)
class Broken:
    """A file that is there and could not be read; `reason` is one line with a place in it."""

    reason: str


Document = Union[Json, Broken]

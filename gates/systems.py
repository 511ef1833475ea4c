"""The systems that gatewatch knows: the one list that a new system adds its name to."""

from __future__ import annotations

SYSTEMS: tuple[str, ...] = ("calibration",)

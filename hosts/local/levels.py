"""How serious a line of a log says it is."""

from __future__ import annotations

from enum import Enum


class Level(Enum):
    """How serious a line says it is; ordered by `rank`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Level).index(self)

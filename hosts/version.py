"""The version of gatewatch: the one place that says it, readable without importing anything else."""

from __future__ import annotations

VERSION = "0.1.0"

"""Hypothesis for gates: no deadline, since a loaded machine is not a wrong answer."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("gates", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gates")

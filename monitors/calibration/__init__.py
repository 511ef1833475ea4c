"""Watching a calibration: what was seen of its run directory, folded into a snapshot."""

from __future__ import annotations

from monitors.calibration.body import LAST_WORDS as LAST_WORDS
from monitors.calibration.body import LOCK as LOCK
from monitors.calibration.body import RUN_MARK as RUN_MARK
from monitors.calibration.body import Calibration as Calibration
from monitors.calibration.fold import CalibrationMonitor as CalibrationMonitor

MONITOR = CalibrationMonitor

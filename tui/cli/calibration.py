"""`gatewatch calibrate …`: the words of the calibration system. Each is written in a module of its own."""

from __future__ import annotations

from tui.cli.commands import Entry, Group

CLI = Group(
    "calibrate",
    "run CI threshold tests N times, and audit, report and apply what they gave",
    (
        Entry("models", "list the models of a checkout", "tui.cli.calibration_lists", "MODELS"),
        Entry(
            "stages",
            "list the stages of a model, and the names they can be asked for by",
            "tui.cli.calibration_lists",
            "STAGES",
        ),
    ),
)

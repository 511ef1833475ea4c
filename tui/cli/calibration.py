"""`gatewatch calibrate …`: the words of the calibration system. Each is written in a module of its own."""

from __future__ import annotations

from tui.cli.commands import Entry, Group

CLI = Group(
    "calibrate",
    "run CI threshold tests N times, and audit, report and apply what they gave",
    (
        Entry(
            "run", "run the tests N times, so that every stage has N whole repeats", "tui.cli.calibration_run", "RUN"
        ),
        Entry("stop", "end a run so that --resume continues it", "tui.cli.calibration_run", "STOP"),
        Entry("status", "say how a run stands", "tui.cli.calibration_judge", "STATUS"),
        Entry(
            "audit", "say whether every stage has N whole repeats of one commit", "tui.cli.calibration_judge", "AUDIT"
        ),
        Entry("models", "list the models of a checkout", "tui.cli.calibration_lists", "MODELS"),
        Entry(
            "stages",
            "list the stages of a model, and the names they can be asked for by",
            "tui.cli.calibration_lists",
            "STAGES",
        ),
    ),
)

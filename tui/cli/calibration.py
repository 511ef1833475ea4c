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
        Entry("precheck", "say whether the host has what the stages need", "tui.cli.calibration_precheck", "PRECHECK"),
        Entry("stop", "end a run so that --resume continues it", "tui.cli.calibration_run", "STOP"),
        Entry("status", "say how a run stands", "tui.cli.calibration_judge", "STATUS"),
        Entry(
            "audit", "say whether every stage has N whole repeats of one commit", "tui.cli.calibration_judge", "AUDIT"
        ),
        Entry("report", "write the observation report of a run that is ready", "tui.cli.calibration_report", "REPORT"),
        Entry("plan", "show what worst-of-N would write into the test files", "tui.cli.calibration_apply", "PLAN"),
        Entry("apply", "write worst-of-N into the test files, after showing it", "tui.cli.calibration_apply", "APPLY"),
        Entry(
            "discard",
            "disown one observation, with a reason; --resume runs it again",
            "tui.cli.calibration_discard",
            "DISCARD",
        ),
        Entry(
            "discover", "make stages.yaml from the thresholds in the tests", "tui.cli.calibration_discover", "DISCOVER"
        ),
        Entry("merge", "make one run of several that observed different tests", "tui.cli.calibration_merge", "MERGE"),
        Entry("models", "list the models of a checkout", "tui.cli.calibration_lists", "MODELS"),
        Entry(
            "stages",
            "list the stages of a model, and the names they can be asked for by",
            "tui.cli.calibration_lists",
            "STAGES",
        ),
    ),
)

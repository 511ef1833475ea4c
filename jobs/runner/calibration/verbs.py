"""The calibration's own verbs, each imported on first use: a session that only watches never loads the editor."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hosts.host import Json
from hosts.local.verbs import Verb


def _later(module: str, function: str) -> Callable[[Json], Json]:
    def run(payload: Json) -> Json:
        chosen: Callable[[Json], Json] = getattr(importlib.import_module(f"jobs.runner.calibration.{module}"), function)
        return chosen(payload)

    return run


VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "calibration.sources": Verb(_later("sources", "sources")),
        "calibration.head": Verb(_later("head", "head")),
        "calibration.precheck": Verb(_later("precheck", "precheck")),
        "calibration.write_precheck": Verb(_later("precheck", "write_precheck"), acts=True),
        "calibration.discard": Verb(_later("discard", "discard"), acts=True, needs_run=True),
        "calibration.apply": Verb(_later("apply", "apply"), acts=True, needs_run=True),
        "calibration.apply_status": Verb(_later("apply", "apply_status")),
        "calibration.merge": Verb(_later("merge", "merge"), acts=True),
        "calibration.history": Verb(_later("report", "history")),
        "calibration.write_report": Verb(_later("report", "write_report"), acts=True, needs_run=True),
    }
)

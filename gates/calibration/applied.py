"""The applied table: what an apply really edited, as its own journal tells (spec/calibration.md, section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gates.documents import Document, Json

GLOB = ".gatewatch/apply/*/journal.json"
"""Where the journals of a run's applies lie, relative to the run directory."""

DONE = "done"


@dataclass(frozen=True)
class AppliedRow:
    """One literal that was edited.

    Attributes:
        stage: The stage's key.
        metric: The source with its resolved key, as `_MMSU_P95[8]['throughput_qps']`.
        file: Relative to the repository.
        old, new: The literals as they stood and stand in the file.
        direction: As `tightens (+2.1%)`.
    """

    stage: str
    metric: str
    file: str
    old: str
    new: str
    direction: str

    def to_json(self) -> dict[str, Json]:
        """This row as JSON data."""
        return dict(vars(self))


def applied_rows(journals: Mapping[str, Document]) -> tuple[AppliedRow, ...]:
    """The rows of every apply that was carried out to its end, oldest first.

    Args:
        journals: By path; an apply's folder is named by the time at which it began, so paths sort by time.
    """
    rows: list[AppliedRow] = []
    for _path, journal in sorted(journals.items()):
        if isinstance(journal, dict) and journal.get("state") == DONE:
            rows.extend(_rows(journal))
    return tuple(rows)


def open_applies(journals: Mapping[str, Document]) -> tuple[str, ...]:
    """Paths of the journals of applies that were begun and neither finished nor rolled back."""
    return tuple(
        path
        for path, journal in sorted(journals.items())
        if not isinstance(journal, dict) or journal.get("state") not in (DONE, "rolled_back")
    )


def _rows(journal: Mapping[str, Json]) -> list[AppliedRow]:
    return [
        row
        for file in _dicts(journal.get("files"))
        for edit in _dicts(file.get("edits"))
        if (row := _row(file.get("path"), edit)) is not None
    ]


def _row(path: Json, edit: Mapping[str, Json]) -> AppliedRow | None:
    stage, source, old, new = (edit.get(key) for key in ("stage", "source", "old", "new"))
    direction = edit.get("direction")
    if not (isinstance(stage, str) and isinstance(source, str) and isinstance(old, str) and isinstance(new, str)):
        return None
    return AppliedRow(
        stage=stage,
        metric=source,
        file=path if isinstance(path, str) else "",
        old=old,
        new=new,
        direction=direction if isinstance(direction, str) else "unknown",
    )


def _dicts(value: Json) -> list[dict[str, Json]]:
    return [item for item in (value if isinstance(value, list) else []) if isinstance(item, dict)]

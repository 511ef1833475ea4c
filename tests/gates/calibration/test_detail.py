from __future__ import annotations

from typing import Any

import pytest

from gates.calibration.assemble import assemble
from gates.calibration.audit import Mark, audit
from gates.calibration.detail import StageDetail, stage_detail
from gates.calibration.plan import make_plan
from gates.documents import Document
from tests.gates.calibration.samples import (
    OTHER_SHA,
    documents_of,
    manifest_of,
    metric_data,
    plan_data,
    record_data,
    stage_data,
)

pytestmark = pytest.mark.travels

MANIFEST = manifest_of(mmmu_accuracy=stage_data(metrics={"accuracy": metric_data("MMMU_MIN_ACCURACY")}))


def detail(*cells: Document, repeats: int = 3, **more: Any) -> StageDetail | None:
    files = {f"mmmu_accuracy/run{k + 1}.json": cell for k, cell in enumerate(cells) if cell is not None}
    run = assemble(documents_of(plan_data(("mmmu_accuracy",), repeats), files), more.pop("manifest", MANIFEST))
    return stage_detail(run, audit(run), more.pop("key", "mmmu_accuracy"), **more)


def test_a_stage_that_has_only_begun_has_a_preview() -> None:
    found = detail(record_data({"accuracy": 0.62}), record_data({"accuracy": 0.58}, 50, 49))
    assert found is not None
    assert [cell.mark for cell in found.cells] == [Mark.STRICT, Mark.PARTIAL, Mark.ABSENT]
    (metric,) = found.metrics
    assert metric.values == (0.62, 0.58, None)
    assert metric.row is not None
    assert (metric.row.per_run_raw, metric.row.worst_raw) == ((0.62,), 0.62), "a partial repeat counts for nothing"
    assert metric.estimate is not None
    assert (metric.estimate.n, metric.estimate.promise) == (1, 0.5)


def test_nothing_strict_has_no_preview() -> None:
    for found in (detail(), detail(record_data({"accuracy": None}))):
        assert found is not None
        assert (found.metrics[0].row, found.metrics[0].estimate, found.problem) == (None, None, "")


def test_a_repeat_of_another_commit_is_said() -> None:
    found = detail(record_data({"accuracy": 0.62}, git_sha=OTHER_SHA))
    assert found is not None
    assert found.metrics[0].row is None
    assert found.metrics[0].values[0] == 0.62
    assert "0 of 1 strict repeats of the calibration's commit" in found.problem


def test_a_finished_stage_shows_what_the_plan_says() -> None:
    cells = [record_data({"accuracy": value}) for value in (0.62, 0.58, 0.64)]
    found = detail(*cells)
    run = assemble(
        documents_of(
            plan_data(("mmmu_accuracy",), 3), {f"mmmu_accuracy/run{k + 1}.json": cell for k, cell in enumerate(cells)}
        ),
        MANIFEST,
    )
    assert found is not None
    assert found.metrics[0].row == make_plan(run, audit(run), MANIFEST).rows[0]


def test_what_is_not_there() -> None:
    assert detail(key="another") is None
    found = detail(record_data({"accuracy": 0.62}), manifest=None)
    assert found is not None
    assert (found.stage, found.metrics, found.problem) == (None, (), "no manifest knows this stage")

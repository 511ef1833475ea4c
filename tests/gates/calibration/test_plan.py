from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.assemble import assemble
from gates.calibration.audit import audit
from gates.calibration.plan import ApplyPlan, PlanRefused, PlanRow, make_plan, plan_json
from gates.calibration.rows import parse_source
from gates.calibration.schema import Manifest
from gates.calibration.source import Constant, Entry, Import, Key, Name, Number, Other, SourceFacts, Table, Value
from gates.calibration.values import tighter
from gates.documents import Broken, Document, Json
from tests.gates.calibration.samples import (
    OTHER_SHA,
    docs_data,
    documents_of,
    manifest_of,
    metric_data,
    plan_data,
    record_data,
    stage_data,
)

pytestmark = pytest.mark.travels

TEST = "tests/test_model/test_mmmu_ci.py"
THRESHOLDS = "tests/test_model/thresholds.py"
QPS = "_MMMU_P95['throughput_qps']"


def speed_data(source: str = QPS, worst: str = "min", digits: int = 3) -> dict[str, Json]:
    return {**metric_data(source, "speed.x", worst), "display": {"label": "Throughput", "scale": 1, "digits": digits}}


MANIFEST = manifest_of(
    mmmu_accuracy=stage_data(metrics={"accuracy": metric_data("MMMU_MIN_ACCURACY")}),
    mmmu_speed=stage_data(
        group="speed", metrics={"throughput_qps": speed_data(), "rtf_mean": speed_data("_MMMU_P95['rtf_mean']", "max")}
    ),
    readme_docs=docs_data(),
)
VALUES = {
    "mmmu_accuracy": {"accuracy": [0.62, 0.58, 0.64]},
    "mmmu_speed": {"throughput_qps": [1.3186, 1.364, 1.349], "rtf_mean": [0.41, 0.4324, 0.4]},
}


def run_of(
    values: Mapping[str, Mapping[str, list[float]]] = VALUES,
    manifest: Manifest = MANIFEST,
    repeats: int = 3,
    more: Mapping[str, Document] | None = None,
) -> dict[str, Document]:
    cells: dict[str, Document] = {}
    for stage, metrics in values.items():
        for place in range(max(map(len, metrics.values()))):
            cells[f"{stage}/run{place + 1}.json"] = record_data({key: found[place] for key, found in metrics.items()})
    for docs in manifest.stages:
        if docs.is_docs:
            cells.update({f"{docs.key}/run{k}.json": record_data({}, None, None) for k in range(1, repeats + 1)})
    return {**documents_of(plan_data(manifest.keys, repeats), cells), **(more or {})}


def planned(
    documents: dict[str, Document],
    facts: Mapping[str, SourceFacts] | None = None,
    manifest: Manifest = MANIFEST,
    filters: Mapping[str, list[str]] | None = None,
    reference: Json = None,
) -> ApplyPlan:
    run = assemble(documents, manifest, reference=reference)
    return make_plan(run, audit(run), manifest, facts, filters)


def refused(documents: dict[str, Document], reference: Json = None) -> str:
    with pytest.raises(PlanRefused) as caught:
        planned(documents, reference=reference)
    assert plan_json(caught.value) == {"error": "run_not_ready", "reasons": list(caught.value.reasons)}
    assert caught.value.reasons
    return "\n".join(caught.value.reasons)


class Source:
    """A source file's facts, literal by literal."""

    def __init__(self, path: str = TEST) -> None:
        self.path = path
        self.at = 0
        self.constants: list[Constant] = []
        self.imports: list[Import] = []

    def number(self, text: str) -> Number:
        self.at += 100
        value = float(text) if set(text) & set(".eE") else int(text)
        return Number(text, self.at, self.at + len(text), value, isinstance(value, int))

    def put(self, name: str, value: str | Value) -> Source:
        found = self.number(value) if isinstance(value, str) else value
        self.constants.append(Constant(name, len(self.constants) + 1, False, found))
        return self

    def table(self, name: str, rows: Mapping[Key, Mapping[str, str]], key_name: str | None = None) -> Source:
        entries = [
            Entry(
                None if key_name else key,
                key_name,
                Table(tuple(Entry(inner, None, self.number(text)) for inner, text in row.items())),
            )
            for key, row in rows.items()
        ]
        return self.put(name, Table(tuple(entries)))

    def facts(self, error: str | None = None) -> dict[str, SourceFacts]:
        return {
            self.path: SourceFacts(
                self.path, "a" * 64, error, constants=tuple(self.constants), imports=tuple(self.imports)
            )
        }


def usual(concurrency: str | None = "8") -> Source:
    source = Source().put("MMMU_MIN_ACCURACY", "0.62")
    if concurrency is not None:
        source.put("CONCURRENCY", concurrency)
    return source


def row_of(plan: ApplyPlan, key: str) -> PlanRow:
    return next(row for row in plan.rows if row.answer_key == key)


def speed_row(source: Source, manifest: Manifest = MANIFEST, **more: SourceFacts) -> PlanRow:
    return row_of(planned(run_of(), {**source.facts(), **more}, manifest), f"mmmu_speed/{QPS}")


def test_the_worst_of_the_strict_repeats_in_the_order_of_the_plan() -> None:
    plan = planned(run_of())
    assert [stage.stage_key for stage in plan.stages] == ["mmmu_accuracy", "mmmu_speed"]
    assert [(row.worst_raw, row.worst_rounded, row.write_value) for row in plan.rows] == [
        (0.58, 0.58, 0.58),
        (1.3186, 1.319, 1.3186),
        (0.4324, 0.432, 0.4324),
    ]
    assert plan.rows[0].per_run_raw == (0.62, 0.58, 0.64)
    assert plan.stages[0].effective_n == 3
    assert {row.direction for row in plan.rows} == {"unknown"}
    assert {row.current_raw for row in plan.rows} == {None}


def test_spare_strict_repeats_count_and_partial_ones_do_not() -> None:
    values = {**VALUES, "mmmu_accuracy": {"accuracy": [0.62, 0.58, 0.64, 0.5]}}
    plan = planned(run_of(values))
    assert plan.rows[0].runs == (1, 2, 3, 4)
    assert plan.rows[0].worst_raw == 0.5
    partial = record_data({"accuracy": 0.1}, 50, 49)
    spare = planned(run_of(values, more={"mmmu_accuracy/run1.json": partial}))
    assert spare.rows[0].per_run_raw == (0.58, 0.64, 0.5)
    assert spare.stages[0].effective_n == 3


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (None, "mmmu_accuracy: 1 of 3 repeats"),
        (Broken("not JSON"), "unreadable: not JSON"),
        (record_data(status="failed"), "status failed"),
        (record_data({"accuracy": None}), "accuracy is null"),
        (record_data({}), "accuracy is missing"),
        (record_data({"accuracy": 0.6}, 50, 49), "49 of 50 samples ok"),
        (record_data({"accuracy": 0.6}, 40, 40), "40 samples, expected 50"),
        (record_data({"accuracy": 0.6}, destructive=True), "destructive"),
        (record_data({"accuracy": float("nan")}), "unreadable"),
        (record_data({"accuracy": float("inf")}), "unreadable"),
        (record_data({"accuracy": 0.6}, git_sha=OTHER_SHA), "provenance"),
        (record_data({"accuracy": 0.6}, git_sha=None), "provenance"),
    ],
)
def test_one_bad_repeat_refuses_the_plan(cell: Document, said: str) -> None:
    documents = run_of()
    documents["mmmu_accuracy/run2.json"] = cell
    if cell is None:
        del documents["mmmu_accuracy/run2.json"]
    assert said in refused(documents)


def test_without_a_plan_or_a_commit_nothing_is_planned() -> None:
    documents = run_of()
    assert "plan.json" in refused({path: body for path, body in documents.items() if path != "plan.json"})
    documents["plan.json"] = plan_data(MANIFEST.keys, 3, calibration_git_sha=None)
    assert "calibration_git_sha" in refused(documents)


def test_an_environment_that_differs_refuses_and_an_unknown_one_does_not() -> None:
    reference: Json = {"gpu_model": "NVIDIA H20"}
    fingerprint: Json = {"gpu_model": "NVIDIA H100"}
    documents = run_of(more={"environment-fingerprint.json": fingerprint})
    assert "environment" in refused(documents, reference)
    assert planned(run_of(), reference=reference).rows


def test_a_manifest_that_asks_for_more_refuses() -> None:
    run = assemble(run_of(), MANIFEST)
    other = manifest_of(
        mmmu_accuracy=stage_data(metrics={"accuracy": metric_data("A_MIN"), "wer": metric_data("W_MAX", "x", "max")}),
        mmmu_speed=stage_data(group="speed", metrics={"throughput_qps": speed_data()}),
    )
    with pytest.raises(
        PlanRefused, match=r"wer of a strict repeat is not a number.*readme_docs is not in the manifest"
    ):
        make_plan(run, audit(run), other)


def test_what_stands_in_the_source() -> None:
    facts = usual().table("_MMMU_P95", {8: {"throughput_qps": "1.2", "rtf_mean": "0.4324"}}).facts()
    plan = planned(run_of(), facts)
    assert [(row.current_text, row.direction, row.problem) for row in plan.rows] == [
        ("0.62", "loosens", None),
        ("1.2", "tightens", None),
        ("0.4324", "equal", None),
    ]
    assert plan.rows[1].resolved_source == "_MMMU_P95[8]['throughput_qps']"
    assert plan.rows[0].span == (100, 104)
    assert plan.files == {TEST: "a" * 64}
    assert [stage.concurrency for stage in plan.stages] == [8, 8]


def test_a_whole_number_stays_one() -> None:
    manifest = manifest_of(
        tts_wer=stage_data(
            group="wer",
            metrics={
                "n_above_50": {**speed_data("N_ABOVE_50_MAX", "max", 0)},
                "wer": metric_data("WER_MAX_CORPUS", "x", "max"),
            },
        )
    )
    documents = run_of({"tts_wer": {"n_above_50": [2.0, 4.0, 3.0], "wer": [0.0141, 0.01418, 0.0142]}}, manifest)
    plan = planned(documents, Source().put("N_ABOVE_50_MAX", "3").put("WER_MAX_CORPUS", "1.5e-2").facts(), manifest)
    assert [row.write_text for row in plan.rows] == ["4", "1.42e-2"]
    assert plan.rows[0].count


@pytest.mark.parametrize(
    ("source", "outer", "problem"),
    [
        (usual().table("_MMMU_P95", {4: {"throughput_qps": "1"}, 8: {"throughput_qps": "2.0"}}), 8, None),
        (usual(None).table("_MMMU_P95", {4: {"throughput_qps": "1.0"}}), 4, None),
        (usual("8").table("_MMMU_P95", {0: {"throughput_qps": "1.0"}}, "CONCURRENCY"), 8, None),
        (usual(None).table("_MMMU_P95", {4: {"throughput_qps": "1"}, 8: {"throughput_qps": "2"}}), None, "several"),
        (usual("16").table("_MMMU_P95", {8: {"throughput_qps": "1.0"}}), None, "no key 16"),
        (usual().table("_MMMU_P95", {8: {"rtf_mean": "1.0"}}), None, "throughput_qps"),
        (usual().put("_MMMU_P95", Other((), "computed")), None, "_MMMU_P95"),
        (usual(), None, "_MMMU_P95"),
        (usual().put("_MMMU_P95", Name("_OTHER")), None, "_OTHER"),
        (usual().put("CONCURRENCY", "4").table("_MMMU_P95", {4: {"throughput_qps": "1"}, 8: {}}), None, "several"),
        (usual().table("_MMMU_P95", {8: {"throughput_qps": "1e999"}}), None, "not a finite number"),
    ],
)
def test_the_outer_key_of_a_nested_literal(source: Source, outer: Key | None, problem: str | None) -> None:
    row = speed_row(source)
    if problem is None:
        assert row.problem is None
        assert row.outer == outer
        assert row.current_raw is not None
    else:
        assert row.direction == "unknown"
        assert problem in (row.problem or "")
        assert row.current_raw is None
        assert row.span is None


def test_concurrency_may_be_imported_and_thresholds_may_live_elsewhere() -> None:
    manifest = manifest_of(
        mmmu_speed=stage_data(group="speed", metrics={"throughput_qps": speed_data()}, threshold_file=THRESHOLDS)
    )
    test = Source()
    test.imports.append(Import("test_model.shared", "CONCURRENCY", "CONCURRENCY", 2))
    facts = {
        **test.facts(),
        **Source("tests/test_model/shared.py").put("CONCURRENCY", "8").facts(),
        **Source(THRESHOLDS).table("_MMMU_P95", {4: {"throughput_qps": "1"}, 8: {"throughput_qps": "2.0"}}).facts(),
    }
    documents = run_of({"mmmu_speed": {"throughput_qps": [1.3, 1.4, 1.5]}}, manifest)
    row = planned(documents, facts, manifest).rows[0]
    assert (row.file, row.outer, row.current_raw, row.direction) == (THRESHOLDS, 8, 2.0, "loosens")
    del facts["tests/test_model/shared.py"]
    assert "several" in (planned(documents, facts, manifest).rows[0].problem or "")


def test_a_file_that_was_not_read_leaves_its_rows_unknown() -> None:
    assert {row.problem for row in planned(run_of(), {}).rows} == {f"{TEST} was not looked at"}
    broken = planned(run_of(), Source().facts(error="line 3: invalid syntax"))
    assert all("line 3: invalid syntax" in (row.problem or "") for row in broken.rows)
    assert broken.files == {}


def test_a_symbol_that_is_bound_twice_or_not_named_is_unknown() -> None:
    twice = planned(run_of(), usual().put("MMMU_MIN_ACCURACY", "0.5").facts()).rows[0]
    assert (twice.direction, twice.current_raw) == ("unknown", None)
    assert "more than once" in (twice.problem or "")
    odd = manifest_of(a_accuracy=stage_data(metrics={"accuracy": metric_data("X[0]['a']")}))
    row = planned(run_of({"a_accuracy": {"accuracy": [1, 2, 3]}}, odd), usual().facts(), odd).rows[0]
    assert "is not NAME or NAME['key']" in (row.problem or "")


def sharing(first: str | None, second: str | None, values: tuple[float, float]) -> list[PlanRow]:
    manifest = manifest_of(
        higgs_accuracy=stage_data(metrics={"accuracy": metric_data("VC_MIN")}, calibration_preset=first),
        moss_accuracy=stage_data(metrics={"accuracy": metric_data("VC_MIN")}, calibration_preset=second),
    )
    documents = run_of(
        {
            key: {"accuracy": [value] * 3}
            for key, value in zip(("higgs_accuracy", "moss_accuracy"), values, strict=True)
        },
        manifest,
    )
    return list(planned(documents, Source().put("VC_MIN", "0.5").facts(), manifest).rows)


def test_two_rows_with_different_values_for_one_literal_are_both_unknown() -> None:
    one, other = sharing(None, None, (0.6, 0.7))
    assert one.direction == other.direction == "unknown"
    assert "moss_accuracy/VC_MIN plans 0.7" in (one.problem or "")
    assert "higgs_accuracy/VC_MIN plans 0.6" in (other.problem or "")
    assert [row.problem for row in sharing(None, None, (0.6, 0.6))] == [None, None]


def test_a_preset_touches_no_symbol_of_another_one() -> None:
    one, other = sharing("higgs", "moss", (0.6, 0.6))
    assert "preset moss" in (one.problem or "")
    assert "preset higgs" in (other.problem or "")
    assert [row.problem for row in sharing("higgs", "higgs", (0.6, 0.6))] == [None, None]


def test_a_preset_that_was_not_run_keeps_its_symbols() -> None:
    manifest = manifest_of(
        higgs_accuracy=stage_data(metrics={"accuracy": metric_data("VC_MIN")}, calibration_preset="higgs"),
        moss_accuracy=stage_data(metrics={"accuracy": metric_data("VC_MIN")}, calibration_preset="moss"),
    )
    documents = run_of({"higgs_accuracy": {"accuracy": [0.6] * 3}}, manifest)
    documents["plan.json"] = plan_data(["higgs_accuracy"], 3)
    row = planned(documents, Source().put("VC_MIN", "0.5").facts(), manifest).rows[0]
    assert row.direction == "unknown"
    assert "moss_accuracy/VC_MIN of preset moss" in (row.problem or "")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("MMMU_", None),
        ("(MMMU|MMSU)_", None),
        ("MMSU_", "does not admit MMMU_MIN_ACCURACY"),
        ("(", "constant_filter ("),
    ],
)
def test_a_constant_filter_admits_or_not(pattern: str, problem: str | None) -> None:
    plan = planned(run_of(), usual().facts(), filters={"mmmu_accuracy": [pattern]})
    found = plan.rows[0].problem
    assert found is None if problem is None else problem in (found or "")


def test_the_shape_that_scripts_know() -> None:
    facts = usual().table("_MMMU_P95", {8: {"throughput_qps": "1.2", "rtf_mean": "0.4324"}}).facts()
    body = plan_json(planned(run_of(), facts), "/runs/x")
    json.dumps(body, allow_nan=False)
    assert list(body) == ["model", "run_dir", "repeats", "stages"]
    stages = body["stages"]
    assert isinstance(stages, list)
    stage = stages[1]
    assert isinstance(stage, dict)
    assert list(stage) == [
        *("stage_key", "effective_n", "test", "threshold_file", "title", "stage_group", "variant"),
        *("calibration_preset", "gpus", "concurrency", "metrics"),
    ]
    metrics = stage["metrics"]
    assert isinstance(metrics, list)
    assert metrics[0] == {
        "metric_key": "throughput_qps",
        "source": QPS,
        "source_kind": "nested",
        "symbol": "_MMMU_P95",
        "subkey": "throughput_qps",
        "worst_op": "min",
        "per_run_raw": [1.3186, 1.364, 1.349],
        "worst_raw": 1.3186,
        "worst_rounded": 1.319,
        "write_value": 1.3186,
        "digits": 3,
        "scale": 1,
        "label": "Throughput",
        "current_raw": 1.2,
        "direction": "tightens",
    }


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("A_MIN", ("A_MIN", None)),
        ("_P95['rtf_mean']", ("_P95", "rtf_mean")),
        ('_P95["rtf_mean"]', ("_P95", "rtf_mean")),
        ("_P95[8]['x']", None),
        ("_P95['x'", None),
        ("_P95['x\"]", None),
        ("A B", None),
        ("É", None),
    ],
)
def test_sources(source: str, found: tuple[str, str | None] | None) -> None:
    assert parse_source(source) == found


@given(
    st.lists(st.floats(0.001, 1e6), min_size=3, max_size=7),
    st.lists(st.floats(0.001, 1e6), min_size=3, max_size=7),
    st.randoms(use_true_random=False),
)
def test_plans_do_not_depend_on_the_order_of_repeats(accuracy: list[float], qps: list[float], random: Random) -> None:
    size = min(len(accuracy), len(qps))
    values = {
        "mmmu_accuracy": {"accuracy": accuracy[:size]},
        "mmmu_speed": {"throughput_qps": qps[:size], "rtf_mean": accuracy[:size]},
    }
    order = list(range(size))
    random.shuffle(order)
    turned = {stage: {k: [v[i] for i in order] for k, v in body.items()} for stage, body in values.items()}
    one, other = planned(run_of(values)), planned(run_of(turned))
    assert [replace(row, per_run_raw=()) for row in one.rows] == [replace(row, per_run_raw=()) for row in other.rows]
    for row in one.rows:
        assert not any(tighter(row.worst_op, row.write_value, value) for value in row.per_run_raw)

"""The observation report of runs that are made up: its exact text, its JSON, and what it must never say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.calibration.applied import applied_rows, open_applies
from gates.calibration.assemble import Run, assemble
from gates.calibration.audit import Audit, audit
from gates.calibration.context import Gpus, gpus_of
from gates.calibration.plan import make_plan
from gates.calibration.report import Surroundings, make_report, refusal, report_json
from gates.calibration.report_estimates import estimate_gates
from gates.calibration.report_text import pull_request_markdown, report_markdown
from gates.calibration.schema import Manifest
from gates.calibration.since import Change, LogSeen, Sighting, make_since
from gates.calibration.source import Constant, Name, Number, Other, SourceFacts
from gates.documents import Document, Json
from gates.journal import Event, Journal
from tests.gates.calibration.samples import (
    OTHER_SHA,
    SHA,
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


def number(name: str, value: int | float) -> Constant:
    return Constant(name, 1, False, Number(str(value), 0, 1, value, isinstance(value, int)))


FACTS = {TEST: SourceFacts(TEST, "0" * 64, constants=(number("CONCURRENCY", 16), number("MAX_TOKENS", 32)))}


def wer_stage() -> dict[str, Json]:
    wer: Json = {**metric_data("B_WER_MAX", "wer", "max"), "display": {"label": "WER (%)", "scale": 100, "digits": 2}}
    return stage_data(
        title="MMMU Wer", group="wer", context_vars=["MAX_SAMPLES", "_MAX_TOKENS", "CONCURRENCY"], metrics={"wer": wer}
    )


def small_manifest() -> Manifest:
    return manifest_of(a=stage_data(), b=wer_stage(), d=docs_data())


def small_documents() -> dict[str, Document]:
    cells: dict[str, Document] = {}
    for run, (accuracy, wer) in enumerate([(0.62, 0.0051), (0.58, 0.0103), (0.64, 0.005)], 1):
        about: dict[str, Json] = {"recorded_at": f"2026-05-25T03:0{run}:00Z", "attempts": 1}
        cells[f"a/run{run}.json"] = record_data({"accuracy": accuracy}, **about)
        failed: dict[str, Json] = {"pytest_rc": 1, "reason": "threshold"} if run == 2 else {}
        cells[f"b/run{run}.json"] = record_data({"wer": wer}, **{**about, **failed})
        cells[f"d/run{run}.json"] = record_data({}, None, None, **about)
    plan = plan_data(["a", "b", "d"], 3, git_branch="main", venv_python="/v/bin/python", venv_source="flag")
    return documents_of(plan, cells)


def judged(documents: Mapping[str, Document], manifest: Manifest, journal: Journal | None = None) -> tuple[Run, Audit]:
    run = assemble(documents, manifest, journal)
    return run, audit(run)


PRECHECK: Json = {"gpu_count": 2, "gpu_model": "NVIDIA H20"}

REPORT = f"""\
# CI Threshold Observation Report

**Calibration commit:** {SHA}

Model qwen3-omni-v1: 3 stages, worst of 3 strict runs each.
Environment: unknown (no reference; no environment-fingerprint.json).

**Note:** HEAD is {OTHER_SHA}, no longer the calibration's commit.

Below, `?` stands for what is not known: `MAX_SAMPLES` (no literal that can be read); `_MAX_TOKENS` (no literal that \
can be read).

## MMMU

`a` of `{TEST}`

— 2× NVIDIA H20, 50 samples, concurrency=16, 3 runs

| Run | Samples run | Samples ok | Acc (%) |
|---|---|---|---|
| 1 | 50 | 50 | 62.00 |
| 2 | 50 | 50 | 58.00 |
| 3 | 50 | 50 | 64.00 |
| **Worst-of-N** | — | — | **58.00** |

## MMMU Wer

`b` of `{TEST}`

— 2× NVIDIA H20, ? samples, max_tokens=?, concurrency=16, 3 runs

| Run | Samples run | Samples ok | WER (%) |
|---|---|---|---|
| 1 | 50 | 50 | 0.51 |
| 2 | 50 | 50 | 1.03 |
| 3 | 50 | 50 | 0.50 |
| **Worst-of-N** | — | — | **1.03** |

## Docs

`d` of `tests/test_docs.py`

— 2× NVIDIA H20, docs smoke, 3 runs

All 3 runs passed; nothing is measured.

## Metric statistics

| Stage | Metric | N | Min | Median | Mean | Max | SD | SD / mean |
|---|---|---|---|---|---|---|---|---|
| `a` | Acc (%) | 3 | 58.00 | 62.0000 | 61.3333 | 64.00 | 3.0551 | 4.98 % |
| `b` | WER (%) | 3 | 0.50 | 0.5100 | 0.6800 | 1.03 | 0.3032 | 44.58 % |

## Operational reliability

6 attempts for 6 observations, 0 infrastructure failures; counted from what the artifacts tell of themselves.
A threshold that failed is a valid observation and no failed attempt.

| Unit | Observations | Attempts | Infrastructure failures | Thresholds failed | Median duration (s) |
|---|---|---|---|---|---|
| `test_mmmu_ci` | 3 | 3 | 0 | 1 | 219.7 |
| `test_docs` | 3 | 3 | 0 | 0 | 219.7 |

## Applied changes

| Stage | Metric | Old | New | Direction |
|---|---|---|---|---|
| `b` | `B_WER_MAX` | `0.02` | `0.0103` | tightens (-48.5%) |

## Provenance

- Calibration commit: {SHA}
- Branch: main
- Working tree: clean
- HEAD: {OTHER_SHA}, no longer the calibration's commit
- Run directory: r
- Started: 2026-05-25T02:43:02Z
- Recorded: 2026-05-25T03:01:00Z to 2026-05-25T03:03:00Z
- Python of the tests: `/v/bin/python (flag)`
- Made by: 0.6.0
- Stages: stages.yaml, the checkout's
- Strict: READY: 3 of 3 stages have 3 strict repeats
- Git provenance: ok (all artifacts match calibration commit)
- Environment: unknown (no reference; no environment-fingerprint.json)
- Audit digest: DIGEST
"""


def applied_journal(state: str = "done") -> Document:
    about: dict[str, Json] = {"stage": "b", "source": "B_WER_MAX", "direction": "tightens (-48.5%)"}
    return {"state": state, "files": [{"path": TEST, "edits": [{**about, "old": "0.02", "new": "0.0103"}]}]}


def test_the_whole_text() -> None:
    run, result = judged(small_documents(), small_manifest())
    applied = applied_rows({".gatewatch/apply/01/journal.json": applied_journal()})
    around = Surroundings("r", FACTS, head=OTHER_SHA, applied=applied, precheck=PRECHECK)
    assert refusal(result) == ()
    text = report_markdown(make_report(run, result, around))
    assert text.replace(result.verdict.digest(), "DIGEST") == REPORT


def test_what_an_old_run_does_not_record_is_said_once() -> None:
    """Its context line has nothing but question marks, which nobody could read otherwise."""
    run, result = judged(small_documents(), small_manifest())
    text = report_markdown(make_report(run, result, Surroundings("r", {})))
    said = [line for line in text.splitlines() if line.startswith("Below, `?` stands for")]
    assert len(said) == 1
    assert "the count and model of the host's GPUs (no precheck and no fingerprint tells)" in said[0]
    assert said[0].count("`CONCURRENCY`") == 1
    known = make_report(run, result, Surroundings("r", FACTS, precheck=PRECHECK))
    assert "GPUs (no precheck" not in report_markdown(known)


def test_the_same_run_gives_the_same_text() -> None:
    texts = set()
    for _ in range(2):
        run, result = judged(small_documents(), small_manifest())
        texts.add(report_markdown(make_report(run, result, Surroundings("r", FACTS))))
    assert len(texts) == 1


def test_nothing_applied_no_section() -> None:
    run, result = judged(small_documents(), small_manifest())
    assert "Applied" not in report_markdown(make_report(run, result, Surroundings("r", FACTS)))


def test_only_what_was_carried_out_is_applied() -> None:
    journals: dict[str, Any] = {
        "2": applied_journal(),
        "1": applied_journal("prepared"),
        "3": applied_journal("rolled_back"),
        "4": {"state": "done", "files": [{"path": TEST, "edits": [{"stage": "b"}, None]}, None]},
    }
    assert [row.metric for row in applied_rows(journals)] == ["B_WER_MAX"]
    assert open_applies(journals) == ("1",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"b/run3.json": None}, "strict: "),
        ({"b/run3.json": record_data({"wer": None})}, "strict: "),
        ({"b/run3.json": record_data({"wer": 0.1}, ok=49)}, "strict: "),
        ({"b/run3.json": record_data({"wer": 0.1}, git_sha=OTHER_SHA)}, "provenance: "),
        ({"b/run3.json": record_data({"wer": 0.1}, git_sha=None)}, "provenance: "),
    ],
)
def test_a_run_that_is_not_ready_is_refused(change: dict[str, Document], reason: str) -> None:
    documents = {path: body for path, body in {**small_documents(), **change}.items() if body is not None}
    reasons = refusal(judged(documents, small_manifest())[1])
    assert any(line.startswith(reason) for line in reasons)


def test_a_spare_run_counts_and_a_partial_one_is_named() -> None:
    documents = {**small_documents(), "b/run2.json": record_data({"wer": 0.5}, ok=48)}
    documents["b/run4.json"] = record_data({"wer": 0.0222})
    run, result = judged(documents, small_manifest())
    assert refusal(result) == ()
    report = make_report(run, result, Surroundings("r", FACTS))
    section = next(section for section in report.sections if section.key == "b")
    assert [row.run for row in section.rows] == [1, 3, 4]
    assert section.columns[0].worst_raw == 0.0222  # never the partial 0.5
    assert section.left_out == ("run 2 △ 48 of 50 samples ok",)
    assert "Not counted: run 2 △ 48 of 50 samples ok" in report_markdown(report).replace("`", "")


def test_scope_that_is_not_pinned_is_said() -> None:
    manifest = manifest_of(a=stage_data(expected_samples=None))
    documents = documents_of(plan_data(["a"], 1), {"a/run1.json": record_data()})
    run, result = judged(documents, manifest)
    text = report_markdown(make_report(run, result, Surroundings("r", {})))
    assert "— ?× ?, 50 samples, concurrency=?, 1 run (scope not pinned)" in text


@pytest.mark.parametrize(
    ("precheck", "fingerprint", "gpus"),
    [
        (None, None, Gpus(None, None)),
        ({"gpu_count": 8, "gpu_model": "H20"}, {"gpu_count": 2, "gpu_model": "H100"}, Gpus(8, "H20")),
        (None, {"gpu_count": 2, "gpu_model": "H100"}, Gpus(2, "H100")),
        ({"gpus": {"count": 2, "model": "H20"}}, None, Gpus(2, "H20")),
        ({"gpus": [{"name": "H20"}, {"name": "H20"}]}, None, Gpus(2, "H20")),
        ({"gpu_count": True, "gpu_model": 7, "gpus": "x"}, None, Gpus(None, None)),
        ({"gpu_count": -1}, {"gpu_count": 0}, Gpus(0, None)),
    ],
)
def test_gpus(precheck: Json, fingerprint: Json, gpus: Gpus) -> None:
    assert gpus_of(precheck, fingerprint) == gpus


def test_a_variable_is_never_copied_from_another_stage() -> None:
    other = "tests/test_model/test_other_ci.py"
    manifest = manifest_of(a=stage_data(), b=stage_data(test=other))
    cells: dict[str, Document] = {"a/run1.json": record_data(), "b/run1.json": record_data()}
    run, result = judged(documents_of(plan_data(["a", "b"], 1), cells), manifest)
    facts = {**FACTS, other: SourceFacts(other, "", constants=(Constant("CONCURRENCY", 1, False, Other((), "None")),))}
    lines = [section.context.line() for section in make_report(run, result, Surroundings("r", facts)).sections]
    assert ["concurrency=16" in lines[0], "concurrency=?" in lines[1]] == [True, True]


def test_a_variable_that_names_another() -> None:
    facts = {TEST: SourceFacts(TEST, "", constants=(Constant("CONCURRENCY", 1, False, Name("C")), number("C", 4)))}
    run, result = judged(documents_of(plan_data(["a"], 1), {"a/run1.json": record_data()}), manifest_of(a=stage_data()))
    assert "concurrency=4" in make_report(run, result, Surroundings("r", facts)).sections[0].context.line()


def test_attempts_are_counted_from_the_journal() -> None:
    def event(seq: int, kind: str, **data: object) -> Event:
        return Event(f"id{seq}", seq, {}, "2026-05-25T03:00:00Z", kind, data)

    unit = "test_mmmu_ci"
    journal = Journal(
        (
            event(1, "attempt.started", unit=unit, token="t1"),
            event(2, "attempt.ended", unit=unit, token="t1", outcome="infra", reason="OOM | boom"),
            event(3, "attempt.started", unit=unit, token="t2"),
            event(4, "attempt.ended", unit=unit, token="t2", outcome="threshold"),
            event(5, "attempt.adopted", unit=unit, token="t2"),
            event(6, "attempt.ended", unit=unit, token="t2", outcome="threshold"),
            event(7, "cell.discarded", stage="a", run=1, why="set-aside", to="x"),
            event(8, "cell.discarded", stage="b", run=1, why="set-aside", to="x"),
            event(9, "cell.discarded", stage="a", run=2, why="discard", reason="odd"),
            event(10, "cell.recorded", stage="a", run=2),
        )
    )
    run, result = judged(small_documents(), small_manifest(), journal)
    found = make_report(run, result, Surroundings("r", FACTS)).reliability
    assert found.from_journal
    first = found.units[0]
    assert (first.attempts, first.infra, first.below, first.reasons) == (2, 1, 1, ("OOM | boom",))
    assert (found.set_aside, found.by_hand) == (1, 1)
    assert "- `test_mmmu_ci`: `OOM | boom`" in report_markdown(make_report(run, result, Surroundings("r", FACTS)))


def test_attempts_without_a_journal() -> None:
    history: Json = [
        {"outcome": "infra", "reason": "OOM"},
        {"outcome": "infra", "how": "lost", "orphan": True},
    ]
    documents = {
        **small_documents(),
        "a/run1.json": record_data({"accuracy": 0.6}, attempts=3, attempt_history=history),
    }
    documents["a/run2.json"] = record_data({"accuracy": 0.6}, attempts=12)
    run, result = judged(documents, small_manifest())
    unit = make_report(run, result, Surroundings("r", FACTS)).reliability.units[0]
    assert (unit.attempts, unit.infra, unit.reasons) == (16, 12, ("OOM",))


def test_since() -> None:
    history: Json = {
        "base": OTHER_SHA,
        "commits": [{"sha": SHA, "at": "2026-05-20T00:00:00Z", "subject": "graph | replay\n## Provenance"}],
        "count": 3,
        "files": 2,
        "problem": "",
    }
    sightings = [
        Sighting("graphs", "cuda graph: True", ("a",), (LogSeen("l1", True, 12, "cuda graph: True"),)),
        Sighting("fused", "fused|kernel", ("b",), (LogSeen("l1", False), LogSeen("l2", False))),
        Sighting("partly", "x", ("b",), (LogSeen("l1", True), LogSeen("l2", False))),
        Sighting("gone", "x", ("b",), (LogSeen("l1", None, None, "l1 is not there"),)),
    ]
    changes = [
        Change("b", "wer", "B_WER_MAX", "loosens", "loosens (+3.0%)"),
        Change("a", "accuracy", "A_MIN", "tightens", "tightens (+2.1%)"),
    ]
    assert isinstance(history, dict)
    since = make_since(history, sightings, changes)
    assert [one.outcome for one in since.evidence] == ["seen", "not seen", "partly", "unknown"]
    assert [(one.kind, one.seen, one.missing) for one in since.conclusions] == [
        ("accuracy", ("graphs",), ()),
        ("wer", (), ("fused", "partly", "gone")),
    ]
    run, result = judged(small_documents(), small_manifest())
    report = make_report(run, result, Surroundings("r", FACTS, since=since))
    for text in (report_markdown(report), pull_request_markdown(report)):
        assert "3 commits, 2 files changed." in text
        assert "- and 2 more" in text
        assert "| `graphs` | `cuda graph: True` | seen | 1 of 1 logs, first `l1`, line 12 |" in text
        assert "| `fused` | `fused\\|kernel` | **not seen** | 0 of 2 logs |" in text
        assert "**Configured and not seen at work everywhere:** `fused`, `partly`, `gone`." in text
        assert text.index("### Accuracy") < text.index("### WER")
        assert "\n## Provenance\n`" not in text
    assert report_markdown(report).count("\n## Provenance\n") == 1
    assert json.loads(json.dumps(report_json(report), allow_nan=False))["since"]["commit_count"] == 3


HOSTILE = "a | `b` \x1b[2J\n## Provenance\n<b> @x [y](z)"


def test_hostile_text_is_inert() -> None:
    wild = stage_data(title=HOSTILE, context_vars=[HOSTILE])
    metrics = wild["metrics"]
    assert isinstance(metrics, dict)
    metrics["accuracy"] = {**metric_data(HOSTILE), "display": {"label": HOSTILE, "scale": 1, "digits": 3}}
    documents = documents_of(
        plan_data(["a"], 1, git_branch=HOSTILE, venv_python=HOSTILE, tune_version=HOSTILE, host=HOSTILE),
        {"a/run1.json": record_data(reason=HOSTILE), "a/run2.json": record_data(ok=2, reason=HOSTILE)},
    )
    documents["environment-fingerprint.json"] = {"hostname": HOSTILE, "gpu_model": HOSTILE, "pins": {HOSTILE: HOSTILE}}
    run, result = judged(documents, manifest_of(a=wild))
    applied = applied_rows(
        {
            "j": {
                "state": "done",
                "files": [{"edits": [{"stage": HOSTILE, "source": HOSTILE, "old": "1", "new": HOSTILE}]}],
            }
        }
    )
    report = make_report(run, result, Surroundings(HOSTILE, {}, applied=applied, head_problem=HOSTILE))
    plan = make_plan(run, result, manifest_of(a=wild), {})
    _document, lines = estimate_gates(plan, manifest_of(a=wild), {}, {}, None)
    for text in (report_markdown(report), pull_request_markdown(report), "\n".join(lines)):
        assert all(line.isprintable() for line in text.split("\n"))
        assert text.count("\n## Provenance\n") <= 1
        for block in text.split("\n\n"):
            rows = [line for line in block.split("\n") if line.startswith("|")]
            assert len({line.replace("\\|", "").count("|") for line in rows}) <= 1
        outside = "".join(part for place, part in enumerate(text.replace("``", "`").split("`")) if place % 2 == 0)
        assert "<b>" not in outside
        assert "@x" not in outside


VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=5), st.integers(0, 17), st.sampled_from([1, 100, 0.001]))
def test_no_number_that_is_none_appears(values: list[Any], digits: int, scale: float) -> None:
    stage = stage_data()
    stage["metrics"] = {"accuracy": {**metric_data(), "display": {"label": "L", "scale": scale, "digits": digits}}}
    cells: dict[str, Document] = {
        f"a/run{run}.json": record_data({"accuracy": value}, duration_s=value if value == abs(value) else 1.0)
        for run, value in enumerate(values, 1)
    }
    run, result = judged(documents_of(plan_data(["a"], len(values)), cells), manifest_of(a=stage))
    assert refusal(result) == ()
    report = make_report(run, result, Surroundings("r", {}))
    document = json.loads(json.dumps(report_json(report), allow_nan=False))
    raw = document["stages"][0]["metrics"][0]
    assert raw["per_run_raw"] == values
    assert raw["worst_raw"] == min(values)
    text = report_markdown(report).lower()
    assert not {"nan", "inf", "-inf"} & {word.strip("*`|,.") for word in text.split()}
    assert all(value is None or math.isfinite(value) for value in raw["statistics"].values())


def test_estimates_are_made_per_gate_and_stated_for_json() -> None:
    run, result = judged(small_documents(), small_manifest())
    plan = make_plan(run, result, small_manifest(), FACTS)
    document, lines = estimate_gates(plan, small_manifest(), FACTS, None, None)
    assert isinstance(document, dict)
    gates = document["gates"]
    assert isinstance(gates, list)
    assert [
        (gate["stage_key"], gate["metric_key"], gate["n"], gate["promise"]) for gate in gates if isinstance(gate, dict)
    ] == [
        ("a", "accuracy", 3, 0.25),
        ("b", "wer", 3, 0.25),
    ]
    assert document["rounds"] == {"failed": 1, "of": 3}  # run 2 is the worst of both
    assert "| `a` | Acc (%) | 3 | 25.0 % | 1 of 3 | — | — |" in "\n".join(lines)
    json.dumps(document, allow_nan=False)

"""Small manifests, plans and artifacts that the tests of these gates are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gates.calibration.schema import Manifest, Stage, parse_manifest
from gates.documents import Document, Json

SHA = "ffea71b6ef7ee164858d25b7edad4592a4091752"
OTHER_SHA = "5aa60e4bc1274e968fc11be557ca99ff9a4dff00"


def metric_data(source: str = "A_MIN", path: str = "summary.accuracy", worst: str = "min") -> dict[str, Json]:
    return {
        "source": source,
        "json_file": "t0/results.json",
        "json_path": path,
        "worst": worst,
        "display": {"label": "Acc (%)", "scale": 100, "digits": 2},
        "status": "OK",
    }


def counts_data() -> dict[str, Json]:
    return {
        "total": {"json_file": "t0/results.json", "json_path": "summary.total_samples"},
        "ok": {"json_file": "t0/results.json", "json_path": "speed.completed_requests"},
    }


def stage_data(**more: Json) -> dict[str, Json]:
    """One stage of a manifest; None in `more` takes a key away, `metrics` may be a list of keys."""
    body: dict[str, Json] = {
        "test": "tests/test_model/test_mmmu_ci.py",
        "title": "MMMU",
        "group": "accuracy",
        "extra_env": {},
        "context_vars": ["CONCURRENCY"],
        "test_file_sha256": "0" * 64,
        "last_discovered_at": "2026-05-22T16:52:36Z",
        "expected_samples": 50,
        "sample_counts": counts_data(),
        "metrics": ["accuracy"],
        **more,
    }
    metrics = body["metrics"]
    if isinstance(metrics, list):
        body["metrics"] = {str(key): metric_data(path=f"summary.{key}") for key in metrics}
    return {key: value for key, value in body.items() if value is not None}


def docs_data(**more: Json) -> dict[str, Json]:
    """A docs stage: nothing is measured."""
    return {"test": "tests/test_docs.py", "title": "Docs", "group": "docs", "metrics": {}, **more}


def manifest_of(**stages: dict[str, Json]) -> Manifest:
    return parse_manifest(dict(stages))


def stage_of(manifest: Manifest, key: str) -> Stage:
    stage = manifest.get(key)
    assert stage is not None
    return stage


def plan_data(stages: Sequence[str], repeats: int = 5, **more: Json) -> dict[str, Json]:
    return {
        "model": "qwen3-omni-v1",
        "stages": list(stages),
        "repeats": repeats,
        "timestamp": "2026-05-25T02:43:02Z",
        "calibration_git_sha": SHA,
        "git_sha": SHA,
        "dirty": False,
        "tune_version": "0.6.0",
        **more,
    }


def record_data(
    metrics: Mapping[str, Json] | None = None, total: Json = 50, ok: Json = 50, **more: Json
) -> dict[str, Json]:
    """An artifact as the old tool writes it."""
    return {
        "status": "ok",
        "reason": "",
        "metrics": dict(metrics) if metrics is not None else {"accuracy": 0.61},
        "sample_counts": {"total": total, "ok": ok},
        "duration_s": 219.65,
        "attempts": 1,
        "pytest_rc": 0,
        "git_sha": SHA,
        **more,
    }


def documents_of(plan: Mapping[str, Json], cells: Mapping[str, Document]) -> dict[str, Document]:
    """A run directory's documents."""
    return {"plan.json": dict(plan), **cells}

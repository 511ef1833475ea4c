"""`calibrate audit`: what it says of a run directory, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.peers.quick import MODEL, SHA, Quick, manifest_text, old_run, tree, write_cell
from tui.cli.main import main

# Real runs, each of several processes: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)

READY = f"""\
calibration_git_sha: {SHA}
GIT PROVENANCE: ok (all artifacts match calibration commit)
ENVIRONMENT: unknown (no reference; no environment-fingerprint.json)
a_accuracy: ✓✓ (2/2 strict, expected=50)
a_speed: ✓✓ (2/2 strict, expected=50)
b_wer: ✓✓ (2/2 strict, expected=50)
STRICT READY: 3/3 stages (2 repeats each)
STRICT + GIT: READY
"""


@pytest.fixture
def checkout(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Quick:
    """The checkout, and we stand in it."""
    monkeypatch.chdir(quick.folder)
    return quick


def audit(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(("calibrate", "audit", *words))
    return (code, *capsys.readouterr())


def audit_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code, out, _ = audit(capsys, *words, "--json")
    return code, json.loads(out)


def marks(data: Any) -> dict[str, str]:
    return {stage["stage_key"]: "".join(cell["mark"] for cell in stage["cells"]) for stage in data["stages"]}


def test_an_old_run_is_judged_by_its_files_alone(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    before = tree(checkout.folder)
    assert audit(capsys, "--run-dir", "o") == (0, READY, "")
    assert audit(capsys, "--run-dir", str(run), "--read-only") == (0, READY, "")
    assert audit(capsys) == (0, READY, "")  # the newest, and the only one
    assert tree(checkout.folder) == before


def test_an_old_run_from_anywhere(
    checkout: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = old_run(checkout.runs / "o")
    monkeypatch.chdir(tmp_path)
    assert audit(capsys, "--run-dir", str(run)) == (0, READY, "")
    assert audit(capsys, "--root", str(checkout.folder)) == (0, READY, "")


def test_a_journal_that_cannot_be_read_whole_is_told_and_stops_nothing(
    checkout: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    run = old_run(checkout.runs / "o")
    (run / "events.jsonl").write_bytes(b"not json\n\0\0\n" + b"x" * 200_000)
    code, out, err = audit(capsys)
    assert (code, out) == (0, READY)
    assert err.splitlines() == [
        f"gatewatch: warning: events.jsonl:{line}: not a JSON object (JSONDecodeError)" for line in (1, 2, 3)
    ]
    assert len(audit_json(capsys)[1]["findings"]) == 3


def test_the_json(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    code, data = audit_json(capsys)
    assert code == 0
    assert (data["run_dir"], data["model"], data["repeats"]) == (str(run), MODEL, 2)
    assert (data["calibration_git_sha"], data["strict_ready"], data["strict_complete"]) == (SHA, "3/3", True)
    assert data["stages"][0] == {
        "stage_key": "a_accuracy",
        "expected": 50,
        "strict": 2,
        "ready": True,
        "cells": [{"run": 1, "mark": "✓", "reason": ""}, {"run": 2, "mark": "✓", "reason": ""}],
    }
    assert (data["verdict"]["decision"], data["verdict"]["outcome"]) == ("pass", "READY")
    assert len(data["digest"]) == 64


@pytest.mark.parametrize(
    ("spoil", "line", "reason"),
    [
        ("{", "a_speed: ✓✗ (1/2 strict, expected=50)", "unreadable: a_speed/run2.json:1:2: "),
        ("", "a_speed: ✓✗ (1/2 strict, expected=50)", "empty"),
        ("[1]", "a_speed: ✓✗ (1/2 strict, expected=50)", "expected a JSON object"),
        ({"metrics": {"throughput_qps": None}}, "a_speed: ✓✗ (1/2 strict, expected=50)", "throughput_qps"),
        ({"status": "failed", "reason": "oom"}, "a_speed: ✓✗ (1/2 strict, expected=50)", "oom"),
        ({"sample_counts": {"total": 40, "ok": 40}}, "a_speed: ✓✗ (1/2 strict, expected=50)", "40"),
        ({"sample_counts": {"total": 50, "ok": 49}}, "a_speed: ✓△ (1/2 strict, expected=50)", "49"),
        (
            {"destructive": True, "destructive_evidence": ["a burst"]},
            "a_speed: ✓D (1/2 strict, expected=50)",
            "a burst",
        ),
        (None, "a_speed: ✓— (1/2 strict, expected=50)", "not run yet"),
    ],
)
def test_a_spoilt_cell_spoils_nothing_else(
    spoil: Any, line: str, reason: str, checkout: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    run = old_run(checkout.runs / "o")
    path = run / "a_speed" / "run2.json"
    if spoil is None:
        path.unlink()
    elif isinstance(spoil, str):
        path.write_text(spoil)
    else:
        write_cell(run, "a_speed", 2, **spoil)
    code, out, err = audit(capsys)
    assert code == 1
    assert err == "" if spoil is None else err.startswith(f"gatewatch: {line[10]} a_speed/run2.json: ")
    assert err.count("\n") == (spoil is not None)
    assert reason in err or spoil is None
    lines = out.splitlines()
    assert lines[3:] == [
        "a_accuracy: ✓✓ (2/2 strict, expected=50)",
        line,
        "b_wer: ✓✓ (2/2 strict, expected=50)",
        "STRICT READY: 2/3 stages (2 repeats each)",
        "STRICT + GIT: NOT READY",
    ]
    code, data = audit_json(capsys)
    assert code == 1
    assert reason in data["stages"][1]["cells"][1]["reason"]


def test_missing_and_foreign_commits_are_both_told(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    write_cell(run, "a_speed", 1, git_sha="f" * 40)
    write_cell(run, "b_wer", 2, git_sha=None)
    code, out, _ = audit(capsys)
    assert code == 1
    line = out.splitlines()[1]
    assert line.startswith("GIT PROVENANCE: FAIL (")
    assert f"a_speed/run1.json has {'f' * 40}" in line
    assert "without git_sha: b_wer/run2.json" in line
    assert out.endswith("STRICT READY: 3/3 stages (2 repeats each)\nSTRICT + GIT: NOT READY\n")


def test_a_plan_without_a_commit_proves_nothing(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    old_run(checkout.runs / "o", calibration_git_sha=None)
    code, out, _ = audit(capsys)
    assert code == 3
    assert "GIT PROVENANCE: unknown (plan.json has no calibration_git_sha)" in out


def test_without_a_manifest_values_are_shown_and_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(tmp_path / "o")
    write_cell(run, "a_speed", 1, status="failed", reason="oom")
    code, data = audit_json(capsys, "--run-dir", str(run))
    assert code == 3
    assert marks(data) == {"a_accuracy": "??", "a_speed": "✗?", "b_wer": "??"}
    assert (data["verdict"]["decision"], data["verdict"]["outcome"]) == ("unknown", "NOT READY")
    assert "a manifest (stages.yaml)" in data["verdict"]["missing"]


def test_a_frozen_manifest_wins_over_the_checkout(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    (run / "stages.yaml").write_text(json.dumps(yaml.safe_load(manifest_text())))
    assert audit(capsys)[:2] == (0, READY)
    # The checkout moves on; what was frozen still decides.
    checkout.manifest.write_text(manifest_text().replace("expected_samples: 50", "expected_samples: 60"))
    assert audit(capsys)[:2] == (0, READY)
    (run / "stages.yaml").unlink()
    code, out, _ = audit(capsys)
    assert code == 1
    assert "a_speed: ✗✗ (0/2 strict, expected=60)" in out


def test_another_environment_is_a_third_gate(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o", reference={"gpu_model": "H20", "image": None, "pins": {}})
    (run / "environment-fingerprint.json").write_text(json.dumps({"gpu_model": "H100", "gpu_count": 8, "pins": {}}))
    code, out, _ = audit(capsys)
    assert code == 1
    assert out.splitlines()[2].startswith("ENVIRONMENT: DIFFERS (gpu_model")
    assert out.endswith("STRICT + GIT: READY\n")
    (run / "environment-fingerprint.json").write_text(json.dumps({"gpu_model": "H20", "gpu_count": 8, "pins": {}}))
    code, out, _ = audit(capsys)
    assert (code, out.splitlines()[2]) == (0, "ENVIRONMENT: ok")


def test_three_is_only_for_what_is_still_to_come(quick: Quick) -> None:
    with quick.holding():
        assert quick.run("--detach").code == 0
        done = quick.gatewatch("calibrate", "audit")
        assert (done.code, done.err) == (3, b"")  # alive, and nothing but — is missing
        assert "a_accuracy: —— (0/2 strict, expected=50)\n" in done.text
        write_cell(quick.runs / "r", "b_wer", 1, status="failed", reason="oom")
        assert quick.gatewatch("calibrate", "audit").code == 1  # alive, and something is wrong already
        (quick.runs / "r" / "b_wer" / "run1.json").unlink()
        quick.kill()
        assert quick.gatewatch("calibrate", "audit").code == 1  # nobody is at work any more


def test_a_run_on_another_host_reads_the_same(quick: Quick) -> None:
    quick.hop()
    run = old_run(quick.runs / "o")
    here = quick.gatewatch("calibrate", "audit", "--run-dir", str(run), "--json")
    there = quick.gatewatch("calibrate", "audit", "--run-dir", f"hop:{run}", "--json")
    assert (there.code, there.err) == (0, b"")
    assert there.json() == here.json()
    named = quick.gatewatch("calibrate", "audit", "--run-dir", str(run), "--host", "hop")
    assert (named.code, named.text, named.err) == (0, READY, b"")
    (run / "a_speed" / "run2.json").write_text("{")
    assert quick.gatewatch("calibrate", "audit", "--run-dir", f"hop:{run}").code == 1


def test_a_host_that_does_not_answer_is_four(quick: Quick) -> None:
    quick.hop(enter="false")
    before = tree(quick.folder)
    done = quick.gatewatch("calibrate", "audit", "--run-dir", f"hop:{quick.runs}/o", "--json")
    assert (done.code, done.out) == (4, b""), done.said
    assert done.said.startswith("gatewatch: error: hop: ")
    assert done.said.count("\n") == 1
    assert tree(quick.folder) == before


def test_what_is_not_there_on_another_host_is_two(quick: Quick) -> None:
    quick.hop()
    done = quick.gatewatch("calibrate", "audit", "--run-dir", f"hop:{quick.runs}/nope")
    assert (done.code, done.out) == (2, b"")
    assert done.said.endswith("/nope/plan.json: not there\n")


def test_the_published_run(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = house.parent / "shared" / "data" / "calibration" / "qwen3-omni"
    if not root.is_dir():
        pytest.skip("the published calibration data are not beside this checkout")
    code, out, err = audit(capsys, "--root", str(root))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines.pop(2).startswith("ENVIRONMENT: unknown (")
    assert lines == (root / "strict-audit.txt").read_text().splitlines()
    assert "STRICT READY: 25/25 stages (5 repeats each)" in lines


def test_an_audit_imports_no_screen_and_no_ssh(quick: Quick) -> None:
    old_run(quick.runs / "o")
    done = quick.gatewatch("calibrate", "audit", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.code == 0
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.said.splitlines()}
    assert "gates" in imported
    assert {"asyncssh", "cryptography", "rich", "textual", "pytest"} & imported == set()

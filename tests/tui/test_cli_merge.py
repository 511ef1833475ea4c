"""`calibrate merge`: one run of two that observed different tests; anything doubtful is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.peers.quick import STAGES, Quick, old_run, tree
from tui.cli.main import main


@pytest.fixture
def checkout(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Quick:
    monkeypatch.chdir(quick.folder)
    return quick


def merge(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(("calibrate", "merge", *words))
    return (code, *capsys.readouterr())


FINGERPRINT = {"hostname": "h", "python": "3.12.1", "pins": {"torch": "2.9.1"}}


def part(checkout: Quick, name: str, *stages: str, fingerprint: Any = FINGERPRINT, **plan: Any) -> Path:
    run = old_run(checkout.runs / name, stages, **plan)
    if fingerprint is not None:
        (run / "environment-fingerprint.json").write_text(json.dumps(fingerprint))
    return run


def test_two_real_runs_become_one(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        words = ("--stages", name, "--repeats", "1", "--output-dir", str(checkout.runs / name))
        assert checkout.gatewatch("calibrate", "run", *words).code == 0
    before = tree(checkout.folder)
    code, out, err = merge(capsys, "m", "a", "b")
    assert (code, out, err) == (0, f"{checkout.runs}/m\n", "")
    after = tree(checkout.folder)
    assert {path: body for path, body in after.items() if not path.startswith(".tune-runs/m")} == before
    run = checkout.runs / "m"
    plan = json.loads((run / "plan.json").read_bytes())
    assert plan["stages"] == ["a_accuracy", "a_speed", "b_wer"]
    assert [parent["run_dir"] for parent in plan["parents"]] == [str(checkout.runs / name) for name in ("a", "b")]
    for stage in STAGES:
        source = checkout.runs / stage[0] / stage / "run1.json"
        assert (run / stage / "run1.json").read_bytes() == source.read_bytes()
    audit = checkout.gatewatch("calibrate", "audit", "--run-dir", "m", "--json")
    assert (audit.code, audit.said) == (0, "")
    assert audit.json()["strict_ready"] == "3/3"
    assert audit.json()["findings"] == []
    report = checkout.gatewatch("calibrate", "report", "--run-dir", "m")
    assert report.code == 0, report.said
    assert "2 attempts for 2 observations" in (run / "report.md").read_text()
    assert not list(checkout.runs.glob(".*"))  # nothing half-built stays behind


def test_old_runs_use_the_checkouts_stages(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    part(checkout, "a", "a_accuracy", "a_speed")
    part(checkout, "b", "b_wer")
    assert merge(capsys, "m", "a", "b")[0] == 0
    assert checkout.gatewatch("calibrate", "audit", "--run-dir", "m").code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "other"}, "of model other"),
        ({"repeats": 3}, "3 repeats, not 2"),
        ({"calibration_git_sha": "f" * 40}, f"of commit {'f' * 40}"),
        ({"calibration_git_sha": "unknown"}, "of commit unknown"),
        ({"workspace_diff_sha256": "x"}, "another state of the working tree"),
        ({"fingerprint": None}, "one of the two fingerprints is missing"),
        ({"fingerprint": {**FINGERPRINT, "hostname": "other"}}, "hostname: h became other"),
    ],
)
def test_what_is_not_the_same_is_refused(
    checkout: Quick, capsys: pytest.CaptureFixture[str], change: dict[str, Any], said: str
) -> None:
    part(checkout, "a", "a_accuracy", "a_speed")
    part(checkout, "b", "b_wer", **change)
    before = tree(checkout.folder)
    code, out, err = merge(capsys, "m", "a", "b")
    assert (code, out) == (1, "")
    assert "cannot be merged" in err
    assert said in err
    assert tree(checkout.folder) == before


def test_one_unit_in_both_is_refused(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    """Two stages of one test are fed by one pytest: their repeats belong together."""
    part(checkout, "a", "a_accuracy")
    part(checkout, "b", "a_speed", "b_wer")
    code, _, err = merge(capsys, "m", "a", "b")
    assert code == 1
    assert "tests/test_quick_a.py was observed in run 1 and in run 2" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("m", "a"), 2, "needs two runs"),
        (("a", "a", "b"), 2, "is there already"),
        (("m", "a", "a"), 2, "named twice"),
        (("a/m", "a", "b"), 2, "git would track"),
        ((".tune-runs/a/m", "a", "b"), 2, "within one of the runs"),
        (("m", "a", "zzz"), 2, "no such run"),
        (("m", "a", "b", "--read-only"), 2, "read-only"),
    ],
)
def test_what_is_wrong_makes_nothing(
    checkout: Quick, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    part(checkout, "a", "a_accuracy", "a_speed")
    part(checkout, "b", "b_wer")
    before = tree(checkout.folder)
    assert merge(capsys, *words)[0] == code
    assert said in merge(capsys, *words)[2]
    assert tree(checkout.folder) == before


def test_a_run_at_work_is_left_alone(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    part(checkout, "a", "a_accuracy", "a_speed")
    with checkout.holding():
        words = ("--stages", "b", "--repeats", "2", "--output-dir", str(checkout.runs / "b"), "--detach")
        assert checkout.gatewatch("calibrate", "run", *words).code == 0
        code, _, err = merge(capsys, "m", "a", "b")
    assert code == 1
    assert "may be at work" in err
    checkout.kill()
    shutil.rmtree(checkout.runs / "b")

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.calibration.example import example_folder
from tests.peers.quick import Quick
from tui.cli.main import main

OPEN = """\
from tests.scope import SAMPLES
MAX_TOKENS = 32
X_ACC_MIN = 0.5
X_BLEU_FLOOR = 30
def test_x(tmp_path_factory):
    run(max_samples=SAMPLES, max_tokens=MAX_TOKENS)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    root = tmp_path / "tiny-lab"
    shutil.copytree(example_folder(), root, ignore=shutil.ignore_patterns(".tune-runs", "__pycache__", ".pytest_cache"))
    return root


def discover(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str, str]:
    where = ("--root", str(root), "--repo", str(root), "--venv-python", sys.executable)
    code = main(("calibrate", "discover", *where, *words))
    return (code, *capsys.readouterr())


def test_a_manifest_that_is_up_to_date(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lab / "models" / "tiny-lab" / "stages.yaml"
    # Who checks wants to know whether, and not what.
    assert discover(capsys, lab, "--check") == (0, "", f"gatewatch: {path}: unchanged\n")
    code, out, err = discover(capsys, lab, "--read-only")
    assert (code, err) == (0, f"gatewatch: {path}: unchanged\n")
    assert out.startswith("tiny-lab: 13 stages from 3 test files\n")
    assert "GUESSING_ACC_MIN: listed under ignored_constants" in out
    assert "NEEDS_CONFIG" not in out


def test_one_that_is_not(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lab / "models" / "tiny-lab" / "stages.yaml"
    committed = path.read_text()
    path.write_text(committed.replace("expected_samples: 6000", "expected_samples: 16"))
    code, out, err = discover(capsys, lab, "--check")
    assert (code, err) == (1, f"gatewatch: {path}: not up to date; nothing was written\n")
    assert "-  expected_samples: 16\n" in out
    assert "+  expected_samples: 6000\n" in out
    assert discover(capsys, lab, "--read-only")[0] == 0
    assert "expected_samples: 16" in path.read_text()
    code, _, err = discover(capsys, lab)
    assert (code, err) == (0, f"gatewatch: {path}: written\n")
    untimed = [line for line in path.read_text().splitlines() if "last_discovered_at" not in line]
    assert untimed == [line for line in committed.splitlines() if "last_discovered_at" not in line]
    assert discover(capsys, lab, "--check")[0] == 0


def test_what_a_person_has_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = open_project(tmp_path)
    code, out, err = discover(capsys, root)
    assert code == 0
    assert err.endswith("stages.yaml: written\n")
    assert out.splitlines() == [
        "m: 1 stages from 1 test files",
        "",
        "STAGE            METRICS   SAMPLES  TEST",
        "test_x_accuracy  accuracy  —        tests/test_x.py",
        "",
        "NEEDS_CONFIG (run refuses these stages):",
        "  test_x_accuracy: accuracy",
        "  test_x_accuracy: sample_counts",
        "",
        "A config.yaml that says where they are:",
        "  metric_sources:",
        "    test_x.py:",
        '      json_file: "<folder>0/<name>_results.json"',
        "      paths:",
        "        accuracy: summary.accuracy",
        "      sample_counts:",
        "        total: summary.total_samples",
        "        ok: speed.completed_requests",
        "",
        "Look like thresholds, and are not calibrated:",
        "  tests/test_x.py:4: X_BLEU_FLOOR: no row of the registry knows it",
    ]


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = open_project(tmp_path)
    code, out, _ = discover(capsys, root, "--json", "--check")
    told: Any = json.loads(out)
    assert code == 1
    assert (told["model"], told["changed"], told["written"]) == ("m", True, False)
    assert list(told["stages"]) == ["test_x_accuracy"]
    assert [one["key"] for one in told["needs_config"]] == ["accuracy", "sample_counts"]
    assert [one["source"] for one in told["unmatched"]] == ["X_BLEU_FLOOR"]
    assert told["preset_gaps"] == told["dropped"] == told["notes"] == []
    assert not (root / "models" / "m" / "stages.yaml").exists()


def test_a_wrong_root_and_an_empty_glob_are_errors(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    good = (lab / "models" / "tiny-lab" / "stages.yaml").read_bytes()
    code, out, err = discover(capsys, lab, "--repo", str(tmp_path / "elsewhere"))
    assert (code, out) == (2, "")
    assert "tests/test_tiny_*_ci.py matches no test file in" in err
    code, out, err = discover(capsys, tmp_path / "elsewhere")
    assert (code, out) == (2, "")
    assert (lab / "models" / "tiny-lab" / "stages.yaml").read_bytes() == good


def test_sources_are_read_on_their_own_host(quick: Quick) -> None:
    """The manifest is written here; the host is one whose files are not looked at directly."""
    quick.hop()
    test = quick.folder / "tests" / "test_quick_a.py"
    test.write_text(f"A_ACC_MIN = 0.5\n{test.read_text()}")
    done = quick.gatewatch("calibrate", "discover", "--host", "hop")
    assert (done.code, done.said) == (0, f"gatewatch: {quick.manifest}: written\n"), done.said
    assert "test_quick_a_accuracy" in done.text
    assert 'json_file: "test_quick_a0/a/a_results.json"' in quick.manifest.read_text()
    assert "test_quick_b_docs:" in quick.manifest.read_text()


def open_project(tmp_path: Path) -> Path:
    root = tmp_path / "open"
    (root / "models" / "m").mkdir(parents=True)
    (root / "models" / "m" / "config.yaml").write_text('test_globs: ["tests/test_*.py"]\n')
    (root / "tests").mkdir()
    (root / "tests" / "test_x.py").write_text(OPEN)
    return root

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tui.cli.main import main

CONFIG = 'description: "A model \\e[31m"\ndefault_venv_python: [/nope/a, /nope/b]\n'


def stage(key: str, group: str, test: str, **more: str) -> str:
    extra = "".join(f"  {name}: {value}\n" for name, value in more.items())
    return (
        f"{key}:\n  test: {test}\n  title: T\n  group: {group}\n  extra_env: {{}}\n  context_vars: []\n{extra}"
        "  test_file_sha256: 51d622ca8330f4a8ded677127155a138cfd4bc484080c620537fe072770fa20a\n"
        "  last_discovered_at: 2026-05-22T16:52:36Z\n  metrics: {}\n"
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    model = tmp_path / "models" / "m-v1"
    model.mkdir(parents=True)
    (model / "config.yaml").write_text(CONFIG)
    (model / "stages.yaml").write_text(
        stage("a_wer", "wer", "tests/test_a.py")
        + stage("a_speed", "speed", "tests/test_a.py")
        + stage("b_h20_nonstream_speed", "speed", "tests/test_b.py", variant="nonstream", calibration_preset="h20")
    )
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    return (code, *capsys.readouterr())


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code, out, err = run(capsys, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_the_models(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "calibrate", "models", "--root", str(root))
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["MODEL", "STAGES", "TESTS", "DESCRIPTION", "DEFAULT", "VENV"],
        ["m-v1", "3", "2", "A", "model", "␛[31m", "/nope/b"],
    ]
    assert run_json(capsys, "calibrate", "models", "--root", str(root)) == {
        "root": str(root),
        "models": [
            {
                "name": "m-v1",
                "description": "A model \x1b[31m",
                "stages": 3,
                "bases": ["a", "b"],
                "tests": ["tests/test_a.py", "tests/test_b.py"],
                "default_venv_python": "/nope/b",
                "config": str(root / "models/m-v1/config.yaml"),
                "stages_yaml": str(root / "models/m-v1/stages.yaml"),
                "errors": [],
            }
        ],
    }


def test_a_broken_model_hides_no_other(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = root / "models" / "broken"
    other.mkdir()
    (other / "config.yaml").write_text("test_globs: 1\n")
    code, out, err = run(capsys, "calibrate", "models", "--root", str(root), "--json")
    assert code == 2
    assert err == f"gatewatch: error: {other}/config.yaml:1: test_globs: expected a list, found 1\n"
    broken, good = json.loads(out)["models"]
    assert (good["stages"], good["errors"]) == (3, [])
    assert (broken["stages"], broken["description"], len(broken["errors"])) == (None, None, 1)
    assert "—" in run(capsys, "calibrate", "models", "--root", str(root))[1]


def test_an_unknown_key_is_told_beside_the_data(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "models" / "m-v1" / "config.yaml").write_text("test_glob: []\n")
    code, out, err = run(capsys, "calibrate", "models", "--root", str(root), "--json")
    assert code == 0
    assert json.loads(out)
    assert err.endswith("config.yaml:1: unknown key test_glob (did you mean test_globs?) is ignored\n")


def test_the_stages(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "calibrate", "stages", "--root", str(root), "--model", "m-v1")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["a", "wer", "speed", "tests/test_a.py"] in lines
    assert ["@speed", "2"] in lines
    assert ["b_h20_nonstream", "1"] in lines
    data = run_json(capsys, "calibrate", "stages", "--root", str(root))
    assert data["model"] == "m-v1"
    assert data["bases"][1] == {
        "base": "b",
        "tests": ["tests/test_b.py"],
        "groups": ["speed"],
        "stages": ["b_h20_nonstream_speed"],
    }
    assert data["aliases"]["b_h20"] == ["b_h20_nonstream_speed"]
    assert data["aliases"]["ALL"] == ["a_wer", "a_speed", "b_h20_nonstream_speed"]


def test_a_missing_manifest_says_how_to_make_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "models" / "m-v1" / "stages.yaml").unlink()
    code, out, err = run(capsys, "calibrate", "stages", "--root", str(root), "--json")
    assert (code, out) == (2, "")
    assert err.endswith("is missing; make it with: gatewatch calibrate discover --model m-v1\n")


def test_a_wrong_root_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["calibrate", "models"], ["calibrate", "stages"], ["hosts", "list"]):
        code, out, err = run(capsys, *words, "--root", str(tmp_path / "none"), "--json")
        assert (code, out, err) == (2, "", f"gatewatch: error: --root {tmp_path / 'none'}: no such folder\n")


def test_the_hosts(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNE_HOST", raising=False)
    assert run_json(capsys, "hosts", "list", "--root", str(root))["hosts"] == []
    (root / "hosts").mkdir()
    (root / "hosts" / "far.yaml").write_text("ssh: {host: far}\ngpu_exclude: [6, 7]\nrepo_root: /omni\n")
    (root / "hosts" / "near.yaml").write_text(f"hostname: {socket.gethostname()}\nphysical: {{hf_hub: /hub}}\n")
    far, near = run_json(capsys, "hosts", "list", "--root", str(root))["hosts"]
    assert (far["name"], far["launcher"], far["gpu_exclude"], far["selected_by"]) == ("far", "ssh", [6, 7], None)
    assert (near["is_this_machine"], near["selected_by"], near["poll_cap_s"]) == (True, "hostname", 120)
    assert near["physical"] == {"hf_hub": "/hub", "speaker_sim": None, "omni_ci_home": None}
    monkeypatch.setenv("TUNE_HOST", "far")
    code, out, _ = run(capsys, "hosts", "list", "--root", str(root))
    assert code == 0
    assert "6,7" in out
    assert "← $TUNE_HOST" in out


def test_a_broken_profile_hides_no_other(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "hosts").mkdir()
    (root / "hosts" / "bad.yaml").write_text("gpu_exclude: 7\n")
    (root / "hosts" / "good.yaml").write_text("name: good\n")
    code, out, err = run(capsys, "hosts", "list", "--root", str(root), "--json")
    assert code == 2
    assert [(host["name"], bool(host["error"])) for host in json.loads(out)["hosts"]] == [
        ("bad", True),
        ("good", False),
    ]
    assert err.count("\n") == 1
    assert "bad.yaml:1: gpu_exclude: expected a list, found 7" in err
    assert "cannot be read" in run(capsys, "hosts", "list", "--root", str(root))[1]


def test_an_unknown_host_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "hosts").mkdir()
    (root / "hosts" / "good.yaml").write_text("name: good\n")
    code, _, err = run(capsys, "hosts", "list", "--root", str(root), "--host", "goood")
    assert code == 2
    assert "did you mean good?" in err


def test_from_a_shell(root: Path, house: Path) -> None:
    words = [sys.executable, str(house / "gatewatch.py"), "calibrate", "stages", "--json"]
    done = subprocess.run(words, cwd=root / "models", capture_output=True, text=True, timeout=30)
    assert done.returncode == 2  # no git here, so nothing above the current folder is looked at
    (root / ".git").mkdir()
    done = subprocess.run(words, cwd=root / "models", capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["model"] == "m-v1"

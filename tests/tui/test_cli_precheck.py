"""`calibrate precheck` and `hosts check`: ✓ and ✗, what mends each, and what is kept."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.peers.quick import Quick, git, tree
from tui.cli.main import main


@pytest.fixture
def checkout(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Quick:
    monkeypatch.chdir(quick.folder)
    return quick


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    return (code, *capsys.readouterr())


def configure(checkout: Quick, text: str) -> None:
    checkout.config.write_text(checkout.config.read_text() + text)


def test_all_is_there(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(checkout.folder)
    code, out, err = run(capsys, "calibrate", "precheck")
    assert (code, err) == (0, "")
    assert "✗" not in out
    assert "✓ repository: " in out
    assert "model" not in out  # a project without models is not asked for any
    assert tree(checkout.folder) == before


def test_what_is_missing_is_said_with_what_mends_it(
    checkout: Quick, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hf").write_text("")
    (tmp_path / "hf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    configure(
        checkout,
        f"hf_model_ids_by_test: {{test_quick_a.py: [org/one]}}\nhf_datasets: [org/data]\nextra_env: {{test_quick_a.py: "
        f"{{HF_HOME: {tmp_path}/hub}}, test_quick_b.py: {{HF_HOME: {tmp_path}/hub}}}}\n"
        "requires_caps_by_test: {test_quick_b.py: [MAKE_COFFEE]}\npins: {pluggy: 0.0.1}\n",
    )
    code, out, _ = run(capsys, "calibrate", "precheck")
    assert code == 1
    assert "✗ model org/one: not there" in out
    assert f"    mend: HF_HOME={tmp_path}/hub hf download org/one" in out
    assert "✗ dataset org/data" in out
    assert "✗ capability MAKE_COFFEE" in out
    assert "✗ pin pluggy" in out
    code, out, _ = run(capsys, "calibrate", "precheck", "--stages", "b", "--json")
    data: Any = json.loads(out)
    names = {item["name"]: item for item in data["items"]}
    assert code == 1
    assert "model org/one" not in names  # another stage's
    assert names["dataset org/data"]["mend"].endswith("download --repo-type dataset org/data")
    assert data["ok"] is False


def test_it_is_kept_and_the_run_starts_in_the_same_directory(
    checkout: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkout.runs / "r"
    code, out, _ = run(capsys, "calibrate", "precheck", "--output-dir", str(folder))
    assert code == 0
    assert f"kept {folder}/precheck.json" in out
    data = json.loads((folder / "precheck.json").read_bytes())
    assert (data["ok"], data["at"][-1]) == (True, "Z")
    assert json.loads((folder / "environment-fingerprint.json").read_bytes())["hostname"] == data["hostname"]
    done = checkout.run(repeats=1)
    assert done.code == 0, done.said
    before = tree(folder)
    code, _, err = run(capsys, "calibrate", "precheck", "--output-dir", str(folder))
    assert code == 2
    assert "holds a run already" in err
    assert tree(folder) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stages", "zzz"), "--stages: no stage is called 'zzz'"),
        (("--model", "zzz"), "no such model"),
        (("--output-dir", ".tune-runs/x", "--read-only"), "read-only"),
        (("--output-dir", "tests/x"), "git would track"),
        (("--output-dir", "h:/x"), "without HOST:"),
    ],
)
def test_what_is_wrong(checkout: Quick, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    before = tree(checkout.folder)
    code, _, err = run(capsys, "calibrate", "precheck", *words)
    assert code == 2
    assert said in err
    assert tree(checkout.folder) == before


def test_a_repository_that_the_host_lacks_is_cloned_from_where_ours_comes_from(
    checkout: Quick, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "far side" / "repo"
    checkout.hop()
    profile = checkout.folder / "hosts" / "hop.yaml"
    profile.write_text(profile.read_text().replace(f"repo_root: {checkout.folder}", f"repo_root: {there}"))
    code, out, _ = run(capsys, "calibrate", "precheck", "--host", "hop")
    assert code == 1
    assert f"✗ repository: {there} is not there; put the project's clone there" in out
    assert "git clone" not in out
    git(checkout.folder, "remote", "add", "origin", "https://me:secret@git.invalid/o/r.git")
    _, out, _ = run(capsys, "calibrate", "precheck", "--host", "hop")
    assert f"    mend (on hop): git clone https://git.invalid/o/r.git '{there}'" in out
    git(checkout.folder, "remote", "set-url", "origin", str(checkout.folder))
    _, out, _ = run(capsys, "calibrate", "precheck", "--host", "hop")
    mend = next(line for line in out.splitlines() if "git clone" in line).partition(": ")[2]
    subprocess.run(["/bin/sh", "-c", mend], check=True, capture_output=True)
    _, out, _ = run(capsys, "calibrate", "precheck", "--host", "hop")
    assert f"✓ repository: {there} at " in out


def test_hosts_check_asks_for_every_model_on_the_host(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.hop()
    other = checkout.folder / "models" / "other"
    other.mkdir()
    (other / "config.yaml").write_text("name: other\nhf_model_id: org/other\ndefault_venv_python: /none/bin/python\n")
    code, out, _ = run(capsys, "hosts", "check", "--host", "hop")
    assert code == 1
    assert "other on hop:" in out
    assert "✓ host profile: hop" in out
    assert "✗ model org/other" in out
    assert "✗ venv: /none/bin/python is not there" in out
    assert "    mend (on hop): " in out
    code, out, _ = run(capsys, "hosts", "check", "--host", "hop", "--model", "quick", "--json")
    assert code == 0, out
    assert json.loads(out)["models"]["quick"]["ok"] is True


def test_hostile_text_of_a_project_never_reaches_the_terminal(
    checkout: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(checkout, 'pins: {"plug\\e[2Jgy": "1\\e]0;x\\a"}\nhf_model_id: "org/\\e[31mx"\n')
    code, out, err = run(capsys, "calibrate", "precheck")
    assert code == 1
    assert not set("\x1b\x07\x9b") & set(out + err)

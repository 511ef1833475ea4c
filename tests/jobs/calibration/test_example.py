"""The embedded example, set up as a person's checkout would be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gates.calibration.schema import needs_config, unstrictable
from gates.calibration.units import units_of
from hosts.errors import InputError
from jobs.calibration.checkout import find_checkout, load_config, load_manifest
from jobs.calibration.example import example_folder, set_up_example


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    target = tmp_path / "tiny-lab"
    set_up_example(target)
    return target


def test_it_is_a_clean_repository_of_one_commit(example: Path) -> None:
    assert git(example, "status", "--porcelain") == ""
    assert git(example, "rev-list", "--count", "HEAD") == "1"
    assert git(example, "log", "--format=%an <%ae>%n%cn") == "gatewatch demo <demo@localhost>\ngatewatch demo"
    assert git(example, "check-ignore", ".tune-runs/x") == ".tune-runs/x"


def test_it_is_what_this_system_promises(example: Path) -> None:
    checkout = find_checkout(str(example))
    (model,) = checkout.models()
    manifest = load_manifest(checkout, model)
    loaded = load_config(checkout, model)
    assert loaded.warnings == ()
    assert len(manifest.stages) >= 8
    assert len({stage.test for stage in manifest.stages}) >= 3
    assert {"accuracy", "wer", "speed"} <= {stage.group for stage in manifest.stages}
    assert any(stage.threshold_file and stage.variant and stage.calibration_preset for stage in manifest.stages)
    assert not needs_config(manifest, manifest.keys)
    assert [reason for stage in manifest.stages if (reason := unstrictable(stage))] == []
    for unit in units_of(manifest, manifest.keys):
        assert (example / unit.test).is_file()
        assert loaded.value.gpus_for(unit.test) == 0


def test_nothing_of_a_person_s_own_git_has_a_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, template = tmp_path / "hooks", tmp_path / "template" / "hooks"
    for folder in (hooks, template):
        folder.mkdir(parents=True)
        for name in ("pre-commit", "commit-msg", "post-commit"):
            hook = folder / name
            hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\nexit 1\n")
            hook.chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\n hooksPath = {hooks}\n[commit]\n gpgsign = true\n[init]\n templateDir = {template.parent}\n"
        "[user]\n name = Someone\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "another.index"))
    set_up_example(tmp_path / "tiny-lab")
    for name in ("GIT_DIR", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name)
    assert git(tmp_path / "tiny-lab", "rev-list", "--count", "HEAD") == "1"
    assert not (tmp_path / "hook-ran").exists()
    assert not (tmp_path / "another.git").exists()
    assert not (tmp_path / "another.index").exists()


def test_nothing_that_a_run_leaves_comes_along(tmp_path: Path) -> None:
    first = tmp_path / "first"
    set_up_example(first)
    names = {path.name for path in first.rglob("*") if ".git" not in path.parts}
    assert {".tune-runs", "__pycache__", ".pytest_cache", ".venv"} & names == set()
    assert {"config.yaml", "stages.yaml", ".gitignore"} <= names


def test_a_target_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(InputError, match="cannot copy the example to "):
        set_up_example(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git is not installed"):
        set_up_example(tmp_path / "tiny-lab")


def test_the_one_in_the_source_tree_is_the_one(house: Path) -> None:
    assert example_folder() == house / "examples" / "calibration"
    assert os.access(example_folder() / "models", os.R_OK)

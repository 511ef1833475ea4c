"""The precheck verb on this machine, with a real repository, a real Python and real folders."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import tomllib

from gates.calibration.precheck import Asked, Item, UnitAsked, asked_json, parse_result
from hosts.errors import InputError
from jobs.runner.calibration import surroundings
from jobs.runner.calibration.precheck import _array_of_texts, precheck, project_requirements, write_precheck
from jobs.runner.calibration.surroundings import GIB, look_at_compilers, look_at_disk, look_at_folder, look_at_logout
from tests.peers.quick import Quick, git, quick_checkout, tree


@pytest.fixture
def quick(tmp_path: Path) -> Any:
    with quick_checkout(tmp_path) as made:
        yield made


def asked(quick: Quick, **more: Any) -> Asked:
    units = (UnitAsked("tests/test_quick_a.py", {}),)
    return Asked(**{"repo": str(quick.folder), "venv_python": sys.executable, "units": units, **more})


def items(question: Asked) -> dict[str, Item]:
    return {item.name: item for item in parse_result(precheck(asked_json(question))).items}


def test_a_small_project_is_asked_for_little_and_nothing_changes(quick: Quick) -> None:
    before = tree(quick.folder)
    result = parse_result(precheck(asked_json(asked(quick))))
    assert result.ok, result.faults
    assert {item.name for item in result.items} <= {"repository", "venv", "LD_PRELOAD", "disk", "jobs outlive a logout"}
    assert result.git_sha == git(quick.folder, "rev-parse", "HEAD").strip()
    assert isinstance(result.fingerprint, dict)
    assert result.fingerprint["python"] == sys.version.split()[0]
    assert tree(quick.folder) == before


def test_no_repository(quick: Quick, tmp_path: Path) -> None:
    found = items(asked(quick, repo=str(tmp_path / "none")))["repository"]
    assert (found.ok, found.mend) == (False, f"git clone URL {tmp_path}/none")


def test_a_test_that_is_gone_is_mended_by_git_or_by_discover(quick: Quick) -> None:
    (quick.folder / "tests" / "test_quick_a.py").unlink()
    config = str(quick.config)
    found = items(asked(quick, config=config))["tests"]
    assert found.mend == f"git -C {quick.folder} checkout HEAD -- tests/test_quick_a.py"
    quick.commit("gone")
    found = items(asked(quick, config=config))["tests"]
    assert found.mend == f"gatewatch calibrate discover --root {quick.folder} --model quick"


def test_a_run_directory_that_git_would_track(quick: Quick) -> None:
    assert items(asked(quick, run_dir=str(quick.runs / "r")))["run directory"].ok
    found = items(asked(quick, run_dir=str(quick.folder / "my runs" / "r")))["run directory"]
    assert (found.ok, found.mend) == (False, f"echo '/my runs/' >> {quick.folder}/.gitignore")


@pytest.mark.parametrize("content", [None, "#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello\n"])
def test_a_python_that_does_not_run(quick: Quick, tmp_path: Path, content: str | None) -> None:
    python = tmp_path / "v e" / "bin" / "python"
    python.parent.mkdir(parents=True)
    if content is not None:
        python.write_text(content)
        python.chmod(0o755)
    found = items(asked(quick, venv_python=str(python)))["venv"]
    assert not found.ok
    upgrade = "" if content is None else "--upgrade "
    assert found.mend == f"python3 -m venv {upgrade}'{tmp_path}/v e'"


def test_nobody_names_a_python(quick: Quick) -> None:
    found = items(asked(quick, venv_python=None, venv_problem="nobody named one"))["venv"]
    assert (found.ok, found.detail) == (False, "nobody named one")


def test_pins_of_the_configuration_and_of_the_project(quick: Quick) -> None:
    (quick.folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\ndependencies = ["requests", "torch==2.9.1; python_version >= \'3\'"]\n'
    )
    found = items(asked(quick, pins={"pytest": pytest.__version__, "pluggy": "0.0.1"}))
    assert found["pin pytest"].ok
    assert not found["pin pluggy"].ok
    assert str(found["pin pluggy"].mend).endswith("install pluggy==0.0.1")
    assert str(found["pin torch"].mend).endswith("install torch==2.9.1")
    (quick.folder / "pyproject.toml").write_text("[project\n")
    assert not items(asked(quick))["pins"].ok


def test_assets_only_where_they_are_needed(quick: Quick, tmp_path: Path) -> None:
    units = (UnitAsked("tests/test_quick_a.py", {}, models=("org/name",), datasets=("org/data",), speaker_sim=True),)
    overlay = {"HF_HOME": str(tmp_path / "hf"), "SEEDTTS_SIM_CACHE_DIR": str(tmp_path)}
    found = items(asked(quick, units=units, overlay=overlay, bootstrap="bash warm.sh"))
    assert {name for name, item in found.items() if not item.ok} == {
        "model org/name",
        "dataset org/data",
        "speaker_sim",
    }
    assert found["HF locks"].ok
    assert found["speaker_sim"].mend == "bash warm.sh"


def test_folders_of_the_calibration(quick: Quick, tmp_path: Path) -> None:
    home = tmp_path / "ci"
    found = items(asked(quick, overlay={"OMNI_CI_HOME": str(home)}))
    assert found["OMNI_CI_HOME"].mend == f"mkdir -p {home}"
    assert found["TORCHINDUCTOR_CACHE_DIR"].ok
    home.mkdir()
    assert items(asked(quick, overlay={"OMNI_CI_HOME": str(home)}))["OMNI_CI_HOME"].ok
    outside = (UnitAsked("tests/test_quick_a.py", {"TORCHINDUCTOR_CACHE_DIR": "/.torchinductor"}),)
    found = items(asked(quick, units=outside, overlay={"OMNI_CI_HOME": str(home)}))
    assert not found["TORCHINDUCTOR_CACHE_DIR"].ok


def test_more_gpus_than_there_are(quick: Quick) -> None:
    found = items(asked(quick, units=(UnitAsked("tests/test_quick_a.py", {}, gpus=1000),)))["GPUs"]
    assert not found.ok
    assert "1000 needed" in found.detail
    assert found.mend in ("nvidia-smi -L", "nvidia-smi")


def test_compilers_where_a_cold_cache_is_filled_for_gpus(quick: Quick, tmp_path: Path) -> None:
    unit = UnitAsked("tests/test_quick_a.py", {}, gpus=1)
    home = {"OMNI_CI_HOME": str(tmp_path), "PATH": str(tmp_path), "CUDA_HOME": str(tmp_path)}
    assert {"nvcc", "ninja"} <= items(asked(quick, units=(unit,), overlay=home, cold_paths=("jit",))).keys()
    assert "nvcc" not in items(asked(quick, overlay=home, cold_paths=("jit",)))
    assert "nvcc" not in items(asked(quick, units=(unit,), overlay=home, cold_paths=()))
    assert not items(asked(quick, units=(unit,), overlay=home, cold_paths=("../x",)))["cold_paths"].ok


def test_a_preloaded_proxy(quick: Quick) -> None:
    found = items(asked(quick, overlay={"LD_PRELOAD": "/usr/lib/libproxychains4.so"}))["LD_PRELOAD"]
    assert (found.ok, found.mend) == (False, "unset LD_PRELOAD")


def test_the_profile_is_named(quick: Quick) -> None:
    assert "profile" not in "".join(items(asked(quick)))
    found = items(asked(quick, profile=("h20", "hosts/h20.yaml", "other.invalid")))["host profile"]
    assert found.ok
    assert "other.invalid" in found.detail


@pytest.mark.parametrize("payload", [None, [], {}, {"repo": 3}])
def test_another_payload_is_refused(payload: Any) -> None:
    with pytest.raises(InputError):
        precheck(payload)


def test_it_is_kept_in_a_fresh_directory_alone(quick: Quick) -> None:
    folder = quick.runs / "r"
    body: dict[str, Any] = {"precheck": {"ok": True}, "fingerprint": {"a": 1}}
    payload: dict[str, Any] = {"folder": str(folder), "repo": str(quick.folder), **body}
    assert write_precheck(payload) == {
        "paths": [str(folder / "precheck.json"), str(folder / "environment-fingerprint.json")]
    }
    assert sorted(path.name for path in folder.iterdir()) == ["environment-fingerprint.json", "precheck.json"]
    assert json.loads((folder / "precheck.json").read_bytes())["ok"] is True
    write_precheck({**payload, "fingerprint": None})  # again: it is still fresh
    (folder / "plan.json").write_text("{}")
    before = tree(folder)
    with pytest.raises(InputError, match="holds a run already"):
        write_precheck(payload)
    with pytest.raises(InputError, match="git would track"):
        write_precheck({**payload, "folder": str(quick.folder / "tracked")})
    with pytest.raises(InputError, match="absolute"):
        write_precheck({**payload, "folder": "relative"})
    assert tree(folder) == before
    assert not (quick.folder / "tracked").exists()


TOML = [
    '[project]\ndependencies = [\n  "torch==2.9.1",  # ] not the end\n  \'sglang>=0.5; os_name == "posix"\',\n]\n',
    '[tool.x]\ndependencies = ["no"]\n[project]\nname = "x"\ndependencies = ["a[b]==1", "c"]\n[x]\ndependencies = []\n',
    "[project]\ndependencies = []\n",
    '[project]\nname = "x"\n',
    "",
]


@pytest.mark.parametrize("text", TOML)
def test_requirements_without_a_toml_reader(text: str) -> None:
    theirs = tomllib.loads(text).get("project", {}).get("dependencies", [])
    assert _array_of_texts(text) == project_requirements(text) == theirs


@pytest.mark.parametrize("text", ['[project]\ndependencies = ["a"', '[project]\ndependencies = ["a\n]'])
def test_a_list_without_an_end(text: str) -> None:
    with pytest.raises(ValueError, match="no end"):
        _array_of_texts(text)


def test_disk(tmp_path: Path) -> None:
    assert look_at_disk(tmp_path / "not" / "there", 1, "disk").ok
    full = look_at_disk(tmp_path, 1 << 60, "disk")
    assert (full.ok, full.mend) == (False, f"du -xhd1 {tmp_path}")
    assert GIB == 2**30


def test_folders(tmp_path: Path) -> None:
    assert look_at_folder("HOME", str(tmp_path)).ok
    assert look_at_folder("HOME", str(tmp_path / "a b")).mend == f"mkdir -p '{tmp_path}/a b'"
    assert not look_at_folder("HOME", "").ok


def test_compilers(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    path = {"PATH": str(folder)}
    missing = {item.name: item for item in look_at_compilers(path, None, "13.0")}
    assert [item.ok for item in missing.values()] == [False, False]
    assert missing["ninja"].mend == "apt-get install -y ninja-build"
    for name in ("nvcc", "ninja"):
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    assert [item.ok for item in look_at_compilers(path, None, None)] == [True, True]
    hidden = look_at_compilers({"PATH": str(tmp_path), "CUDA_HOME": str(tmp_path)}, str(folder / "python"), None)
    assert [item.ok for item in hidden] == [True, False]
    assert hidden[1].mend == f"export PATH={folder}:$PATH"


def test_a_logout_that_ends_jobs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setattr(surroundings, "user", lambda: "nobody-here")
    etc, run = tmp_path / "etc", tmp_path / "run"
    (etc / "systemd" / "logind.conf.d").mkdir(parents=True)
    (etc / "pam.d").mkdir()
    (run / "systemd" / "system").mkdir(parents=True)
    conf = etc / "systemd" / "logind.conf"

    def look(**environment: str) -> Item:
        found = look_at_logout(environment, etc, run)
        assert found is not None
        return found

    conf.write_text("#KillUserProcesses=yes\n")
    assert look().ok
    conf.write_text("[Login]\nKillUserProcesses=yes\n")
    assert look().mend == "loginctl enable-linger nobody-here"
    (etc / "systemd" / "logind.conf.d" / "a.conf").write_text("KillUserProcesses=no\n")
    assert look().ok
    (etc / "pam.d" / "sshd").write_text("account required pam_slurm_adopt.so\n")
    assert not look().ok
    assert look(SLURM_JOB_ID="7").ok
    (etc / "pam.d" / "sshd").write_text("# account required pam_slurm_adopt.so\n")
    assert look().ok


def test_root_outlives_every_logout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert look_at_logout({}, tmp_path, tmp_path) is None

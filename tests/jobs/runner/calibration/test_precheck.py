"""The precheck verb on this machine, with a real repository, a real Python and real folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomllib

from gates.calibration.precheck import Asked, Item, UnitAsked, asked_json, parse_result
from hosts.errors import InputError
from hosts.host import Accelerators, GpuDevice, GpuProcess
from hosts.local.leases import LEASE_DIR_VARIABLE
from jobs.runner.calibration import gpu_items, mends, surroundings
from jobs.runner.calibration.gpu_items import look_at_gpus
from jobs.runner.calibration.job import GpuRules
from jobs.runner.calibration.precheck import precheck, write_precheck
from jobs.runner.calibration.pyproject import _array_of_texts, project_requirements
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


def mended(question: Asked, name: str, **environment: str) -> Item:
    """Run what an item says that mends it, and nothing else; the item as it is then."""
    before = items(question)[name]
    assert not before.ok
    assert before.mend is not None, before.detail
    env = {**os.environ, **environment}
    done = subprocess.run(["/bin/sh", "-c", before.mend], cwd="/", env=env, capture_output=True, text=True)
    assert done.returncode == 0, (before.mend, done.stderr)
    after = items(question)[name]
    assert after.ok, after.detail
    return after


def test_a_repository_that_is_not_there_is_cloned(quick: Quick, tmp_path: Path) -> None:
    there = str(tmp_path / "a b" / "it's")
    mended(asked(quick, repo=there, clone_url=str(quick.folder)), "repository")
    (tmp_path / "empty").mkdir()
    mended(asked(quick, repo=str(tmp_path / "empty"), clone_url=str(quick.folder)), "repository")


def test_a_repository_that_no_command_brings(quick: Quick, tmp_path: Path) -> None:
    found = items(asked(quick, repo=str(tmp_path / "none")))["repository"]
    assert (found.ok, found.mend) == (False, None)
    assert found.detail.endswith("put the project's clone there, or name another folder with --repo")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    found = items(asked(quick, repo=str(tmp_path / "full"), clone_url=str(quick.folder)))["repository"]
    assert (found.ok, found.mend) == (False, None)
    assert "not a git repository" in found.detail


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a folder away")
def test_a_repository_of_somebody_else(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    os.chown(quick.folder, 12345, -1)
    os.chown(quick.folder / ".git", 12345, -1)
    mended(asked(quick), "repository")


def test_a_test_that_is_gone_is_mended_by_git_or_by_discover(quick: Quick) -> None:
    (quick.folder / "tests" / "test_quick_a.py").unlink()
    config = str(quick.config)
    found = items(asked(quick, config=config))["tests"]
    assert found.mend == f"git -C {quick.folder} checkout HEAD -- tests/test_quick_a.py"
    subprocess.run(["/bin/sh", "-c", found.mend], cwd="/", check=True, capture_output=True)
    assert "tests" not in items(asked(quick, config=config))
    (quick.folder / "tests" / "test_quick_a.py").unlink()
    quick.commit("gone")
    both = tuple(UnitAsked(f"tests/test_quick_{name}.py", {}) for name in "ab")
    found = items(asked(quick, config=config, units=both, profile=("h 1", "hosts/h.yaml", None)))["tests"]
    assert found.mend == (
        f"gatewatch calibrate discover --root {quick.folder} --model quick --repo {quick.folder} --host 'h 1'"
    )
    found = items(asked(quick, config=config))["tests"]
    assert (found.ok, found.mend) == (False, None)
    assert "is this the right repository and commit?" in found.detail


def test_a_run_directory_that_git_would_track(quick: Quick) -> None:
    assert items(asked(quick, run_dir=str(quick.runs / "r")))["run directory"].ok
    ignores = quick.folder / ".gitignore"
    ignores.write_text(ignores.read_text() + "*.log")  # a last line without an end
    mended(asked(quick, run_dir=str(quick.folder / "my [runs]*\\" / "r")), "run directory")
    assert "*.log" in ignores.read_text().splitlines()
    mended(asked(quick, run_dir=str(quick.folder / "more" / "r")), "run directory")
    assert items(asked(quick, run_dir=str(quick.folder / "my runs" / "r")))["run directory"].mend is not None


@pytest.mark.parametrize("content", [None, "#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello\n"])
def test_a_python_that_does_not_run(quick: Quick, tmp_path: Path, content: str | None) -> None:
    python = tmp_path / "v e" / "bin" / "python"
    python.parent.mkdir(parents=True)
    if content is not None:
        python.write_text(content)
        python.chmod(0o755)
    found = items(asked(quick, venv_python=str(python)))["venv"]
    # What lies there is no virtual environment, so none is put in its place.
    assert (found.ok, found.mend) == (False, None)


def wheel(folder: Path, version: str = "8.0.0") -> str:
    """A pytest of some version that is installed without a network."""
    folder.mkdir(exist_ok=True)
    info = f"pytest-{version}.dist-info"
    with zipfile.ZipFile(folder / f"pytest-{version}-py3-none-any.whl", "w") as file:
        file.writestr("_pytest.py", f"__version__ = {version!r}\n")
        for name in ("pytest", "pluggy"):
            file.writestr(f"{name}.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: pytest\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return str(folder)


@pytest.mark.timeout(240)  # venv and pip, several times
def test_a_venv_is_made_whole_by_one_command(quick: Quick, tmp_path: Path) -> None:
    for version in ("8.0.0", "8.1.0"):
        found = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheel(tmp_path / "wheels", version)}
    python = tmp_path / "v e" / "bin" / "python"
    question = asked(quick, venv_python=str(python), pins={"pytest": "8.0.0"})
    assert "pytest 8.0.0" in mended(question, "venv", **found).detail
    # Its interpreter is gone: the links lead nowhere.
    for link in python.parent.glob("python*"):
        link.unlink()
        link.symlink_to("/none/python3")
    mended(question, "venv", **found)
    # It has lost its pytest.
    for path in (tmp_path / "v e" / "lib").glob("*/site-packages/pytest*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "pytest 8.0.0" in mended(question, "venv", **found).detail


def test_a_python_that_hangs_is_not_made_anew(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.runner.fingerprint._TIMEOUT_S", 0.2)
    python = tmp_path / "v" / "bin" / "python"
    python.parent.mkdir(parents=True)
    (tmp_path / "v" / "pyvenv.cfg").write_text("version = 3.11.7\n")
    python.write_text("#!/bin/sh\nexec sleep 600\n")
    python.chmod(0o755)
    found = items(asked(quick, venv_python=str(python)))["venv"]
    assert (found.ok, found.mend) == (False, None)
    python.write_text("#!/bin/sh\necho broken >&2; exit 1\n")
    assert " --clear " in str(items(asked(quick, venv_python=str(python)))["venv"].mend)


def test_a_python_of_the_system_is_never_replaced(quick: Quick, tmp_path: Path) -> None:
    for path in ("/usr/bin/python3.99", f"{tmp_path}/v/python", f"{tmp_path}/bin/pypy"):
        found = items(asked(quick, venv_python=path))["venv"]
        assert (found.ok, found.mend) == (False, None)


def test_every_python_that_was_named_and_is_missing_is_told(quick: Quick) -> None:
    found = items(asked(quick, venv_python="/c/bin/python", venv_also=("/a/bin/python", "/b/bin/python")))["venv"]
    assert found.detail.startswith("none of /a/bin/python, /b/bin/python, /c/bin/python is there")


def test_nobody_names_a_python(quick: Quick) -> None:
    found = items(asked(quick, venv_python=None, venv_problem="nobody named one", config="m/config.yaml"))["venv"]
    assert (found.ok, found.mend) == (False, None)
    assert found.detail == "nobody named one; set default_venv_python in m/config.yaml, or pass --venv-python"


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


def gpu(index: int, used: int = 0, **more: Any) -> GpuDevice:
    return GpuDevice(index, "H20", f"GPU-{index}", used, 97871, 0, **more)


def look_for_gpus(need: int, seen: Accelerators, tmp_path: Path, **rules: Any) -> Item:
    place = {LEASE_DIR_VARIABLE: str(tmp_path)}
    (item,) = look_at_gpus(need, seen, GpuRules(**rules), "hosts/h20.yaml", place)
    return item


def test_gpus_that_no_command_frees(tmp_path: Path) -> None:
    """Who holds them, and what keeps them from us, is said; nothing is offered that frees nothing, or ends a job."""
    holder = GpuProcess(4711, 60000, "alice", "python serve.py")
    two = Accelerators((gpu(0, 60000, processes=(holder,)), gpu(1)), "nvml")
    busy = look_for_gpus(2, two, tmp_path)
    assert (busy.name, busy.ok, busy.mend) == ("free GPUs", False, None)
    assert "held by pid 4711 (alice)" in busy.detail
    excluded = look_for_gpus(2, two, tmp_path, exclude=(0, 1))
    assert (excluded.name, excluded.ok, excluded.mend) == ("GPUs", False, None)
    assert "of 2 hosts/h20.yaml lets 0 be used (gpu_exclude: 0, 1)" in excluded.detail
    few = look_for_gpus(3, two, tmp_path)
    assert "this machine has 2" in few.detail
    unread = look_for_gpus(1, Accelerators((), "unknown", detail="the driver hangs"), tmp_path)
    assert (unread.ok, unread.mend) == (False, None)
    assert "the driver hangs" in unread.detail
    assert look_for_gpus(1, two, tmp_path).ok


def test_a_machine_without_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = Accelerators((), "none")
    monkeypatch.setattr(gpu_items, "_on_the_bus", lambda: False)
    assert "has no NVIDIA GPU" in look_for_gpus(1, none, tmp_path).detail
    monkeypatch.setattr(gpu_items, "_on_the_bus", lambda: True)
    monkeypatch.setattr(gpu_items, "load_driver", lambda: "modprobe nvidia")
    assert look_for_gpus(1, none, tmp_path).mend == "modprobe nvidia"
    monkeypatch.setattr(gpu_items, "load_driver", lambda: None)
    found = look_for_gpus(1, none, tmp_path)
    assert found.mend is None
    assert "nor installed for this kernel" in found.detail


@pytest.mark.parametrize("on_the_bus", [True, False])
def test_a_driver_that_sees_no_card_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_the_bus: bool) -> None:
    monkeypatch.setattr(gpu_items, "_on_the_bus", lambda: on_the_bus)
    monkeypatch.setattr(gpu_items, "load_driver", lambda: "modprobe nvidia")
    seen = Accelerators((), "none", detail="nvidia-smi: no devices were found")
    found = look_for_gpus(1, seen, tmp_path)
    assert (found.name, found.ok, found.mend) == ("GPUs", False, None)
    assert found.detail == (
        "1 needed, and there is none: nvidia-smi: no devices were found; nvidia-smi has to list every GPU; "
        "why it does not, this tells: sudo dmesg | grep NVRM"
    )


@pytest.mark.parametrize(("need", "rules"), [(3, {}), (2, {"exclude": (0,)})])
def test_what_the_driver_says_of_a_gpu_that_is_gone_is_told(tmp_path: Path, need: int, rules: dict[str, Any]) -> None:
    said = "nvidia-smi: Unable to determine the device handle for GPU2: GPU is lost"
    seen = Accelerators((gpu(0), gpu(1)), "nvidia-smi", detail=said)
    found = look_for_gpus(need, seen, tmp_path, **rules)
    assert (found.name, found.ok, found.mend) == ("GPUs", False, None)
    assert found.detail.endswith(f"; {said}")


def test_compilers_where_a_cold_cache_is_filled_for_gpus(quick: Quick, tmp_path: Path) -> None:
    unit = UnitAsked("tests/test_quick_a.py", {}, gpus=1)
    home = {"OMNI_CI_HOME": str(tmp_path), "PATH": str(tmp_path), "CUDA_HOME": str(tmp_path)}
    assert {"nvcc", "ninja"} <= items(asked(quick, units=(unit,), overlay=home, cold_paths=("jit",))).keys()
    assert "nvcc" not in items(asked(quick, overlay=home, cold_paths=("jit",)))
    assert "nvcc" not in items(asked(quick, units=(unit,), overlay=home, cold_paths=()))
    assert not items(asked(quick, units=(unit,), overlay=home, cold_paths=("../x",)))["cold_paths"].ok


def test_a_preloaded_proxy(quick: Quick) -> None:
    found = items(asked(quick, overlay={"LD_PRELOAD": "/usr/lib/libproxychains4.so"}, config="c.yaml"))["LD_PRELOAD"]
    assert (found.ok, found.mend) == (False, None)  # `unset` would not change what the configuration sets
    assert found.detail.endswith("take it out of LD_PRELOAD in c.yaml")


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
    assert (full.ok, full.mend) == (False, None)
    assert GIB == 2**30


def test_folders(tmp_path: Path) -> None:
    assert look_at_folder("HOME", str(tmp_path)).ok
    assert look_at_folder("HOME", str(tmp_path / "a b")).mend == f"mkdir -p '{tmp_path}/a b'"
    assert not look_at_folder("HOME", "").ok
    (tmp_path / "file").write_text("")
    for path in ("file", "file/x"):  # nothing is made in a file's place
        found = look_at_folder("HOME", str(tmp_path / path))
        assert (found.ok, found.mend) == (False, None)


def test_commands_for_somebody_without_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert mends.make_folder(str(tmp_path / "a b" / "c")) == f"sudo install -d -o 12345 '{tmp_path}/a b/c'"
    assert mends.own_folder(str(tmp_path)) == f"sudo chown 12345 {tmp_path}"
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "dnf" else None)
    assert mends.system_package("ninja-build") == "sudo dnf install -y ninja-build"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert mends.system_package("ninja-build") is None
    assert mends.install_into("/v e/bin/python", True) == "'/v e/bin/python' -m pip install"
    assert mends.install_into("/v/python", False) == "/v/python -m ensurepip && /v/python -m pip install"


def _which_with_apt(name: str, path: str | None = None) -> str | None:
    found = Path(path or "/none") / name
    return "/usr/bin/apt-get" if name == "apt-get" else str(found) if os.access(found, os.X_OK) else None


def test_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    path = {"PATH": str(folder)}
    monkeypatch.setattr(shutil, "which", _which_with_apt)
    monkeypatch.setattr(surroundings, "_LOCAL", tmp_path)
    missing = {item.name: item for item in look_at_compilers(path, None, "13.0")}
    assert [item.ok for item in missing.values()] == [False, False]
    assert str(missing["ninja"].mend).endswith("apt-get install -y ninja-build")
    assert str(missing["nvcc"].mend).endswith("apt-get install -y cuda-nvcc-13-0")
    unknown = look_at_compilers(path, None, None)[0]
    assert (unknown.ok, unknown.mend) == (False, None)  # which version, nobody knows
    for name in ("nvcc", "ninja"):
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    assert [item.ok for item in look_at_compilers(path, None, None)] == [True, True]
    hidden = look_at_compilers({"PATH": str(tmp_path), "CUDA_HOME": str(tmp_path)}, str(folder / "python"), None)
    assert [item.ok for item in hidden] == [True, False]
    assert hidden[1].mend == f"export PATH={folder}:{tmp_path}"
    far = look_at_compilers({"PATH": str(tmp_path)}, str(folder / "python"), None, shell=False, config="c.yaml")[1]
    assert (far.ok, far.mend) == (False, None)  # the shell of whoever reads this is not the jobs'
    assert far.detail.endswith(f"set PATH to {folder}:{tmp_path} in auto_env of c.yaml")


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
    assert (look().ok, look().mend) == (False, None)
    assert look(SLURM_JOB_ID="7").ok
    (etc / "pam.d" / "sshd").write_text("# account required pam_slurm_adopt.so\n")
    assert look().ok


def test_root_outlives_every_logout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert look_at_logout({}, tmp_path, tmp_path) is None

from __future__ import annotations

from pathlib import Path

import pytest

from hosts.errors import InputError
from hosts.profiles import HostProfile
from jobs.calibration.checkout import (
    Venv,
    choose_model,
    choose_venv,
    find_checkout,
    find_hosts,
    find_repo,
    load_config,
    load_manifest,
)
from jobs.calibration.config import ModelConfig

MANIFEST = """
a_speed:
  test: tests/test_a.py
  title: A
  group: speed
  extra_env: {VERSION: 1.10, ON: no}
  context_vars: []
  test_file_sha256: 51d622ca8330f4a8ded677127155a138cfd4bc484080c620537fe072770fa20a
  last_discovered_at: 2026-05-22T16:52:36Z
  metrics: {}
"""


def make(folder: Path, *models: str) -> Path:
    for model in models:
        (folder / "models" / model).mkdir(parents=True)
        (folder / "models" / model / "config.yaml").write_text("description: d\n")
        (folder / "models" / model / "stages.yaml").write_text(MANIFEST)
    return folder


def test_the_root_holds_models(tmp_path: Path) -> None:
    make(tmp_path / "c", "m")
    assert find_checkout(str(tmp_path / "c")).root == tmp_path / "c"
    assert find_checkout("c", cwd=tmp_path).models() == ("m",)


def test_a_repository_is_searched_for_skills(tmp_path: Path) -> None:
    skill = make(tmp_path / ".claude" / "skills" / "tune", "m")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "code.py").write_text("")
    assert find_checkout(str(tmp_path)).root == skill
    make(tmp_path / ".claude" / "skills" / "other", "m")
    with pytest.raises(InputError, match=r"several folders hold models: .*other, .*tune; choose one with --root"):
        find_checkout(str(tmp_path))


def test_the_search_goes_up_to_the_top_of_git(tmp_path: Path) -> None:
    make(tmp_path / "above", "far")
    repo = tmp_path / "above" / "repo"
    skill = make(repo / ".claude" / "skills" / "tune", "m")
    (repo / "src" / "deep").mkdir(parents=True)
    (repo / ".git").mkdir()
    assert find_checkout(None, cwd=repo / "src" / "deep").root == skill
    assert find_checkout(None, cwd=skill / "models" / "m").root == skill
    other = tmp_path / "above" / "empty"
    (other / ".git").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no models/\*/config.yaml in .*empty or above it; --root"):
        find_checkout(None, cwd=other)


def test_a_wrong_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--root nowhere: no such folder"):
        find_checkout("nowhere", cwd=tmp_path)
    with pytest.raises(InputError, match="holds neither models/"):
        find_checkout(str(tmp_path))
    (tmp_path / "hosts").mkdir()
    with pytest.raises(InputError, match="no such folder; --root is the folder that holds models/"):
        find_checkout(str(tmp_path)).models()


def test_the_repository_whose_tests_run(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    checkout = find_checkout(str(make(repo / ".claude" / "skills" / "tune", "m")))
    assert find_repo(checkout, None, None) == checkout.root
    repo.joinpath(".git").write_text("gitdir: elsewhere\n")
    assert find_repo(checkout, None, None) == repo
    other = tmp_path / "other"
    other.mkdir()
    assert find_repo(checkout, None, HostProfile(name="h", repo_root=str(other))) == other
    assert find_repo(checkout, None, HostProfile(name="h", repo_root="/not/on/this/machine")) == repo
    assert find_repo(checkout, "other", HostProfile(name="h", repo_root="/x"), cwd=tmp_path) == other
    with pytest.raises(InputError, match="--repo nope: no such folder"):
        find_repo(checkout, "nope", None, cwd=tmp_path)


def test_the_only_model_need_not_be_named(tmp_path: Path) -> None:
    checkout = find_checkout(str(make(tmp_path, "qwen-v1")))
    assert choose_model(checkout, None) == "qwen-v1"
    make(tmp_path, "tts-v1")
    with pytest.raises(InputError, match="several models; choose one with --model: qwen-v1, tts-v1"):
        choose_model(checkout, None)
    with pytest.raises(InputError, match=r"--model tts-v2: no such model .*did you mean tts-v1\?"):
        choose_model(checkout, "tts-v2")
    with pytest.raises(InputError, match="no such model"):
        choose_model(checkout, "../models/tts-v1")
    (tmp_path / "models" / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds neither config.yaml nor stages.yaml"):
        choose_model(checkout, "empty")


def test_missing_files_are_one_line_each(tmp_path: Path) -> None:
    checkout = find_checkout(str(make(tmp_path, "m")))
    checkout.manifest_path("m").unlink()
    with pytest.raises(
        InputError, match=r"stages.yaml is missing; make it with: gatewatch calibrate discover --model m"
    ):
        load_manifest(checkout, "m")
    checkout.config_path("m").unlink()
    with pytest.raises(InputError, match=r"config.yaml is missing"):
        load_config(checkout, "m")


def test_a_configuration_without_a_name_has_its_folder_s(tmp_path: Path) -> None:
    checkout = find_checkout(str(make(tmp_path, "m")))
    assert load_config(checkout, "m").value.name == "m"


def test_variables_of_a_manifest_are_what_was_typed(tmp_path: Path) -> None:
    checkout = find_checkout(str(make(tmp_path, "m")))
    stage = load_manifest(checkout, "m").get("a_speed")
    assert stage is not None
    assert dict(stage.extra_env) == {"VERSION": "1.10", "ON": "no"}


def test_a_broken_manifest_is_told_with_its_place(tmp_path: Path) -> None:
    checkout = find_checkout(str(make(tmp_path, "m")))
    checkout.manifest_path("m").write_text("a: {test: 1}\n")
    with pytest.raises(InputError, match=r"stages\.yaml"):
        load_manifest(checkout, "m")
    checkout.manifest_path("m").write_text("a: [\n")
    with pytest.raises(InputError, match=r"stages\.yaml"):
        load_manifest(checkout, "m")


def test_who_says_which_python(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.write_text("")
    config = ModelConfig(default_venv_python=("/nope/first", str(second), "/nope/last"))
    profile = HostProfile(name="h", venv_python=("/host/python",))
    env = {"TUNE_VENV_PYTHON": "/env/python"}
    where = "config models/m/config.yaml"
    assert choose_venv("/f", env, profile, config, "m") == Venv("/f", "flag", "--venv-python")
    assert choose_venv(None, env, profile, config, "m").source == "env"
    assert choose_venv(None, {}, profile, config, "m") == Venv("/host/python", "host", "host h")
    assert choose_venv(None, {}, None, config, "m") == Venv(str(second), "config", where)
    assert choose_venv(None, {}, None, config, "m", exists=()).path == "/nope/last"
    assert choose_venv(None, {}, None, config, "m", exists=("/nope/first",)).path == "/nope/first"
    with pytest.raises(InputError, match=r"no venv python is named; pass --venv-python"):
        choose_venv(None, {}, None, ModelConfig(), "m")


def test_profiles_are_found_without_models_beside_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no hosts/\*\.yaml in"):
        find_hosts(None, tmp_path)
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "code.py").write_text("")
    with pytest.raises(InputError, match=r"no hosts/\*\.yaml in"):
        find_hosts(None, tmp_path)
    (tmp_path / "hosts" / "h.yaml").write_text("repo_root: /r\n")
    assert find_hosts(None, tmp_path) == find_hosts(str(tmp_path)) == tmp_path / "hosts"
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert find_hosts(None, tmp_path / "deep" / "er") == tmp_path / "hosts"
    checkout = make(tmp_path / ".claude" / "skills" / "s", "m")
    assert find_hosts(None, tmp_path) == checkout / "hosts", "those of a checkout come first"

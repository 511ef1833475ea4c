"""Where a calibration happens: checkout, host and repository, found once for all commands."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hosts.errors import InputError
from jobs.calibration.site import find_site
from jobs.named_host import named_profile
from tests.peers.quick import Quick


@pytest.fixture
def checkout(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Quick:
    monkeypatch.chdir(quick.folder)
    return quick


def profile(quick: Quick, name: str, text: str) -> Path:
    path = quick.folder / "hosts" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_without_a_profile_it_is_this_machine(checkout: Quick) -> None:
    site = find_site(None, None, None, environ={})
    assert (site.checkout.root, site.repo, site.local, site.profile) == (
        checkout.folder,
        str(checkout.folder),
        True,
        None,
    )
    assert site.runs == f"{checkout.folder}/.tune-runs"
    assert site.settings("quick") == ("models/quick/config.yaml", "models/quick/stages.yaml")


def test_the_profile_of_this_machine_is_found_by_its_hostname(checkout: Quick, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    profile(checkout, "here", f"hostname: {socket.gethostname()}\nrepo_root: {tmp_path}/there\nssh: {{host: x}}\n")
    site = find_site(None, None, None, environ={})
    assert site.profile is not None
    assert (site.profile.name, site.local, site.repo) == ("here", True, f"{tmp_path}/there")
    assert site.settings("quick")[-1] == "hosts/here.yaml"
    assert find_site(None, str(checkout.folder), None, environ={}).repo == str(checkout.folder)


def test_flag_before_environment_before_hostname(checkout: Quick) -> None:
    profile(checkout, "here", f"hostname: {socket.gethostname()}\n")
    profile(checkout, "other", "name: other\n")
    profile(checkout, "third", "name: third\n")
    environ = {"TUNE_HOST": "other"}
    assert [
        site.profile and site.profile.name
        for site in (
            find_site(None, None, "third", environ=environ),
            find_site(None, None, None, environ=environ),
            find_site(None, None, None, environ={}),
        )
    ] == ["third", "other", "here"]


def test_a_far_host_needs_the_repository_s_place_there(checkout: Quick) -> None:
    profile(checkout, "far", "ssh: {host: far.invalid}\n")
    with pytest.raises(InputError, match="host far: the repository's absolute path there is needed"):
        find_site(None, None, "far", environ={})
    with pytest.raises(InputError, match="absolute path"):
        find_site(None, "relative/path", "far", environ={})
    site = find_site(None, "~/omni", "far", environ={})
    assert (site.repo, site.local, site.runs) == ("~/omni", False, "~/omni/.tune-runs")
    profile(checkout, "far", "ssh: {host: far.invalid}\nrepo_root: /srv/omni/\n")
    assert find_site(None, None, "far", environ={}).runs == "/srv/omni/.tune-runs"


def test_a_container_on_this_machine_is_looked_at_through_its_door(checkout: Quick) -> None:
    profile(checkout, "box", "enter: [docker, exec, -i, box]\nrepo_root: /omni\n")
    site = find_site(None, None, "box", environ={})
    assert (site.local, site.repo) == (False, "/omni")


def test_a_checkout_within_the_repository(checkout: Quick) -> None:
    skill = checkout.folder / ".claude" / "skills" / "tune"
    skill.mkdir(parents=True)
    (checkout.folder / "models").rename(skill / "models")
    site = find_site(None, None, None, environ={})
    assert (site.checkout.root, site.repo) == (skill, str(checkout.folder))
    assert site.settings("quick")[0] == ".claude/skills/tune/models/quick/config.yaml"


def test_a_checkout_outside_the_repository_has_no_settings_in_it(checkout: Quick, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (checkout.folder / "models").rename(tmp_path / "elsewhere" / "models")
    site = find_site(str(tmp_path / "elsewhere"), str(checkout.folder), None, environ={})
    assert site.repo == str(checkout.folder)
    assert site.checkout.root == tmp_path / "elsewhere"


def test_near_a_run_directory(checkout: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_site(None, None, None, checkout.runs / "r", environ={}).checkout.root == checkout.folder
    with pytest.raises(InputError, match="--root is the folder that holds models/"):
        find_site(None, None, None, environ={})


@pytest.mark.parametrize("by", ["--host", "$TUNE_HOST"])
def test_what_lies_here_at_the_path_of_a_far_run_is_no_checkout_of_it(by: str, checkout: Quick, tmp_path: Path) -> None:
    profile(checkout, "far", "ssh: {host: far.invalid}\nrepo_root: /srv/omni\n")
    another = tmp_path / "another"
    (another / "models" / "m").mkdir(parents=True)
    (another / "models" / "m" / "config.yaml").write_text("name: m\n")
    near = another / ".tune-runs" / "r"
    host, environ = ("far", {}) if by == "--host" else (None, {"TUNE_HOST": "far"})
    site = find_site(None, None, host, near, environ=environ)
    assert (site.checkout.root, site.repo, site.local) == (checkout.folder, "/srv/omni", False)
    assert find_site(None, None, None, near, environ={}).checkout.root == another
    profile(checkout, "far", "ssh: {host: [}\n")
    with pytest.raises(InputError, match=r"quick/hosts/far\.yaml"):
        find_site(None, None, host, near, environ=environ)


def test_the_host_of_a_run_may_be_one_that_no_profile_names(checkout: Quick) -> None:
    profile(checkout, "far", "ssh: {host: far.invalid}\nrepo_root: /srv/omni\n")
    site = find_site(None, None, None, environ={}, far=named_profile("far"))
    assert (site.repo, site.profile_path) == ("/srv/omni", checkout.folder / "hosts" / "far.yaml")
    alias = named_profile("op@alias")
    site = find_site(None, "/srv/omni", None, environ={}, far=alias)
    assert (site.repo, site.local, site.profile, site.profile_path) == ("/srv/omni", False, alias, None)
    with pytest.raises(InputError, match="host op@alias: the repository's absolute path there is needed"):
        find_site(None, None, None, environ={}, far=alias)


def test_what_looks_wrong_in_a_profile_is_handed_on(checkout: Quick) -> None:
    profile(checkout, "odd", "name: odd\nrepo_rot: /x\n")
    (warning,) = find_site(None, None, "odd", environ={}).warnings
    assert "unknown key repo_rot (did you mean repo_root?)" in warning

"""Which run directory is meant, by a path, a name, a host or nothing at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hosts.errors import InputError
from jobs.calibration.locate import Watched, find_run
from tests.peers.quick import MODEL, STAGES, Quick, old_run


@pytest.fixture
def checkout(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Quick:
    monkeypatch.chdir(quick.folder)
    return quick


def find(run_dir: str | None = None, host: str | None = None, model: str | None = None, **more: str) -> Watched:
    return find_run(run_dir, more.get("root"), more.get("repo"), host, model, environ={})


def touch(run: Path, seconds: int) -> Path:
    os.utime(run / "plan.json", (seconds, seconds))
    return run


def test_by_path_by_name_and_by_nothing(checkout: Quick) -> None:
    run = old_run(checkout.runs / "20260525T024302Z_quick_r2")
    found = {find(text).run_dir for text in (str(run), f".tune-runs/{run.name}", run.name, None, f"{run}/")}
    assert found == {str(run)}
    watched = find(run.name)
    assert (watched.local, watched.profile, watched.model) == (True, None, None)
    assert watched.checkout is not None
    assert watched.checkout.root == checkout.folder


def test_the_newest_is_the_one_whose_plan_is(checkout: Quick) -> None:
    touch(old_run(checkout.runs / "zzz"), 1_700_000_000)
    newest = touch(old_run(checkout.runs / "aaa"), 1_800_000_000)
    (checkout.runs / "no-run").mkdir()
    assert find().run_dir == str(newest)


def test_a_folder_here_goes_before_a_run_of_that_name(checkout: Quick) -> None:
    old_run(checkout.runs / "same")
    here = old_run(checkout.folder / "same")
    assert find("same").run_dir == str(here)


def test_the_checkout_is_found_above_the_run(checkout: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = old_run(checkout.runs / "r")
    monkeypatch.chdir(tmp_path)
    watched = find(str(run))
    manifest = watched.manifest(MODEL)
    assert manifest is not None
    assert manifest.keys == STAGES
    assert watched.manifest("another") is None


def test_without_a_checkout_there_is_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = old_run(tmp_path / "r")
    monkeypatch.chdir(tmp_path)
    watched = find("r")
    assert (watched.run_dir, watched.checkout, watched.manifest(MODEL)) == (str(run), None, None)
    assert watched.reference() is None


def test_runs_of_the_repository_are_found_from_a_checkout_elsewhere(
    checkout: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (checkout.folder / "models").rename(elsewhere / "models")
    run = old_run(checkout.runs / "r")
    monkeypatch.chdir(tmp_path)
    assert find(root=str(elsewhere), repo=str(checkout.folder)).run_dir == str(run)
    assert find("r", root=str(elsewhere), repo=str(checkout.folder)).manifest(MODEL) is not None
    (elsewhere / "hosts").mkdir()
    (elsewhere / "hosts" / "h.yaml").write_text(f"launcher: local\nrepo_root: {checkout.folder}\n")
    watched = find(root=str(elsewhere), host="h")
    assert (watched.run_dir, watched.local) == (str(run), True)


def test_a_run_on_another_host_is_not_looked_for_here(checkout: Quick) -> None:
    (checkout.folder / "hosts").mkdir()
    (checkout.folder / "hosts" / "far.yaml").write_text(
        "ssh: {host: far.invalid}\nreference: {gpu_model: H20, pins: {torch: '2.9'}}\n"
    )
    for watched in (find("far:/srv/r"), find("/srv/r", host="far")):
        assert (watched.run_dir, watched.local) == ("/srv/r", False)
        assert watched.profile is not None
        assert watched.profile.name == "far"
        assert watched.reference() == {"gpu_model": "H20", "image": None, "pins": {"torch": "2.9"}}
    assert find("far:~/r").run_dir == "~/r"
    with pytest.raises(InputError, match="by its absolute path"):
        find("far:r")
    with pytest.raises(InputError, match="by its absolute path"):
        find(host="far")


def test_a_file_with_a_colon_is_a_file(checkout: Quick) -> None:
    run = old_run(checkout.folder / "a:b")
    assert find("./a:b").run_dir == str(run)
    with pytest.raises(InputError, match=r"by its absolute path: --run-dir HOST:/path; the file here is \./a:b$"):
        find("a:b")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "no such run directory"),
        ("file", "is a file; a run directory is a folder with plan.json"),
        ("empty", "holds no"),
    ],
)
def test_what_is_no_run_directory(name: str, said: str, checkout: Quick) -> None:
    (checkout.runs / "empty").mkdir(parents=True)
    (checkout.runs / "file").write_text("")
    with pytest.raises(InputError, match=said):
        find(f".tune-runs/{name}")


def test_a_run_of_another_model(checkout: Quick) -> None:
    old_run(checkout.runs / "r", model="other")
    with pytest.raises(InputError, match=r"/r is a run of model other, not of quick$"):
        find("r", model=MODEL)
    assert find("r", model="other").model == "other"


def test_an_unknown_host_is_told_with_a_near_one(checkout: Quick) -> None:
    (checkout.folder / "hosts").mkdir()
    (checkout.folder / "hosts" / "h20-a.yaml").write_text("name: h20-a\n")
    with pytest.raises(InputError, match=r"--host h20a: no such profile in .*; did you mean h20-a\?"):
        find("/srv/r", host="h20a")


@pytest.mark.parametrize("profiles", [None, "hosts", "hosts beside models"])
@pytest.mark.parametrize(
    ("text", "host", "user"),
    [
        ("alias:/srv/r", "alias", None),
        ("op@alias:/srv/r", "alias", "op"),
        ("op@far:/srv/r", "far", "op"),
        ("[::1]:/srv/r", "::1", None),
        ("op@[fe80::1]:/srv/r", "fe80::1", "op"),
    ],
)
def test_what_no_profile_names_is_as_ssh_knows_it(
    profiles: str | None, text: str, host: str, user: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if profiles is not None:
        (tmp_path / "hosts").mkdir()
        (tmp_path / "hosts" / "far.yaml").write_text("ssh: {host: far.invalid, user: root}\nrepo_root: /srv\n")
    if profiles == "hosts beside models":
        (tmp_path / "models" / MODEL).mkdir(parents=True)
        (tmp_path / "models" / MODEL / "config.yaml").write_text(f"name: {MODEL}\n")
    watched = find(text)
    assert watched.profile is not None
    assert watched.profile.ssh is not None
    assert (watched.profile.ssh.host, watched.profile.ssh.user) == (host, user)
    assert (watched.run_dir, watched.local, watched.place) == ("/srv/r", False, text)


def test_a_profile_is_found_where_there_are_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "far.yaml").write_text("ssh: {host: far.invalid, user: op}\n")
    watched = find("far:/srv/r")
    assert watched.profile is not None
    assert (watched.profile.name, watched.profile.ssh_host, watched.place) == ("far", "far.invalid", "far:/srv/r")

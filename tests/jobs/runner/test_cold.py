from __future__ import annotations

import os
from pathlib import Path

import pytest

from hosts.errors import InputError
from jobs.runner.calibration.cold import cold_paths, empty

pytestmark = pytest.mark.travels


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / ".cache" / "flashinfer" / "0.2" / "sm90").mkdir(parents=True)
    (home / ".cache" / "flashinfer" / "0.2" / "sm90" / "kernel.so").write_bytes(b"x")
    (home / ".cache" / "flashinfer" / "log").write_bytes(b"x")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "model").write_bytes(b"x")
    return home


def asked(home: Path, *paths: str) -> list[str]:
    environment = {"OMNI_CI_HOME": str(home)}
    return [path.relative_to(home).as_posix() for path in cold_paths(paths or None, environment)]


def test_by_default_the_compiled_kernels(home: Path) -> None:
    assert asked(home) == [".cache/flashinfer"]
    assert cold_paths((), {"OMNI_CI_HOME": str(home)}) == (), "an empty list means none"


def test_without_the_home_nothing_is_emptied() -> None:
    assert cold_paths(None, {}) == ()
    assert cold_paths(None, {"OMNI_CI_HOME": ""}) == ()
    assert cold_paths((), {}) == ()
    with pytest.raises(InputError, match="cold_paths needs OMNI_CI_HOME"):
        cold_paths(("a",), {})


def test_the_ways_to_name_a_folder(home: Path) -> None:
    assert asked(home, "a", "./b//c/", "$OMNI_CI_HOME/d", f"{home}/e") == ["a", "b/c", "d", "e"]


@pytest.mark.parametrize("path", ["", ".", "/", "/etc", "~", "$OMNI_CI_HOME", "$OMNI_CI_HOME/", "$HOME/../x"])
def test_only_below_the_home(home: Path, path: str) -> None:
    if path == "~":  # a name like any other: nobody expands it here
        assert asked(home, path) == ["~"]
        return
    with pytest.raises(InputError, match="cold_paths: ") as caught:
        asked(home, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["..", "../precious", "a/../b", "a/../../precious", "$OMNI_CI_HOME/../precious", "a/.."]
)
def test_no_way_up(home: Path, path: str) -> None:
    with pytest.raises(InputError, match=r"holds '\.\.'"):
        asked(home, path)


def test_a_neighbour_with_the_same_beginning_is_not_below(home: Path) -> None:
    with pytest.raises(InputError, match="does not lie below"):
        asked(home, f"{home}-other/x")


@pytest.mark.parametrize("path", ["link", "link/model", "inner/x", "inner"])
def test_no_way_through_a_link(home: Path, path: str) -> None:
    (home / "link").symlink_to(home.parent / "precious")
    (home / "real" / "x").mkdir(parents=True)
    (home / "inner").symlink_to("real")
    with pytest.raises(InputError, match="leads through a symbolic link, which is not followed"):
        asked(home, path)


def test_the_home_itself_may_be_reached_through_a_link(home: Path, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(home)
    for base in (tmp_path / "short", home):
        environment = {"OMNI_CI_HOME": str(tmp_path / "short")}
        assert cold_paths((f"{base}/.cache/flashinfer",), environment) == (home / ".cache" / "flashinfer",)


def test_a_folder_is_emptied_and_kept(home: Path) -> None:
    folder = home / ".cache" / "flashinfer"
    before = folder.stat().st_ino
    assert empty(folder) == 2
    assert list(folder.iterdir()) == []
    assert folder.stat().st_ino == before
    assert empty(folder) == 0


def test_what_is_not_there_needs_no_emptying(home: Path) -> None:
    assert empty(home / "never") == 0
    (home / "file").write_bytes(b"x")
    assert empty(home / "file") == 0
    assert (home / "file").exists()


def test_links_inside_are_removed_and_not_followed(home: Path, tmp_path: Path) -> None:
    folder = home / ".cache" / "flashinfer"
    (folder / "out").symlink_to(tmp_path / "precious")
    (folder / "0.2" / "out").symlink_to(tmp_path / "precious")
    (folder / "dangling").symlink_to("nowhere")
    os.link(tmp_path / "precious" / "model", folder / "hard")
    empty(folder)
    assert list(folder.iterdir()) == []
    assert (tmp_path / "precious" / "model").read_bytes() == b"x"


def test_a_link_in_the_place_of_the_folder_is_refused(home: Path, tmp_path: Path) -> None:
    """Also where it became one after the path was checked."""
    (home / "link").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="is a symbolic link and is not emptied"):
        empty(home / "link")
    assert (tmp_path / "precious" / "model").exists()

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hosts.errors import InputError
from hosts.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.from_environment({"HOME": str(tmp_path / "home")})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_defaults_and_overrides() -> None:
    assert Paths.from_environment({"HOME": "/h"}) == Paths(
        Path("/h/.config/gatewatch"),
        Path("/h/.local/state/gatewatch"),
        Path("/h/.cache/gatewatch"),
        Path("/h/.local/share/gatewatch"),
    )
    env = {
        "HOME": "/h",
        "XDG_CONFIG_HOME": "/c",
        "XDG_STATE_HOME": "relative",
        "XDG_CACHE_HOME": "",
        "GATEWATCH_DATA_DIR": "/d",
    }
    assert Paths.from_environment(env) == Paths(
        Path("/c/gatewatch"), Path("/h/.local/state/gatewatch"), Path("/h/.cache/gatewatch"), Path("/d")
    )


def test_without_home_the_user_database_knows() -> None:
    assert Paths.from_environment({}).config.is_absolute()
    with pytest.raises(InputError, match="GATEWATCH_STATE_DIR must be an absolute path, not 'x'"):
        Paths.from_environment({"HOME": "/h", "GATEWATCH_STATE_DIR": "x"})


def test_folders_are_made_on_use_for_the_owner_alone(paths: Paths, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
    before = os.umask(0o022)
    try:
        assert paths.ensure(paths.state / "a" / "b") == paths.state / "a" / "b"
    finally:
        os.umask(before)
    assert [mode(folder) for folder in (paths.state, paths.state / "a", paths.state / "a" / "b")] == [0o700] * 3
    assert not paths.cache.exists()
    paths.ensure(paths.state)
    (paths.state / "a").chmod(0o755)
    paths.ensure(paths.state / "a" / "b")


def test_what_is_not_ours_is_refused(paths: Paths, tmp_path: Path) -> None:
    for folder in (tmp_path, paths.state / ".." / "x", paths.state.parent):
        with pytest.raises(InputError, match="is not within a folder of gatewatch"):
            paths.ensure(folder)
    paths.ensure(paths.cache)
    paths.cache.chmod(0o770)
    with pytest.raises(InputError, match="can be written by others; chmod go-w it"):
        paths.ensure(paths.cache)


def test_a_planted_link_is_refused(paths: Paths, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    paths.ensure(paths.cache)
    (paths.cache / "clones").symlink_to(elsewhere)
    with pytest.raises(InputError, match=r"cannot use the folder .*clones"):
        paths.ensure(paths.cache / "clones" / "x")
    assert list(elsewhere.iterdir()) == []
    paths.config.parent.mkdir(parents=True)
    paths.config.symlink_to(elsewhere)
    assert paths.ensure(paths.config) == paths.config


def test_a_file_in_the_way(paths: Paths) -> None:
    paths.data.parent.mkdir(parents=True)
    paths.data.write_text("")
    with pytest.raises(InputError, match=r"cannot use the folder .*: file exists"):
        paths.ensure(paths.data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_a_folder_of_somebody_else(paths: Paths) -> None:
    paths.ensure(paths.cache)
    os.chown(paths.cache, 65534, 65534)
    with pytest.raises(InputError, match="belongs to user 65534, not to you"):
        paths.ensure(paths.cache)

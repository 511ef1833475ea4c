"""A host without Python: an nvidia-smi that is there and cannot be run, told from one that is not there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosts.bare_cards import BareCards
from hosts.bare_facts import counts_like_the_driver
from hosts.child import open_subprocess
from hosts.errors import InputError
from hosts.host import Accelerators
from hosts.session import BytePipe
from hosts.ssh_spec import remote_command
from tests.peers import bare

RECORDED = "tests/data/nvidia_smi/rtx2080super-465.27.txt"


class Login:
    """An account by the shell that its commands go through; what is on its path lies in one folder."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.tool = folder / "nvidia-smi"
        self.path = f"{folder / 'none'}:{folder}"
        self._shell = shell

    async def do(self, work: Any) -> bool:
        if work is counts_like_the_driver:
            return True
        raise InputError("there is no driver")

    async def open(self, argv: tuple[str, ...]) -> BytePipe:
        return await open_subprocess(("/usr/bin/env", f"PATH={self.path}", self._shell, "-c", remote_command(argv)))


@pytest.fixture(params=["sh", "dash", "bash", "zsh", "tcsh", "fish"])
def login(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"NOT TESTED: there is no {request.param}")
    monkeypatch.setenv("HOME", str(tmp_path))
    bare.settings(tmp_path)
    return Login(tmp_path, shell)


async def told(login: Any) -> Accelerators:
    cards = BareCards("box", login.open, login)
    try:
        return await cards.read(time.monotonic() + 20)
    finally:
        await cards.close()


async def test_what_is_not_there_is_none(login: Login) -> None:
    assert await told(login) == Accelerators((), "none")


def wrapper(tool: Path) -> None:
    tool.write_text("#!/bin/sh\nexec /none/nvidia-smi\n")
    tool.chmod(0o755)


def interpreter(tool: Path) -> None:
    tool.write_text("#!/none/python\n")
    tool.chmod(0o755)


def unallowed(tool: Path) -> None:
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o644)


def dangling(tool: Path) -> None:
    tool.symlink_to(tool.with_name("removed"))


@pytest.mark.parametrize("broken", [wrapper, interpreter, unallowed, dangling])
async def test_what_is_there_and_cannot_be_run_is_unknown(login: Login, broken: Callable[[Path], None]) -> None:
    broken(login.tool)
    found = await told(login)
    assert (found.source, found.devices) == ("unknown", ())
    assert found.detail.startswith("nvidia-smi: ")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        *(("{}:here", "unknown"), ("{}:", "unknown"), (":{}", "unknown"), ("{}::/none", "unknown")),
        *(("{}", "none"), ("{}:*", "none"), ("{}:a b", "unknown"), ("{}:a:b", "none")),
    ],
)
async def test_names_on_the_path_are_taken_as_they_are_and_an_empty_one_is_the_current_folder(
    login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, source: str
) -> None:
    current = tmp_path / "current"
    for folder in (current, current / "here", current / "a b"):
        folder.mkdir()
        unallowed(folder / "nvidia-smi")
    login.path = path.format(tmp_path)
    monkeypatch.chdir(current)
    assert (await told(login)).source == source


async def test_what_a_login_has_not_found_is_not_the_tool(login: Login, house: Path) -> None:
    bare.put_smi(login.tool.parent, house / RECORDED)
    answers = login.tool.rename(login.tool.with_name("answers"))
    login.tool.write_text(f'#!/bin/sh\necho "module: command not found" >&2\nexec {answers} "$@"\n')
    login.tool.chmod(0o755)
    assert len((await told(login)).devices) == 1

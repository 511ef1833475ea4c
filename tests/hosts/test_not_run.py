"""What cannot be run on a host is called by its own name."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from hosts.child import open_subprocess
from hosts.errors import NoPythonError
from hosts.host import Wants
from hosts.not_run import not_run
from hosts.pipe import PipeReader
from hosts.session import BytePipe
from jobs.bundle import build_image


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("sh: 1: docker: not found", "docker"),
        ("bash: line 1: docker: command not found", "docker"),
        ("-bash: docker: command not found", "docker"),
        ("zsh:1: command not found: docker", "docker"),
        ("fish: Unknown command: docker", "docker"),
        ("docker: Command not found.", "docker"),
        ("env: ‘docker’: No such file or directory", "docker"),
        ("bash: line 1: /opt/docker: Permission denied", "/opt/docker"),
        ("sudo: docker: command not found", "docker"),
        ("bash: line 1: python3: command not found", "python3"),
        ("env: 'python3': No such file or directory", "python3"),
        ('exec failed: exec: "python3": executable file not found in $PATH: unknown', "python3"),
        ("exit status 127", "python3"),
        ("", "python3"),
    ],
)
def test_the_program_that_a_shell_names(said: str, name: str) -> None:
    told = str(not_run("python3", "box", said))
    assert told.startswith(f"{name} cannot be run on box ({said}); ")
    assert ("`enter:`" in told) is (name != "python3")


@pytest.mark.parametrize("shell", ["bash", "csh", "dash", "fish", "sh", "tcsh", "zsh"])
@pytest.mark.parametrize("missing", ["enter", "python"])
async def test_what_the_shells_of_this_machine_say(shell: str, missing: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"NOT TESTED: there is no {shell}")

    async def opener(argv: tuple[str, ...]) -> BytePipe:
        return await open_subprocess((path, "-c", shlex.join(argv)))

    python = "no-such-python" if missing == "python" else sys.executable
    enter = ("no-such-docker", "exec") if missing == "enter" else (str(Path("/usr/bin/env")),)
    image = await asyncio.to_thread(build_image)
    reader = PipeReader("box", opener, image, python=python, enter=enter)
    try:
        name = "no-such-docker" if missing == "enter" else "no-such-python"
        with pytest.raises(NoPythonError, match=rf"^{name} cannot be run on box"):
            await reader.observe(Wants(), None, 20)
    finally:
        await reader.close()

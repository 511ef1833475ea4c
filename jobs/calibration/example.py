"""The embedded example: a small real project, set up in a folder of its own as a person's checkout would be."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from hosts.errors import InputError

_IGNORED = shutil.ignore_patterns(".tune-runs", "__pycache__", ".pytest_cache", ".git", ".venv")


def example_folder() -> Path:
    """Where the example lies: beside this package when it was installed, else in the source tree.

    Raises:
        InputError: It is in neither place.
    """
    rooms = Path(__file__).resolve().parent.parent
    for folder in (rooms / "_examples" / "calibration", rooms.parent / "examples" / "calibration"):
        if (folder / "models").is_dir():
            return folder
    raise InputError("this installation of gatewatch has no example project; reinstall it")


def set_up_example(target: Path) -> None:
    """Copy the example to `target` and commit it, so that a calibration of it has a commit to be of.

    Args:
        target: A folder that does not exist yet.

    Raises:
        InputError: It cannot be written, or there is no git.
    """
    try:
        shutil.copytree(example_folder(), target, ignore=_IGNORED)
    except OSError as error:
        raise InputError(f"cannot copy the example to {target}: {error.strerror or error}") from error
    _git(target, "init", "--quiet", "--initial-branch=main")
    _git(target, "add", "--all")
    _git(target, "commit", "--quiet", "--no-verify", "--message=The example as it was delivered")


def _git(folder: Path, *arguments: str) -> None:
    # Nothing of the person's own configuration (hooks, signing, a template) has a say in a throw-away repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = {
        **kept,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TEMPLATE_DIR": "",
        "GIT_AUTHOR_NAME": "gatewatch demo",
        "GIT_AUTHOR_EMAIL": "demo@localhost",
        "GIT_COMMITTER_NAME": "gatewatch demo",
        "GIT_COMMITTER_EMAIL": "demo@localhost",
    }
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise InputError("git is not installed, and a calibration is always one of a commit") from error
    if answer.returncode != 0:
        said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InputError(f"git {arguments[0]} in {folder}: {said[0] if said else f'exit {answer.returncode}'}")

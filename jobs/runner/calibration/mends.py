"""Commands that mend one thing on this host, whole and ready to be run; None where no command can be sure to.

A command that only looks, that has a placeholder, or that may hit somebody else's work is no mend: then the reason
says in words what is needed.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from hosts.errors import InputError
from hosts.local.files import read_bytes_limited
from hosts.local.pasting import quoted

_PYTHON = re.compile(r"python(3(?:\.\d+)?)?\Z")
_MANAGERS = ("apt-get", "dnf")
_TIMEOUT_S = 20.0
_CFG_LIMIT = 1 << 16


def user() -> str:
    """Who we are."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def as_root(command: str) -> str:
    """The command as somebody runs it who has root's rights."""
    return command if os.getuid() == 0 else f"sudo {command}"


def system_package(name: str) -> str | None:
    """How the system's own package manager installs one package; None where it has none that we know."""
    manager = next((found for found in _MANAGERS if shutil.which(found)), None)
    return None if manager is None else as_root(f"{manager} install -y {name}")


def make_folder(path: str) -> str | None:
    """A folder that is not there, as one that we can write in."""
    above = next(folder for folder in Path(path).absolute().parents if os.path.lexists(folder))
    if not above.is_dir() or _read_only(above):
        return None
    if os.access(above, os.W_OK | os.X_OK):
        return f"mkdir -p {quoted(path)}"
    return as_root(f"install -d -o {quoted(user())} {quoted(path)}")


def own_folder(path: str) -> str | None:
    """A folder that is there, as one that we can write in."""
    if _read_only(Path(path)):
        return None
    if os.stat(path).st_uid == os.getuid():
        return f"chmod u+rwx {quoted(path)}"
    return as_root(f"chown {quoted(user())} {quoted(path)}")


def install_into(python: str, has_pip: bool) -> str:
    """What installs packages into this Python; the packages' names follow it."""
    shown = quoted(python)
    if has_pip:
        return f"{shown} -m pip install"
    if shutil.which("uv"):
        return f"uv pip install --python {shown}"
    return f"{shown} -m ensurepip && {shown} -m pip install"


def make_venv(python: str, packages: str) -> str | None:
    """A virtual environment with some packages, in place of one that is missing or does not run.

    Args:
        python: Where its interpreter is to be, such as `/venv/bin/python3.12`.
        packages: Requirements, quoted for a shell.

    Returns:
        None where that is no place of a virtual environment's interpreter, where something else lies there, or where
        this host has nothing to make one with.
    """
    named = _PYTHON.match(os.path.basename(python))
    home = os.path.dirname(os.path.dirname(python))
    if named is None or os.path.basename(os.path.dirname(python)) != "bin":
        return None
    settings = Path(home) / "pyvenv.cfg"
    if os.path.lexists(home) and not settings.is_file() and (not os.path.isdir(home) or os.listdir(home)):
        return None
    # `venv --upgrade` leaves a link to an interpreter that is gone as it is: only a new one mends that.
    clear = "--clear " if settings.is_file() else ""
    version = named[1] if named[1] and "." in named[1] else None
    base = f"python{version or _version_in(settings) or 3}"
    if version is None and not shutil.which(base):
        base = "python3"
    shown, folder = quoted(python), quoted(home)
    install = f"{shown} -m pip install {packages}"
    if _has_ensurepip(base):
        return f"{base} -m venv {clear}{folder} && {install}"
    if shutil.which("uv"):
        wanted = f"--python {version} " if version else ""
        return f"uv venv {clear}{wanted}{folder} && uv pip install --python {shown} {packages}"
    needed = system_package(f"{base}-venv") if shutil.which("apt-get") and shutil.which(base) else None
    return None if needed is None else f"{needed} && {base} -m venv {clear}{folder} && {install}"


def load_driver() -> str | None:
    """What loads the NVIDIA driver, where its module is installed for this kernel."""
    dependencies = Path(f"/lib/modules/{os.uname().release}/modules.dep")
    try:
        known = b"/nvidia.ko" in read_bytes_limited(dependencies, 16 << 20)
    except InputError:
        known = False
    return as_root("modprobe nvidia") if known else None


def _version_in(settings: Path) -> str | None:
    """The minor version that a virtual environment was made for."""
    try:
        text = read_bytes_limited(settings, _CFG_LIMIT).decode("utf-8", "replace")
    except InputError:
        return None
    found = re.search(r"^version(?:_info)?\s*=\s*(3\.\d+)", text, re.MULTILINE)
    return None if found is None else found[1]


def _has_ensurepip(python: str) -> bool:
    """Debian's Python makes no virtual environment with pip before a package of its own is installed."""
    try:
        answer = subprocess.run(
            [python, "-c", "import ensurepip, venv"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False

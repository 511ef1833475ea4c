from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jobs.bundle import TRAVELLING, build_image, travelling_files, travelling_modules

OLDEST, NEWEST = "3.10", "3.13"
USAGE = "gatewatch runner: expected `run SYSTEM RUN_DIR NONCE` or `exec`"
BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
from jobs.bundle import build_image
image = build_image()
sys.stdout.buffer.write(image.data)
"""


def interpreter(version: str) -> str:
    """A Python of this version, on the path or of pyenv; what pyenv puts on the path may only be a signpost."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for candidate in (f"python{version}", *map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            said = subprocess.run([candidate, "-I", "-c", code], capture_output=True, text=True)
        except OSError:
            continue
        if said.stdout.strip() == version:
            return candidate
    pytest.skip(f"NOT TESTED, CPython {version} is not on this machine")


@pytest.fixture(scope="module")
def copied(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms in another place, written at another time, with other permissions and with litter among them."""
    folder = tmp_path_factory.mktemp("copy") / "elsewhere"
    folder.mkdir()
    for room in ("gates", "hosts", "jobs", "monitors"):
        shutil.copytree(house / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o755)
    (folder / "gates" / "__pycache__").mkdir()
    (folder / "gates" / "__pycache__" / "verdict.cpython-311.pyc").write_bytes(b"x")
    (folder / "gates" / "verdict.py~").write_text("x")
    (folder / "jobs" / "runner" / ".hidden").write_text("x")
    return folder


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyz") / "runner.pyz"
    path.write_bytes(build_image().data)
    return path


def test_the_same_bytes_again() -> None:
    first, second = build_image(), build_image.__wrapped__()
    assert first == second
    assert build_image() is first, "hundreds of hosts share one"
    assert first.sha256 == hashlib.sha256(first.data).hexdigest()


@pytest.mark.parametrize("version", ["this", OLDEST, "3.12", NEWEST])
def test_the_same_bytes_from_another_place_and_python(copied: Path, version: str) -> None:
    python = sys.executable if version == "this" else interpreter(version)
    environment = {"PATH": os.environ["PATH"], "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    built = subprocess.run(
        [python, "-I", "-B", "-c", BUILD, str(copied)], capture_output=True, env=environment, umask=0o077
    )
    assert built.stderr == b""
    assert built.stdout == build_image().data


def test_exactly_what_travels_is_in_it(house: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(build_image().data))
    names = archive.namelist()
    assert names == ["__main__.py", *(path.as_posix() for path in travelling_files())]
    assert names[1:] == sorted(names[1:])
    assert [name for name in names if not name.endswith(".py")] == []
    for path in travelling_files():
        assert archive.read(path.as_posix()) == (house / path).read_bytes()
    for member in archive.infolist():
        assert member.date_time == (1980, 1, 1, 0, 0, 0)
        assert (member.compress_type, member.external_attr >> 16, member.create_system) == (0, 0o644, 3)
    assert archive.testzip() is None


def test_every_pattern_finds_something(house: Path) -> None:
    assert [pattern for pattern in TRAVELLING if not list(house.glob(pattern))] == []


def test_nothing_travels_that_belongs_at_home() -> None:
    modules = set(travelling_modules())
    at_home = {"hosts.ssh", "hosts.here", "hosts.profiles", "jobs.bundle", "jobs.connect", "monitors.poller"}
    assert modules & at_home == set()
    assert {"gates.verdict", "hosts.local.procs", "jobs.runner.main", "monitors.codec", "jobs", "gates"} <= modules


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_module_of_it_can_be_imported(pyz: Path, version: str) -> None:
    code = (
        "import importlib, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "for name in sys.argv[2:]:\n"
        "    module = importlib.import_module(name)\n"
        "    assert module.__file__.startswith(sys.argv[1]), module.__file__\n"
    )
    done = subprocess.run(
        [interpreter(version), "-I", "-W", "error", "-c", code, str(pyz), *travelling_modules()],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("version", [OLDEST, "3.11", NEWEST])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exec"], "gatewatch runner: shim:1:1: empty, no JSON value in it"),
        ([], USAGE),
        (["fly"], USAGE),
        (["run", "calibration", "/no/such/run"], USAGE),
        (
            ["run", "calibration", "/no/such/run", "nonce"],
            "gatewatch runner: /no/such/run/.gatewatch/job.json: No such file or directory; "
            "this run cannot be resumed by gatewatch",
        ),
    ],
)
def test_it_starts_and_says_one_clear_line(pyz: Path, version: str, words: list[str], said: str) -> None:
    done = subprocess.run(
        [interpreter(version), "-I", str(pyz), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{said}\n")

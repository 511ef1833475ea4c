from __future__ import annotations

import base64
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gates.calibration.source import Number, SourceFacts, literal, lookup, number_of, parse_all
from hosts.errors import InputError
from hosts.host import Json
from jobs.runner.calibration import facts_script
from jobs.runner.calibration.sources import run_script, sources
from tests.jobs.runner.calibration.pythons import OTHERS, python_or_skip

pytestmark = pytest.mark.travels

PLAIN = {
    "crlf.py": b"# T = 1\r\nT = (\r\n    0.5  # T = 2\r\n)\r\n",
    "cr.py": b"'''\rT = 1\r'''\rT = -1_000\r",
    "bom.py": b"\xef\xbb\xbfT: float = - 5.5e-2\n",
    "latin.py": b"# -*- coding: latin-1 -*-\ns = '\xe9\xe8'; T = {'\xe9': 1, 'a': 3}\n",
    "tabs.py": "T = {\n\t8:\t{\t'é': 1,\t'a':\t+7.25}, # 'a': 8\n\t16: {'a': 9},\n}\n".encode(),
    "feed.py": b"\x0cT = \\\n\t0x1F\n",
    "deco.py": b"@d(f := 3)\ndef T2(): pass\nT = --3\n",
    "fstring.py": b"T = 3\nx = f'{run(3)!r:>{10}} T = 4'\n",
}
NEWER = b"type Row = dict[str, float]\ndef first[X](xs: list[X]) -> X: ...\nT = 3\nx = f'{'nested'}'\n"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A folder with files that are hard to read."""
    folder = tmp_path / "repo"
    folder.mkdir()
    for name, data in PLAIN.items():
        (folder / name).write_bytes(data)
    return folder


def ask(repo: Path, *paths: str, python: str = sys.executable, **more: Any) -> dict[str, SourceFacts]:
    return parse_all(sources({"python": python, "repo": str(repo), "paths": list(paths), **more}))


def put(repo: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(text)


def test_every_kind_of_file_is_read_as_it_stands(repo: Path) -> None:
    found = ask(repo, *PLAIN)
    values = {
        path: literal(facts, "T", "a" if path in ("latin.py", "tabs.py") else None, 8 if path == "tabs.py" else None)
        for path, facts in found.items()
    }
    texts = {}
    for path, number in values.items():
        assert isinstance(number, Number), (path, number)
        assert PLAIN[path][number.start : number.end].decode() == number.text
        texts[path] = number.text
    assert texts == {
        "crlf.py": "0.5",
        "cr.py": "-1_000",
        "bom.py": "- 5.5e-2",
        "latin.py": "3",
        "tabs.py": "+7.25",
        "feed.py": "0x1F",
        "deco.py": "--3",
        "fstring.py": "3",
    }


def test_a_file_is_told_with_what_it_is(repo: Path) -> None:
    (repo / "cr.py").chmod(0o755)
    (found,) = ask(repo, "cr.py", data=True).values()
    assert (found.mode, found.inode, found.data) == (0o755, (repo / "cr.py").stat().st_ino, PLAIN["cr.py"])
    assert ask(repo, "cr.py")["cr.py"].data is None


@pytest.mark.parametrize("version", OTHERS)
def test_every_python_says_the_same(repo: Path, version: str) -> None:
    other = python_or_skip(version)
    (repo / "cold.py").write_bytes(
        b"if (T := 3):\n    U = 4\nT[8]['a'] = 1\nfrom x import *\ntry:\n    V = 1\nfinally: pass\n"
    )
    files = [*PLAIN, "cold.py"]
    assert ask(repo, *files, python=other) == ask(repo, *files)


def test_a_file_for_a_newer_python_is_read_by_that_python(repo: Path) -> None:
    newer = python_or_skip("3.12")
    (repo / "newer.py").write_bytes(NEWER)
    found = ask(repo, "newer.py", python=newer)["newer.py"]
    number = literal(found, "T")
    assert isinstance(number, Number), number
    assert NEWER[number.start : number.end] == b"3"
    if sys.version_info < (3, 12):
        assert "syntax error, line 1" in str(literal(ask(repo, "newer.py")["newer.py"], "T"))


def test_a_file_for_a_newer_python_is_proved_by_that_python() -> None:
    at = NEWER.index(b"3\n")
    span: list[Json] = [at, at + 1]
    old, new = (base64.b64encode(data).decode() for data in (NEWER, NEWER.replace(b"T = 3", b"T = 4")))
    check: dict[str, Json] = {"path": "t.py", "old": old, "new": new, "edits": [{"old": span, "new": span, "value": 4}]}
    assert run_script(python_or_skip("3.12"), {"checks": [check]})["checks"] == {"t.py": None}


def test_what_cannot_be_read_has_an_error_of_its_own(repo: Path, tmp_path: Path) -> None:
    (repo / "broken.py").write_text("x = (\n")
    (repo / "folder.py").mkdir()
    (tmp_path / "secret.py").write_text("T = 3\n")
    (repo / "out.py").symlink_to(tmp_path / "secret.py")
    (repo / "in.py").symlink_to("cr.py")
    (repo / "long.py").write_bytes(b"#" * (5 << 20))
    os.mkfifo(repo / "pipe.py")
    found = ask(
        repo,
        *("broken.py", "folder.py", "out.py", "in.py", "long.py", "pipe.py", "gone.py", "../secret.py", "/etc/passwd"),
    )
    errors = {path: facts.error for path, facts in found.items()}
    assert errors["in.py"] is None
    assert "syntax error, line" in str(errors["broken.py"])
    assert errors["out.py"] == "a symbolic link leads out of the repository"
    assert errors["gone.py"] == "it is not there"
    assert errors["folder.py"] == errors["pipe.py"] == "not a regular file"
    assert "longer than" in str(errors["long.py"])
    assert errors["../secret.py"] == errors["/etc/passwd"] == "not a path inside the repository"


def test_constants_are_followed_inside_the_repository(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text("FAR = 1\n")
    (repo / "link.py").symlink_to(tmp_path / "outside.py")
    put(
        repo,
        {
            "tests/test_x.py": (
                "from tests.utils import SAMPLES, helper\nfrom .near import NEAR\nfrom big import machinery\n"
                "from tests.slack import apply_slack\nfrom link import FAR\nfrom torch import TENSOR\n"
            ),
            "tests/utils.py": "from tests.deep import SAMPLES\n",
            "tests/deep/__init__.py": "from .inner import SAMPLES\n",
            "tests/deep/inner.py": "N = 50\nSAMPLES = N\n",
            "tests/near.py": "from .test_x import NEAR\n",
            "tests/slack.py": "THRESHOLD_SLACK_LOWER = 1.2\n",
            "big.py": "machinery = 1\n",
        },
    )
    found = ask(repo, "tests/test_x.py", follow_imports=True)
    assert sorted(found) == [
        *("tests/deep/__init__.py", "tests/deep/inner.py", "tests/near.py", "tests/slack.py"),
        *("tests/test_x.py", "tests/utils.py"),
    ]
    assert getattr(number_of(found, "tests/test_x.py", "SAMPLES"), "value", None) == 50
    assert lookup(found, "tests/test_x.py", "NEAR") is None
    assert lookup(found, "tests/test_x.py", "FAR") is None
    assert list(ask(repo, "tests/test_x.py")) == ["tests/test_x.py"]


@pytest.mark.parametrize("python", ["/nowhere/python", "/etc/passwd", "/bin/false"])
def test_a_python_that_does_not_run_is_one_line(repo: Path, python: str) -> None:
    with pytest.raises(InputError, match=f"venv python {python} does not") as error:
        ask(repo, "cr.py", python=python)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "payload", [None, {}, {"python": "x", "repo": "/nowhere", "paths": []}, {"python": "x", "repo": "/", "paths": [3]}]
)
def test_a_payload_of_another_kind_is_refused(payload: Any) -> None:
    with pytest.raises(InputError):
        sources(payload)


def test_nothing_of_a_source_is_executed_and_nothing_is_written(repo: Path) -> None:
    (repo / "evil.py").write_text(f"open({str(repo / 'mark')!r}, 'w')\nT = 3\n")
    before = sorted(repo.iterdir())
    assert ask(repo, "evil.py", python=sys.executable)["evil.py"].error is None
    assert sorted(repo.iterdir()) == before


def test_the_environment_and_the_folder_have_no_say(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ast.py").write_text("raise SystemExit('shadowed')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "ast.py"))
    monkeypatch.chdir(tmp_path)
    assert ask(repo, "cr.py")["cr.py"].error is None


def test_the_script_needs_python_3_8() -> None:
    old = python_or_skip("3.7")
    text = Path(facts_script.__file__).read_text()
    said = subprocess.run([old, "-I", "-c", text], input=b"{}", capture_output=True, check=False)
    assert said.returncode != 0


IN_A_ZIP = """
import sys
sys.path.insert(0, sys.argv[1])
from jobs.runner.calibration.sources import sources
print(sources({"python": sys.executable, "repo": sys.argv[2], "paths": ["cr.py"]})["cr.py"]["error"])
"""
IN_MEMORY = """
import pathlib, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
space = {"__name__": "boot"}
exec(archive.read("hosts/local/inmemory.py"), space)
space["install"](pathlib.Path(sys.argv[1]).read_bytes())
from jobs.runner.calibration.sources import sources
print(sources({"python": sys.executable, "repo": sys.argv[2], "paths": ["cr.py"]})["cr.py"]["error"])
"""


@pytest.mark.parametrize("code", [IN_A_ZIP, IN_MEMORY])
def test_the_script_is_found_wherever_the_runner_lies(repo: Path, tmp_path: Path, house: Path, code: str) -> None:
    image = tmp_path / "image.zip"
    with zipfile.ZipFile(image, "w") as archive:
        for folder in ("gates", "hosts", "jobs/runner"):
            for path in (house / folder).rglob("*.py"):
                archive.write(path, path.relative_to(house))
        archive.writestr("jobs/__init__.py", "")
    said = subprocess.run(
        [sys.executable, "-I", "-c", code, image, repo], capture_output=True, text=True, check=False, cwd="/"
    )
    assert (said.stdout, said.stderr) == ("None\n", "")

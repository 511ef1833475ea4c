"""Text from outside is hostile: whatever stands in files, names and logs, no control sequence reaches a terminal."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.peers.quick import MODEL, Quick, git, manifest_text, old_run, write_cell
from tests.peers.terminal import Terminal
from tui.cli.main import main

# Real runs, each of several processes: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)

EVIL = "\x1b]0;pwned\x07\x1b[2J[bold red]x[/foo][@click=app.bell]\r\nok\x9b31m\u202egpj\u2066\u200b\x7f"
BIDI = "st\u202ege[1]"  # what may stand in the name of a folder and of a git branch
TOKEN = "hf_" + "abcdefghij0123456789"

# Bytes that a terminal obeys, or that lie about order and width; newlines are ours.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f]")


def assert_clean(data: bytes) -> str:
    text = data.decode("utf-8")
    assert RAW.findall(text) == []
    return text


def stage_text(title: str) -> str:
    return manifest_text().replace("title: Quick a", f"title: {json.dumps(title)}")


@pytest.fixture
def evil(quick: Quick) -> Quick:
    """A checkout whose every text is hostile."""
    quick.manifest.write_text(stage_text(EVIL) + manifest_text(["b_speed"]).replace("b_speed:", f"{json.dumps(BIDI)}:"))
    quick.config.write_text(
        quick.config.read_text().replace('description: "', f'description: "{escaped(EVIL)} {TOKEN} ')
    )
    (quick.folder / "hosts").mkdir()
    profile = f'name: "{escaped(EVIL)}"\nhostname: far\nrepo_root: "/x/{escaped(EVIL)}"\n'
    (quick.folder / "hosts" / "evil.yaml").write_text(profile)
    (quick.folder / "models" / f"m{BIDI}").mkdir()
    (quick.folder / "models" / f"m{BIDI}" / "config.yaml").write_text(f"{json.dumps(EVIL)}: 1\n")
    git(quick.folder, "checkout", "--quiet", "-b", "branch-\u202e-\u200b")
    return quick


def escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def hostile_run(quick: Quick) -> Path:
    run = old_run(quick.runs / f"r {EVIL.replace('/', '')}")
    write_cell(run, "a_speed", 1, status="failed", reason=f"{EVIL} {TOKEN}")
    write_cell(run, "a_speed", 2, git_sha=EVIL)
    (run / "b_wer" / "run1.json").write_text(f'{{"a": {EVIL}')
    event = {"v": 1, "id": "01M7XPG8Y0MJE1YJW7TQ0X7FRN", "seq": 1, "at": "2026-05-25T02:43:02Z"}
    data = {"why": "halt", "detail": f"{EVIL} {TOKEN}"}
    (run / "events.jsonl").write_text(json.dumps({**event, "writer": None, "kind": "run.halted", "data": data}) + "\n")
    return run


@pytest.mark.parametrize(
    "words", [["models"], ["stages", "--model", MODEL], ["audit"], ["status"]], ids=lambda words: words[0]
)
def test_what_is_shown_of_a_hostile_checkout(words: list[str], evil: Quick) -> None:
    run = hostile_run(evil)
    more = ["--run-dir", str(run)] if words[0] in ("audit", "status") else []
    done = evil.gatewatch("calibrate", *words, *more)
    shown = assert_clean(done.out) + assert_clean(done.err)
    assert "Traceback" not in shown
    assert "unexpected" not in shown
    assert TOKEN not in shown
    as_json = evil.gatewatch("calibrate", *words, *more, "--json")
    assert as_json.code == done.code
    assert_clean(as_json.err)
    assert as_json.out.isascii()
    assert RAW.findall(as_json.text) == []
    assert TOKEN not in as_json.text
    assert as_json.json()


def test_what_was_hostile_is_still_to_be_seen(evil: Quick) -> None:
    shown = evil.gatewatch("calibrate", "audit", "--run-dir", str(hostile_run(evil)))
    assert "[bold red]x[/foo][@click=app.bell]" in shown.said + shown.text
    assert "\\x1b]0;pwned\\x07\\x1b[2J" in shown.said  # the gate has spelled it out already
    models = evil.gatewatch("calibrate", "models").text
    assert "m" + BIDI.replace("\u202e", "\\u202e") in models
    assert "\\u202egpj\\u2066\\u200b␡" in models
    assert "hf_‹redacted›" in models


def test_the_hosts(evil: Quick) -> None:
    done = evil.gatewatch("hosts", "list")
    assert done.code == 0
    assert "␛]0;pwned" in assert_clean(done.out)
    assert_clean(done.err)
    assert evil.gatewatch("hosts", "list", "--json").out.isascii()


@pytest.mark.parametrize(
    "words",
    [
        ["calibrate", EVIL],
        ["calibrate", "audit", "--run-dir", EVIL],
        ["calibrate", "audit", "--run-dir", f"{EVIL[:9]}:x"],
        ["calibrate", "audit", "--root", EVIL],
        ["calibrate", "stages", "--model", EVIL],
        ["calibrate", "run", "--stages", EVIL, "--repeats", "1", "--model", MODEL],
        ["calibrate", "run", "--stages", "ALL", "--repeats", EVIL],
        ["calibrate", "run", "--stages", "ALL", "--repeats", "1", "--model", MODEL, "--venv-python", EVIL],
        ["calibrate", "run", "--stages", "ALL", "--repeats", "1", "--model", MODEL, "--output-dir", EVIL],
        ["calibrate", "run", "--resume", "--output-dir", EVIL],
        ["calibrate", "run", "--host", EVIL + "x"],
        ["hosts", "list", "--host", EVIL + "x"],
    ],
    ids=lambda words: words[-2] if len(words) > 2 else "word",
)
def test_what_was_typed_is_told_in_one_clean_line(words: list[str], evil: Quick) -> None:
    done = evil.gatewatch(*words)
    assert done.code == 2
    text = assert_clean(done.err)
    assert text.count("\n") == 1
    assert text.startswith("gatewatch: error: ")
    assert "Traceback" not in text


def hostile_project(quick: Quick) -> None:
    """Its settings and its branch are hostile, and it can run."""
    auto = f'auto_env:\n  EVIL: "{escaped(EVIL)}"\n  MY_TOKEN: {TOKEN}'
    quick.config.write_text(quick.config.read_text().replace("auto_env:", auto))
    quick.manifest.write_text(stage_text(EVIL))
    git(quick.folder, "checkout", "--quiet", "-b", "branch-\u202e-\u200b")
    quick.commit(EVIL.replace("\0", ""))


def test_a_run_of_a_hostile_project_without_a_terminal(quick: Quick) -> None:
    hostile_project(quick)
    done = quick.run(name="r [bold]\u202e[foo]", repeats=1)
    assert done.code == 0, done.said
    assert "STRICT + GIT: READY" in assert_clean(done.out)
    assert "EVIL=?]0;pwned" in assert_clean(done.err)
    assert TOKEN not in done.said


def test_a_run_of_a_hostile_project_on_a_terminal(quick: Quick) -> None:
    hostile_project(quick)
    words = (
        "calibrate",
        "run",
        "--stages",
        "ALL",
        "--repeats",
        "1",
        "--output-dir",
        str(quick.runs / "r [bold]\u202e[foo]"),
    )
    with Terminal(quick.argv(*words), quick.folder, {**os.environ, **quick.env}) as screen:
        assert screen.wait() == 0
    assert b"\x1b]" not in screen.output  # a title, a clipboard, a link
    assert b"\x07" not in screen.output
    assert b"\x1b[2J" not in screen.output
    shown = screen.text.replace("\r\n", "\n").replace("\r", "\n")
    assert RAW.findall(shown) == []
    assert "[bold red]x[/foo][@click=app.bell]" in shown.replace("\n", "")
    assert TOKEN not in screen.text


@pytest.mark.parametrize(
    "key", ["model", "stages", "repeats", "calibration_git_sha", "timestamp", "run_id", "reference", "host", "root"]
)
def test_nothing_of_a_plan_is_trusted(key: str, quick: Quick, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    values: list[Any] = [EVIL, [EVIL], {EVIL: EVIL}, -1, 10**400, True, None, [], "", TOKEN]
    run = old_run(quick.runs / "p")
    (run / "a_speed" / "run1.json").unlink()
    plan = json.loads((run / "plan.json").read_bytes())
    for value in values:
        (run / "plan.json").write_text(json.dumps({**plan, key: value}))
        for word in ("status", "audit"):
            code = main(["calibrate", word, "--run-dir", str(run), "--root", str(quick.folder)])
            out, err = capfdbinary.readouterr()
            shown = assert_clean(out) + assert_clean(err)
            assert "unexpected" not in shown
            assert TOKEN not in shown
            assert code in (1, 2, 3)
            assert err.count(b"\n") == 1 if code == 2 else out

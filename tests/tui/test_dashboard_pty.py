"""A real terminal with the dashboard in it, over a run whose every text is hostile: what is written is ours alone."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from hosts.local.procs import self_ref
from tests.monitors.runs import RunFolder
from tests.peers.quick import until
from tests.tui.logs.corpus import bombs
from tests.tui.logs.terminals import Screen, clean_afterwards, strangers

pytestmark = pytest.mark.timeout(240)
PATIENCE_S = 60.0


def hostile(word: str) -> str:
    """Something that a terminal or a reader of markup would obey, around a word to find it by."""
    return f"\x1b]0;owned\x07\x9b2J\x1b[41m[red]{word}[/red]\u202e\u200b\x00\x7f\r"


def named(word: str) -> str:
    """The same where a line must stay a line, and a file name a file name."""
    return hostile(word).replace("\x00", "").replace("\r", "").replace("/", "")


def keyed(word: str) -> str:
    """The same where a plan takes no control character."""
    return f"[red]{word}\u202e\u200b[/]".replace("/", "")


def write_run(folder: Path) -> RunFolder:
    """A run at work; whatever a person or a program may write into it is hostile."""
    run = RunFolder(folder / named("run"))
    run.root.mkdir(parents=True)
    stages, unit = (keyed("accuracy"), keyed("speed")), keyed("unit")
    log = f"_pytest/{unit}/run2.log"
    listed = [{"key": unit, "test": f"tests/{named('test')}.py", "stages": list(stages)}]
    run.plan(stages, 3, model=keyed("model"), units=listed, venv_python=hostile("python"))
    more: Any = {"git_sha": hostile("sha"), "recorded_at": hostile("when"), "duration_s": 3.0}
    run.cell(stages[0], 1, status="failed", reason=hostile("reason"), metrics={hostile("metric"): None}, **more)
    run.cell(stages[1], 1, metrics={"accuracy": 0.5}, **more)
    run.write("environment-fingerprint.json", {"hostname": hostile("host"), "image": hostile("image")})
    run.lock(self_ref())
    run.note("run.started", model=hostile("model"))
    run.note("unit.waiting", unit=unit, run=2, why=hostile("waits"))
    run.note("attempt.started", unit=unit, run=2, log=log, stages=list(stages), gpus=[hostile("gpu")])
    run.note(hostile("kind"), unit=hostile("other"))
    told = [f"{what} {named('job')} 1/3 {named('said')}" for what in ("START", "FAIL", "PASS")]
    (run.root / "run.log").write_text("".join(f"2026-05-25T02:43:02Z {line}\n" for line in [*told, named("line")]))
    path = run.root / log
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(bomb.data + b"\n" for bomb in bombs() if bomb.encoding == "utf-8") + b"the end of it\n")
    return run


def test_nothing_of_a_run_reaches_the_terminal(house: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path)
    listed = [{"run": str(run.root), "title": "a\u202e[red]title"}, {"run": str(tmp_path / named("no"))}]
    (tmp_path / "gatewatch.yaml").write_text(json.dumps({"watch": listed}))
    with Screen([sys.executable, str(house / "gatewatch.py")], tmp_path, (40, 160)) as screen:
        screen.until("WATCH", PATIENCE_S)
        screen.until("title", PATIENCE_S)
        for keys, words in (
            (b"G\r", "supervision"),
            (b"e", "50 of 50 samples"),
            (b"l", "the end of it"),
            (b"\r", "a lower bound"),
            (b"}", "speed"),
            (b"\x1b", "supervision"),
            (b"3gyz", "said"),
            (b"?", "keys: job"),
            (b"q", "job"),
            (b"ANR", "read-only: start with --act"),
        ):
            screen.press_and_see(keys, words)
        seen = len(screen.text)
        while "WATCH" not in screen.text[seen:]:
            painted = len(screen.output)
            screen.press(b"\x1b")
            until(lambda painted=painted: len(screen.output) > painted, "one layer less")  # type: ignore[misc]
        screen.process.send_signal(signal.SIGTERM)  # a letter behind an escape would be another key
        assert screen.wait() == -signal.SIGTERM
        assert strangers(screen.output) == []
        clean_afterwards(screen)

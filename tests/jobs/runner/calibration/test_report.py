"""What a report asks its host: HEAD, history, evidence in real logs; and the one file that it writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import InputError
from hosts.host import Json
from hosts.local.files import WriteError
from jobs.runner.calibration import report
from jobs.runner.calibration.report import history, write_report
from tests.peers.quick import Quick, git, old_run, quick_checkout, tree


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Quick]:
    with quick_checkout(tmp_path) as made:
        yield made


def ask(run: Path, **more: Json) -> dict[str, Any]:
    answer = history({"run_dir": str(run), "until": "0" * 40, **more})
    assert isinstance(answer, dict)
    return answer


def test_report_md_is_written_and_nothing_else(quick: Quick) -> None:
    run = old_run(quick.runs / "r")
    before = tree(quick.folder)
    answer = write_report({"folder": str(run), "text": "# a\n"})
    assert isinstance(answer, dict)
    assert (answer["path"], answer["changed"]) == (str(run / "report.md"), True)
    after = dict(tree(quick.folder))
    assert after.pop(".tune-runs/r/report.md")[2] == b"# a\n"
    assert after == before
    again = write_report({"folder": str(run), "text": "# a\n"})
    assert isinstance(again, dict)
    assert again["changed"] is False


def test_only_a_run_directory_gets_a_report(tmp_path: Path) -> None:
    for folder in (str(tmp_path), str(tmp_path / "none"), "relative"):
        with pytest.raises(InputError):
            write_report({"folder": folder, "text": "x"})
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_followed(quick: Quick, tmp_path: Path) -> None:
    run = old_run(quick.runs / "r")
    other = tmp_path / "precious"
    other.write_text("keep")
    (run / "report.md").symlink_to(other)
    with pytest.raises(WriteError):
        write_report({"folder": str(run), "text": "x"})
    assert other.read_text() == "keep"


def test_head_of_the_repository_that_the_run_lies_in(quick: Quick) -> None:
    run = old_run(quick.runs / "r")
    answer = ask(run)
    assert answer["head"] == git(quick.folder, "rev-parse", "HEAD").strip()
    assert (answer["repo"], answer["since"]) == (str(quick.folder), None)


def test_a_run_outside_of_git(tmp_path: Path) -> None:
    run = old_run(tmp_path / "r")
    answer = ask(run)
    assert (answer["head"], answer["head_problem"]) == (None, "the run lies in no git repository")
    with pytest.raises(InputError, match="no git repository"):
        ask(run, since="a" * 40)


def test_commits_since(quick: Quick) -> None:
    run = old_run(quick.runs / "r")
    first = git(quick.folder, "rev-parse", "HEAD").strip()
    (quick.folder / "new.txt").write_text("x")
    second = quick.commit("graph | replay\n\nbody")
    git(quick.folder, "config", "log.showSignature", "true")
    git(quick.folder, "config", "log.decorate", "full")
    since = ask(run, since=first[:10], until=second)["since"]
    assert (since["base"], since["count"], since["files"], since["problem"]) == (first, 1, 1, "")
    assert [(commit["sha"], commit["subject"]) for commit in since["commits"]] == [(second, "graph | replay")]
    git(quick.folder, "tag", "-a", "last-calibration", "-m", "x", first)
    for name in ("last-calibration", "HEAD~1", "main^", first[:7], first.upper()[:9].lower()):
        assert ask(run, since=name, until=second)["since"]["base"] == first, name
    back = ask(run, since=second, until=first)["since"]
    assert (back["count"], back["problem"]) == (0, f"the calibration's commit was not built on {second}")


@pytest.mark.parametrize(
    "name", ["--upload-pack=x", "a" * 40, "", " ", "ab", "x" * 40, "HEAD:tests", "a\nb", "x" * 300]
)
def test_what_is_no_commit_is_refused(quick: Quick, name: str) -> None:
    run = old_run(quick.runs / "r")
    with pytest.raises(InputError):
        ask(run, since=name)


def test_a_calibration_whose_commit_is_not_there(quick: Quick) -> None:
    head = git(quick.folder, "rev-parse", "HEAD").strip()
    since = ask(old_run(quick.runs / "r"), since=head, until="0" * 40)["since"]
    assert "is not in" in since["problem"]
    assert "count" not in since


def evidence(run: Path, *wanted: tuple[str, str, list[str]]) -> dict[str, list[Any]]:
    asked: Json = [{"name": name, "regex": regex, "logs": list(logs)} for name, regex, logs in wanted]
    return {item["name"]: item["logs"] for item in ask(run, evidence=asked)["evidence"]}


def test_evidence_in_the_logs(quick: Quick) -> None:
    run = old_run(quick.runs / "r")
    folder = run / "_pytest" / "u"
    folder.mkdir(parents=True)
    (folder / "run1.log").write_bytes(b"start\ncuda graph: True\nend\xff\n")
    (folder / "run2.log").write_bytes(b"10%\r20%\rcuda graph: True\r100%")
    (folder / "run3.log").write_bytes(b"nothing\n")
    logs = [f"_pytest/u/run{number}.log" for number in (1, 2, 3, 4)]
    found = evidence(run, ("graph", r"cuda graph: \w+", logs), ("end", "^end", logs[:1]))
    assert [(log["found"], log["line"]) for log in found["graph"]] == [
        (True, 2),
        (True, 1),
        (False, None),
        (None, None),
    ]
    assert found["graph"][1]["detail"] == "cuda graph: True"
    assert found["graph"][3]["detail"] == "_pytest/u/run4.log is not there"
    assert found["end"][0]["line"] == 3


def test_evidence_never_leaves_the_run(quick: Quick, tmp_path: Path) -> None:
    run = old_run(quick.runs / "r")
    secret = tmp_path / "secret"
    secret.write_text("token")
    (run / "link.log").symlink_to(secret)
    found = evidence(run, ("x", "token", ["../../../secret", str(secret), "link.log"]))
    assert [log["found"] for log in found["x"]] == [None, None, None]


def test_a_long_log_is_read_at_its_ends(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PART", 4096)
    run = old_run(quick.runs / "r")
    (run / "l.log").write_bytes(b"head\n" + b"x" * 9000 + b"\nmiddle\n" + b"y" * 9000 + b"\ntail\n")
    found = evidence(run, *((word, word, ["l.log"]) for word in ("head", "middle", "tail")))
    assert [(found[word][0]["found"], found[word][0]["line"]) for word in ("head", "middle", "tail")] == [
        (True, 1),
        (None, None),  # nobody looked there, so it is not denied
        (True, None),
    ]


def test_a_regex_that_is_none(quick: Quick) -> None:
    with pytest.raises(InputError, match="regular expression"):
        evidence(old_run(quick.runs / "r"), ("x", "(", []))


def test_a_log_that_cannot_be_read(quick: Quick) -> None:
    run = old_run(quick.runs / "r")
    os.mkfifo(run / "pipe.log")
    (run / "folder.log").mkdir()
    found = evidence(run, ("x", "x", ["pipe.log", "folder.log"]))
    assert [log["found"] for log in found["x"]] == [None, None]

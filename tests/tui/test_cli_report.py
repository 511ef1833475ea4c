"""`calibrate report`: refused until both gates pass, then written where the run lies; and what is exported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.peers.quick import SHA, Quick, git, old_run, tree, write_cell
from tui.cli.main import main


@pytest.fixture
def checkout(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Quick:
    monkeypatch.chdir(quick.folder)
    return quick


def report(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(("calibrate", "report", *words))
    return (code, *capsys.readouterr())


def test_an_old_run_gets_its_report_and_nothing_else(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    before = tree(checkout.folder)
    code, out, err = report(capsys, "--run-dir", "o")
    head = git(checkout.folder, "rev-parse", "HEAD").strip()
    assert (code, out) == (0, f"{run}/report.md\n")
    assert f"HEAD is {head}, no longer the calibration's commit {SHA}" in err
    text = (run / "report.md").read_text()
    assert text.startswith(f"# CI Threshold Observation Report\n\n**Calibration commit:** {SHA}\n")
    assert "## Applied changes" not in text
    after = dict(tree(checkout.folder))
    del after[".tune-runs/o/report.md"]
    assert after == before


def test_json_and_read_only_write_nothing(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    before = tree(checkout.folder)
    code, out, _ = report(capsys, "--json")
    data: Any = json.loads(out)
    assert code == 0
    assert (data["run_dir"], data["calibration_git_sha"], data["repeats"]) == (str(run), SHA, 2)
    assert [stage["stage_key"] for stage in data["stages"]] == ["a_accuracy", "a_speed", "b_wer"]
    assert data["stages"][1]["rows"][0] == {
        "run": 1,
        "total": 50,
        "ok": 50,
        "values": {"throughput_qps": 0.9},
        "shown": {"throughput_qps": "0.9000"},
    }
    code, out, _ = report(capsys, "--read-only")
    assert code == 0
    assert out.startswith("# CI Threshold Observation Report\n")
    assert tree(checkout.folder) == before


@pytest.mark.parametrize(
    ("cell", "reason"),
    [({"metrics": {"throughput_qps": None}}, "strict: "), ({"git_sha": "f" * 40}, "provenance: ")],
)
def test_a_run_that_is_not_ready(
    checkout: Quick, capsys: pytest.CaptureFixture[str], cell: dict[str, Any], reason: str
) -> None:
    run = old_run(checkout.runs / "o")
    (run / "report.md").write_text("the old one\n")
    write_cell(run, "a_speed", 2, **cell)
    before = tree(checkout.folder)
    code, out, err = report(capsys)
    assert (code, out) == (1, "")
    assert "not ready" in err
    assert reason in err
    code, out, _ = report(capsys, "--json", "--export", "x")
    assert code == 1
    data = json.loads(out)
    assert data["error"] == "run_not_ready"
    assert any(line.startswith(reason) for line in data["reasons"])
    assert tree(checkout.folder) == before


def test_export_writes_the_same_bytes_and_commits_nothing(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    head = git(checkout.folder, "rev-parse", "HEAD")
    code, out, _ = report(capsys, "--export", "out/here")
    folder = checkout.folder / "out" / "here"
    assert code == 0
    assert out.split() == [str(run / "report.md"), str(folder / "report.md"), str(folder / "pull-request.md")]
    assert (folder / "report.md").read_bytes() == (run / "report.md").read_bytes()
    assert "No threshold was changed." in (folder / "pull-request.md").read_text()
    assert git(checkout.folder, "rev-parse", "HEAD") == head
    assert git(checkout.folder, "diff", "--cached", "--name-only") == ""


def test_since_without_a_commit_of_that_name(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    old_run(checkout.runs / "o")
    code, out, err = report(capsys, "--since", "--output=x")
    assert (code, out) == (2, "")
    code, out, err = report(capsys, "--since", "f" * 40)
    assert (code, out) == (2, "")
    assert "is not in" in err


def test_since_a_tag_or_a_short_id(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    base = git(checkout.folder, "rev-parse", "HEAD").strip()
    git(checkout.folder, "tag", "last")
    sha = checkout.commit("more")
    run = old_run(checkout.runs / "o", calibration_git_sha=sha, git_sha=sha)
    for path in run.glob("*/run*.json"):
        path.write_text(path.read_text().replace(SHA, sha))
    for name in ("last", base[:8], "HEAD~1"):
        code, out, _ = report(capsys, "--since", name, "--read-only")
        assert code == 0
        assert f"## Since {base}" in out
        assert "1 commit, 0 files changed." in out


def test_a_real_run_over_a_hop_with_history_evidence_and_an_apply(checkout: Quick) -> None:
    """The whole way: calibrate, commit, look back, with the run on a host whose files are read by verbs alone."""
    base = git(checkout.folder, "rev-parse", "HEAD").strip()
    evidence = (
        'evidence:\n  passes: {regex: "1 passed", stages: [a]}\n  never: {regex: "cuda graph", stages: ["@wer"]}\n'
    )
    checkout.config.write_text(checkout.config.read_text() + evidence)
    checkout.hop()
    head = checkout.commit("faster | `kernels`")
    done = checkout.run()
    assert done.code == 0, done.said
    run = checkout.runs / "r"
    journal = {
        "state": "done",
        "files": [
            {
                "path": "tests/test_quick_b.py",
                "edits": [
                    {"stage": "b_wer", "source": "QUICK", "old": "0.1", "new": "0.05", "direction": "tightens (-50.0%)"}
                ],
            }
        ],
    }
    (run / ".gatewatch" / "apply" / "1").mkdir(parents=True)
    (run / ".gatewatch" / "apply" / "1" / "journal.json").write_text(json.dumps(journal))
    told = checkout.gatewatch("calibrate", "report", "--host", "hop", "--run-dir", str(run), "--since", base)
    assert told.code == 0, told.said
    text = (run / "report.md").read_text()
    assert f"**Calibration commit:** {head}" in text
    assert "no longer" not in text
    assert "1 commit, 2 files changed." in text
    assert "`` faster | `kernels` ``" in text
    assert "| `passes` | `1 passed` | seen | 2 of 2 logs" in text
    assert "| `never` | `cuda graph` | **not seen** |" in text
    table = "| `b_wer` | `QUICK` | `0.1` | `0.05` | tightens (-50.0%) |"
    assert text.index("## Applied changes") < text.index(table) < text.index("## Provenance")
    assert "4 attempts for 4 observations, 0 infrastructure failures; counted from every launch in the journal." in text


def test_nothing_there(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys)[0] == 2
    assert report(capsys, "--run-dir", "none")[0] == 2

"""The benchmarks run, and what they count is what it should be; how long things take is asserted nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.peers import sshd


def bench(house: Path, *words: str) -> Any:
    done = subprocess.run([sys.executable, *words, "--json"], cwd=house, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize(("journal", "read"), [([], 1), (["--journal"], 2)], ids=["old run", "with a journal"])
def test_one_changed_file_is_the_only_one_read_again(journal: list[str], read: int, house: Path) -> None:
    figures = bench(house, "bench/audit.py", "--stages", "4", "--repeats", "3", "--rounds", "2", *journal)
    assert (figures["files"], figures["strict_ready"], figures["one_files_read"]) == (12, "4/4", read)
    assert set(figures["wall_s"]) == {
        "observe",
        "fold",
        "audit",
        "one_observe",
        "one_fold",
        "peer_json_load",
        "peer_find",
    }


def test_missing_data_are_said_and_nothing_is_measured(house: Path, tmp_path: Path) -> None:
    words = [sys.executable, "bench/audit.py", "--run-dir", str(tmp_path / "none")]
    done = subprocess.run(words, cwd=house, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"no data: {tmp_path / 'none'} holds no plan.json, so nothing was measured\n"


def test_hosts_that_hang_keep_nobody_from_watching_the_others(house: Path) -> None:
    few = ("--hosts", "14", "--bad", "6", "--stages", "2", "--rounds", "2", "--rest", "0.1", "--ssh", "1", "--far", "0")
    (run,) = (figures := bench(house, "bench/hosts_many.py", *few))["runs"]
    assert (run["whole"], run["blind"], run["artifacts"]) == (8, 6, 10)
    assert all(run[part]["cpu_s"] >= 0 for part in ("connected", "helpers_up", "first_look", "poll", "accelerators"))
    assert ("ssh_cpu_s" in figures) == (sshd.SSHD is not None)


def test_the_start_is_measured_beside_a_python_that_does_nothing(house: Path) -> None:
    figures = bench(house, "bench/startup.py", "--rounds", "1")
    modules = figures["modules"]
    assert modules["python -c pass"] < modules["gatewatch --version"] < modules["gatewatch calibrate audit (9 cells)"]


def logs(house: Path, folder: Path, *words: str, path: str | None = None) -> tuple[Any, list[str]]:
    """The figures of bench/logs.py for ours alone, small and rough, and what it says on the way."""
    # A terminal of the benchmark's own has its own size, whatever size the one around us has
    env = {**os.environ, "TMPDIR": str(folder), "LINES": "24", "COLUMNS": "80"}
    env |= {"PATH": path} if path is not None else {}
    argv = [sys.executable, "bench/logs.py", "--quick", "--json", *words]
    done = subprocess.run(argv, cwd=house, env=env, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []  # what was made for the run is gone
    return json.loads(done.stdout), done.stderr.splitlines()


@pytest.mark.timeout(180)
def test_a_log_is_shown_counted_searched_and_filtered(house: Path, tmp_path: Path) -> None:
    figures, _ = logs(house, tmp_path, "--parts", "still", "--viewers", "gatewatch")
    (still,) = figures["still"]
    found = still["viewers"]["gatewatch"]
    assert [name for name, value in found.items() if value is None] in ([], ["cancel"])  # a small log is soon searched
    assert found["first_content"] <= found["answers"]
    assert found["search"] <= found["sought"]


@pytest.mark.timeout(180)
def test_a_growing_log_is_followed_to_its_last_line(house: Path, tmp_path: Path) -> None:
    figures, said = logs(house, tmp_path, "--parts", "follow,pipe", "--viewers", "gatewatch")
    found = figures["follow"][0]["viewers"]["gatewatch"]
    assert (found["right"], found["moved"]) == (True, 0)
    assert found["lag"] is not None
    assert all(one["same_bytes"] and one["lines"] == one["written"] for one in figures["pipe"][0]["viewers"].values())
    assert all("load" in one for one in (*figures["pipe"][0]["viewers"].values(), found))
    assert any("gatewatch, load " in line for line in said)


def test_a_peer_that_is_missing_is_said(house: Path, tmp_path: Path) -> None:
    figures, said = logs(house, tmp_path, "--parts", "none", "--viewers", "toolong,lnav,less", path="/nowhere")
    missing = ["toolong: not measured: give --peers to install toolong==1.5.0 into a folder of its own, or --toolong"]
    missing += [f"{name}: not measured: {name} is not installed" for name in ("lnav", "less")]
    missing += ["ripgrep: not measured: rg is not installed"]
    assert [line.removesuffix(" COMMAND") for line in figures["missing"]] == missing
    assert [line.strip().removesuffix(" COMMAND") for line in said] == missing


@pytest.mark.timeout(240)
def test_the_dashboard_is_measured_beside_the_smallest_app(house: Path) -> None:
    words = [sys.executable, "bench/dashboard.py", "--quick", "--json"]
    done = subprocess.run(words, cwd=house, capture_output=True, text=True, timeout=230)
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout)
    for part in ("start", "rest"):
        assert set(figures[part]) == {"bare app", "6 artifacts"}
    assert figures["start"]["6 artifacts"]["first_s"] <= figures["start"]["6 artifacts"]["whole_s"]
    keys = figures["keys"]
    assert (len(keys["still_s"]), len(keys["growing_s"])) == (6, 6)
    assert keys["log_grew_bytes"] > 0


@pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")
def test_a_log_on_another_host_is_searched_there_and_stays_there(house: Path) -> None:
    searches = bench(house, "bench/logs_far.py", "--size", "6", "--rounds", "1")["searches"]
    for ways in searches.values():
        assert len({one["hits"] for one in ways.values()}) == 1
        assert ways["there"]["received"] < 1e6 < ways["here"]["received"]


@pytest.mark.timeout(120)
def test_a_pane_that_nobody_sees_is_counted_and_neither_read_nor_painted(house: Path) -> None:
    figures = bench(house, "bench/logs_hidden.py", "--rate", "20000", "--seconds", "1")
    alone, hidden, shown = (figures[name] for name in ("counting alone", "pane nobody sees", "pane on the screen"))
    assert (alone["right"], hidden["right"], shown["right"]) == (True, True, True)
    assert (hidden["rows"], hidden["loads"]) == (0, 0)
    assert hidden["filtered"] == 0 < shown["filtered"]
    assert shown["rows"] > 0 < shown["loads"]

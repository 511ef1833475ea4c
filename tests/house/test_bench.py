"""The benchmarks run, and what they count is what it should be; how long things take is asserted nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


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


def test_the_start_is_measured_beside_a_python_that_does_nothing(house: Path) -> None:
    figures = bench(house, "bench/startup.py", "--rounds", "1")
    modules = figures["modules"]
    assert modules["python -c pass"] < modules["gatewatch --version"] < modules["gatewatch calibrate audit (9 cells)"]

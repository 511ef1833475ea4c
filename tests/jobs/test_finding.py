"""Looking for runs below a folder: what counts as one, and that no folder makes the search endless."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.finding import SKIPPED, Bounds, Finder, Found, find_runs, find_workspace

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a run directory, each with a newer plan than the one before."""
    made: list[Path] = []

    def run(name: str, when: float | None = None) -> Path:
        path = tmp_path / name
        path.mkdir(parents=True)
        plan = path / "plan.json"
        plan.write_text("{}")
        at = 1_700_000_000 + len(made) if when is None else when
        os.utime(plan, (at, at))
        made.append(path)
        return path

    return run


def names(found: Found, folder: Path) -> list[str]:
    return [os.path.relpath(run, folder) for run in found.runs]


def test_runs_of_every_project_below_newest_first(make: Make, tmp_path: Path) -> None:
    make("a/.tune-runs/old")
    make("b/c/.tune-runs/new")
    make(".tune-runs/newest")
    make("a/no-run")  # a plan.json anywhere else is somebody else's plan
    (tmp_path / "a/.tune-runs/empty").mkdir()
    (tmp_path / "a/.tune-runs/file").write_text("")
    found = find_runs(str(tmp_path))
    assert names(found, tmp_path) == [".tune-runs/newest", "b/c/.tune-runs/new", "a/.tune-runs/old"]
    assert (found.stopped, found.unreadable, found.left_out, found.note) == ("", 0, 0, "")


def test_the_folder_itself_may_be_a_run_or_hold_them(make: Make, tmp_path: Path) -> None:
    run = make(".tune-runs/r")
    assert find_runs(str(run)).runs == (str(run),)
    assert find_runs(str(run.parent)).runs == (str(run),)


def test_a_run_above_is_found_from_within_its_repository(make: Make, tmp_path: Path) -> None:
    run = make("repo/.tune-runs/r")
    below = tmp_path / "repo/tests/unit"
    below.mkdir(parents=True)
    assert find_runs(str(below)).runs == (str(run),)
    (tmp_path / "repo/tests/.git").mkdir()
    assert find_runs(str(below)).runs == ()


@pytest.mark.parametrize("name", [".git", ".venv", "__pycache__", ".cache", *sorted(SKIPPED)])
def test_what_nobody_keeps_a_project_in_is_not_searched(name: str, make: Make, tmp_path: Path) -> None:
    make(f"{name}/.tune-runs/r")
    assert find_runs(str(tmp_path)).runs == ()


def test_links_are_not_followed_but_for_the_folder_of_runs(make: Make, tmp_path: Path) -> None:
    run = make("disk/runs/r")
    project = tmp_path / "work/project"
    project.mkdir(parents=True)
    (project / ".tune-runs").symlink_to(tmp_path / "disk/runs")
    (project / "loop").symlink_to(project)
    (tmp_path / "work/same").symlink_to(project)
    (tmp_path / "disk/runs/again").symlink_to(run)
    make("other/project/.tune-runs/of-another")
    (tmp_path / "work/out").symlink_to(tmp_path / "other")
    (tmp_path / "disk/runs/nowhere").symlink_to(tmp_path / "none")
    found = find_runs(str(tmp_path / "work"))
    assert len(found.runs) == 1, "one folder is one run, whatever its names"
    assert os.path.samefile(found.runs[0], run)
    assert len(found.folders) == 1


def test_it_ends_at_its_bounds_and_says_so(make: Make, tmp_path: Path) -> None:
    for number in range(30):
        make(f"p{number}/.tune-runs/r")
    few = find_runs(str(tmp_path), Bounds(entries=35))
    assert few.stopped == "35 names"
    assert 0 < len(few.runs) < 30
    assert few.note == "the search stopped after 35 names"
    newest = find_runs(str(tmp_path), Bounds(runs=4))
    assert names(newest, tmp_path) == [f"p{number}/.tune-runs/r" for number in (29, 28, 27, 26)]
    assert newest.note == "26 older runs are not shown"
    clock = iter(range(10_000))
    late = find_runs(str(tmp_path), Bounds(seconds=20), lambda: float(next(clock)))
    assert late.stopped == "20 s"
    assert find_runs(str(tmp_path), Bounds(depth=0)).runs == ()


def test_no_deeper_than_its_depth(make: Make, tmp_path: Path) -> None:
    make("a/b/c/.tune-runs/r")
    assert find_runs(str(tmp_path), Bounds(depth=2)).runs == ()
    assert len(find_runs(str(tmp_path), Bounds(depth=3)).runs) == 1


def test_what_may_not_be_read_is_counted(anybody: None, make: Make, tmp_path: Path) -> None:
    make("a/.tune-runs/r")
    (tmp_path / "b").mkdir(mode=0)
    found = find_runs(str(tmp_path))
    assert (len(found.runs), found.unreadable, found.note) == (1, 1, "1 folder could not be read")


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    found = find_runs(str(tmp_path / "none"))
    assert (found.runs, found.unreadable) == ((), 1)


@pytest.mark.parametrize("name", ["[red]x", "\x1b]0;t\x07", "a\nb", "\udcff", "x" * 200])
def test_a_run_may_be_called_anything(name: str, make: Make, tmp_path: Path) -> None:
    run = make(f".tune-runs/{name}")
    assert find_runs(str(tmp_path)).runs == (str(run),)


def test_a_new_run_is_found_without_searching_everything_again(make: Make, tmp_path: Path) -> None:
    make("a/.tune-runs/r1")
    now = [0.0]
    finder = Finder(str(tmp_path), clock=lambda: now[0])
    assert names(finder.look(), tmp_path) == ["a/.tune-runs/r1"]
    make("a/.tune-runs/r2")
    make("b/.tune-runs/r3")
    first_here = make(".tune-runs/r4")
    now[0] = 5.0
    assert names(finder.look(), tmp_path) == [".tune-runs/r4", "a/.tune-runs/r2", "a/.tune-runs/r1"]
    assert finder.searches == 1
    now[0] = 500.0
    assert len(finder.look().runs) == 4
    assert finder.searches == 2
    (first_here / "plan.json").unlink()
    now[0] = 505.0
    assert len(finder.look().runs) == 3


def test_a_dear_search_is_made_seldom(make: Make, tmp_path: Path) -> None:
    make("a/.tune-runs/r1")
    now = [0.0]

    def clock() -> float:
        now[0] += 0.5
        return now[0]

    finder = Finder(str(tmp_path), Bounds(seconds=100), clock)
    finder.look()
    took = now[0]
    now[0] = 100.0
    finder.look()
    assert finder.searches == 1, f"a search of {took:g} s is not made again after 100 s"


def test_the_nearest_workspace_counts(tmp_path: Path) -> None:
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    assert find_workspace(below) is None
    (tmp_path / "gatewatch.yaml").write_text("")
    assert find_workspace(below) == tmp_path / "gatewatch.yaml"
    (below / "gatewatch.yaml").write_text("")
    assert find_workspace(below) == below / "gatewatch.yaml"

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.layout import cell_path, name_problem, parse_cell_path, stage_problem

pytestmark = pytest.mark.travels


@given(st.text(max_size=20), st.integers(1, 999_999_999))
def test_a_cell_s_path_and_back(stage: str, run: int) -> None:
    found = parse_cell_path(cell_path(stage, run))
    assert found == (None if stage_problem(stage) else (stage, run))


@pytest.mark.parametrize(
    "path",
    [
        "plan.json",
        "run1.json",
        "a/run0.json",
        "a/run01.json",
        "a/run1.json.tmp",
        "a/b/run1.json",
        "_pytest/run1.json",
        "_discarded/run1.json",
        "../run1.json",
        "a/run١.json",
        "a/run1.json\n",
        "a/run9999999999.json",
        "",
    ],
)
def test_other_paths_are_no_cells(path: str) -> None:
    assert parse_cell_path(path) is None


@given(st.text(max_size=10))
def test_a_name_without_a_problem_is_one_part_of_a_path(name: str) -> None:
    if name_problem(name) is None:
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert "\0" not in name
        name.encode()


def test_the_runs_of_many_hosts_share_what_is_read_of_equal_paths() -> None:
    assert parse_cell_path("shared/run3.json") is parse_cell_path("".join(["shared", "/run3.json"]))

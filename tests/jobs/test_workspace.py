"""gatewatch.yaml: what it may say, and what is said of what it may not."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from hosts.errors import InputError
from jobs.workspace import COMMENTED, Workspace, read_workspace, write_workspace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gatewatch.yaml"


def test_what_init_writes_is_what_holds_without_it(tmp_path: Path) -> None:
    path = write_workspace(tmp_path)
    assert read_workspace(path).value == Workspace()
    assert read_workspace(path).warnings == ()


def test_what_init_writes_names_every_key() -> None:
    assert [name for name in Workspace.model_fields if f"{name}:" not in COMMENTED] == []


def test_what_init_explains_can_be_used_as_it_stands(file: Path) -> None:
    lines = COMMENTED.splitlines()
    begin = lines.index("# watch:")
    used = [line.removeprefix("# ") for line in lines[begin : begin + 5]]
    file.write_text("\n".join([*used, "hosts: [h20-a]", ""]))
    read = read_workspace(file)
    assert read.warnings == ()
    assert [one.run or one.below for one in read.value.watch] == [
        ".",
        ".tune-runs/20260525T024302Z_model_r5",
        "h20-a:/data/project/.tune-runs/r5",
    ]


def test_an_existing_one_is_never_written_over(file: Path) -> None:
    file.write_text("mine")
    with pytest.raises(InputError, match="is there already; nothing was changed"):
        write_workspace(file.parent)
    assert file.read_text() == "mine"


def test_a_link_to_nowhere_is_not_written_through(file: Path, tmp_path: Path) -> None:
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is there already"):
        write_workspace(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*No such file or directory"):
        write_workspace(tmp_path / "none")


@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_leaves_nothing_that_stands_in_the_way(file: Path, room: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write .*File too large"):
            write_workspace(file.parent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(file.parent.iterdir()) == []
    assert write_workspace(file.parent) == file
    assert file.read_text() == COMMENTED


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("interval_s: 300\n", ":1: interval_s: input should be less than or equal to 120, found 300"),
        ("\n\ninterval_s: 0\n", ":3: interval_s: input should be greater than 0, found 0"),
        ("interval_s: soon\n", ":1: interval_s: expected a number, found 'soon'"),
        ("read_only: maybe\n", ":1: read_only: expected true or false, found 'maybe'"),
        ("hosts: h20\n", ":1: hosts: expected a list, found 'h20'"),
        ("watch:\n  - run: a\n    below: b\n", ":2: watch[0]: expected either run or below"),
        ("watch:\n  - a\n  - title: x\n", ":3: watch[1]: expected either run or below"),
        ("watch:\n  - below: a\n    title: x\n", ":2: watch[0]: title and model go with run, not with below"),
        ("watch:\n  - run: 'a b:/x'\n", ":2: watch[0].run: bad host name in target"),
        ("watch:\n  - 7\n", ":2: watch[0]: expected a mapping, found 7"),
        ("- a\n", ":1: expected a mapping of keys, found a list"),
        ("a: [\n", ":2: "),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, complaint: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(InputError) as told:
        read_workspace(file)
    assert str(told.value).startswith(f"{file}{complaint}"), told.value
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "watch:\n"])
def test_one_that_says_nothing_is_one_of_defaults(text: str, file: Path) -> None:
    file.write_text(text)
    assert read_workspace(file).value == Workspace()


def test_an_unknown_key_is_a_warning(file: Path) -> None:
    file.write_text("wach: []\n")
    assert read_workspace(file).warnings == (f"{file}:1: unknown key wach (did you mean watch?) is ignored",)


def test_paths_are_relative_to_the_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / ".tune-runs/r5").mkdir(parents=True)
    file.write_text("")
    read = read_workspace(file)
    assert read.resolved("runs/x") == str(tmp_path / "runs/x")
    assert read.resolved("r5") == str(tmp_path / ".tune-runs/r5")
    assert read.resolved("other") == str(tmp_path / "other")
    assert read.resolved("/abs/x") == "/abs/x"
    assert read.resolved("h20-a:/data/r5") == "h20-a:/data/r5"
    assert read.resolved("~/x") == str(Path("~/x").expanduser())

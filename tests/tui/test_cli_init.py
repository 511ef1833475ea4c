"""`gatewatch init`: a file to begin with, and never over one that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.workspace import COMMENTED, Workspace, read_workspace
from tui.cli.main import main


def test_it_writes_one_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    path = tmp_path / "gatewatch.yaml"
    assert capsys.readouterr() == (f"wrote {path}; look at it, then start: gatewatch\n", "")
    assert path.read_text() == COMMENTED
    assert read_workspace(path).value == Workspace()


def test_it_writes_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert main(["init", str(tmp_path / "there")]) == 0
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["gatewatch.yaml"]


def test_it_never_writes_over_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gatewatch.yaml"
    path.write_text("mine: true\n")
    assert main(["init", str(tmp_path)]) == 2
    assert capsys.readouterr() == ("", f"gatewatch: error: {path} is there already; nothing was changed\n")
    assert path.read_text() == "mine: true\n"


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"gatewatch: error: {tmp_path / 'none'}: no such folder\n"

"""gatewatch.yaml: which hosts and runs a person watches, and how (DESIGN, "Files a person writes")."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from hosts.errors import InputError
from hosts.target import parse_target
from hosts.yamldoc import load
from hosts.yamlmodel import FileModel, Items, parse_model
from jobs.finding import WORKSPACE
from jobs.runner.places import RUNS

LONGEST_S = 120.0

Text = Annotated[str, StringConstraints(min_length=1)]


def _target(text: str) -> str:
    try:
        parse_target(text)
    except InputError as error:
        raise ValueError(str(error)) from error
    return text


def _as_item(value: object) -> object:
    return {"run": value} if isinstance(value, str) else value


class WatchItem(FileModel):
    """One thing to watch: a run, or all runs below a folder of this machine."""

    run: Annotated[Text, AfterValidator(_target)] | None = None
    """A path, a name below `.tune-runs/`, or HOST:/path with HOST a profile, or [user@]host as ssh knows it."""
    below: Text | None = None
    """A folder of this machine: all runs below it, also those that come later."""
    title: Text | None = None
    """What to call the run."""
    model: Text | None = None
    """Only where the run is one of this model."""

    @model_validator(mode="after")
    def _one_of_them(self) -> WatchItem:
        if (self.run is None) == (self.below is None):
            raise ValueError("expected either run or below")
        if self.below is not None and (self.title is not None or self.model is not None):
            raise ValueError("title and model go with run, not with below")
        return self


class Workspace(FileModel):
    """What a person watches. Paths are relative to the file."""

    root: Text | None = None
    """The folder that holds models/ and hosts/, or its repository; found from the runs by default."""
    hosts: Items[Text] = ()
    """Profiles in hosts/ that are shown whether or not a run is watched there."""
    watch: Items[Annotated[WatchItem, BeforeValidator(_as_item)]] = ()
    """By default all runs below the file's folder."""
    interval_s: Annotated[float, Field(gt=0, le=LONGEST_S)] = 5.0
    """Seconds between looks that no change called for, at most 120."""
    read_only: bool = True
    """Nothing can be started, stopped or written from the dashboard."""


@dataclass(frozen=True)
class WorkspaceFile:
    """A workspace, and where its file stands.

    Attributes:
        warnings: What looked wrong and stops nothing, a line each.
    """

    value: Workspace
    path: Path
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """What its paths are relative to."""
        return self.path.parent

    def resolved(self, text: str) -> str:
        """A path of the file, absolute; a run's bare name also below `.tune-runs/`. HOST:PATH stays as it is."""
        target = parse_target(text)
        if target.host is not None:
            return text
        path = os.path.join(self.folder, os.path.expanduser(target.path))
        if "/" not in text and not os.path.exists(path):
            named = os.path.join(self.folder, RUNS, text)
            return named if os.path.isdir(named) else path
        return path


def read_workspace(path: Path) -> WorkspaceFile:
    """Read one.

    Raises:
        InputError: One line with file, line and key.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if load(data, str(path)).value is None:  # everything in it is a comment
        return WorkspaceFile(Workspace(), path)
    loaded = parse_model(Workspace, data, str(path))
    return WorkspaceFile(loaded.value, path, loaded.warnings)


def write_workspace(folder: Path) -> Path:
    """Write a commented workspace with the defaults in it; returns where.

    Raises:
        InputError: There is one already, or it cannot be written.
    """
    path = folder / WORKSPACE
    try:
        file = path.open("x", encoding="utf-8")
        try:
            with file:
                file.write(COMMENTED)
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()  # a part of it would be there already the next time
            raise
    except FileExistsError:
        raise InputError(f"{path} is there already; nothing was changed") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


COMMENTED = """\
# What `gatewatch` shows when it is started in this folder or below it. Every key may be left out.
# Paths are relative to this file.

# The folder that holds models/ and hosts/, or its repository. By default it is found from each run.
# root: .

# Runs to watch. Without this list: all runs below this folder, also those that come later.
# watch:
#   - below: .                                  # all runs below a folder of this machine
#   - run: .tune-runs/20260525T024302Z_model_r5 # one run: a path, or a name below .tune-runs/
#     title: model r5
#   - run: h20-a:/data/project/.tune-runs/r5    # on another host: HOST is a profile in hosts/

# Host profiles whose accelerators are shown whether or not a run is watched there.
# hosts: [h20-a]

# Seconds between looks that no change called for; at most 120.
interval_s: 5

# Nothing can be started, stopped or written from the dashboard. With false it can; each action still asks first.
read_only: true
"""

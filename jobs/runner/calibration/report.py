"""What a report needs to know on the host beside the records, and the one file that it writes there."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gates.calibration.layout import PLAN, REPORT
from hosts.errors import InputError
from hosts.host import Json
from hosts.local.files import read_bytes_limited, write_atomic
from hosts.local.verbs import text_of
from jobs.runner import git
from jobs.runner.calibration.job import read_job
from jobs.runner.places import RUNS, RunPlaces

MOST_COMMITS = 200
PART = 32 << 20
"""Bytes that are read of a log from its beginning, and as many from its end."""

_LINE = 4096
_CHUNK = 1 << 20
_PATIENCE_S = 90.0
_REPORT_LIMIT = 64 << 20


def write_report(payload: Json) -> Json:
    """Replace a run's report.md, whole; nothing else is touched.

    Args:
        payload: {folder, text}. The run directory is not called "run_dir" here: the key of this call is then kept
            with the user's state, and the directory of another program's run gets this one file and no more.

    Returns:
        {path, sha256, changed}.

    Raises:
        InputError: It is no run directory.
        WriteError: It cannot be written, or report.md is a link.
    """
    folder = Path(os.path.expanduser(text_of(payload, "folder")))
    if not folder.is_absolute() or not (folder / PLAN).is_file():
        raise InputError(f"{folder} holds no {PLAN}, so it is not a run directory")
    data = text_of(payload, "text").encode()
    path = folder / REPORT
    if path.is_file() and not path.is_symlink() and read_bytes_limited(path, _REPORT_LIMIT) == data:
        changed = False
    else:
        write_atomic(path, data)
        changed = True
    return {"path": str(path), "sha256": hashlib.sha256(data).hexdigest(), "changed": changed}


def history(payload: Json) -> Json:
    """Which commit is checked out now, what was committed since an earlier one, and what the logs show.

    Args:
        payload: {run_dir, repo (None: the run's own), until: the calibration's commit, since: a commit id or None,
            evidence: [{name, regex, logs: [path relative to the run]}]}.

    Returns:
        {repo, head, head_problem, since: {base, commits, count, files, problem} or None, evidence: [{name, logs:
        [{path, found, line, detail}]}]}.

    Raises:
        InputError: `since` is not a commit of the repository, or a regex is none.
    """
    run_dir = Path(os.path.expanduser(text_of(payload, "run_dir")))
    assert isinstance(payload, dict)  # text_of has seen to it
    repo, head, problem = _head(run_dir, payload.get("repo"))
    since = payload.get("since")
    told: Json = None
    if isinstance(since, str):
        if repo is None:
            raise InputError(f"--since: {problem}")
        told = _since(repo, since, text_of(payload, "until"))
    wanted = payload.get("evidence")
    return {
        "repo": None if repo is None else str(repo),
        "head": head,
        "head_problem": problem,
        "since": told,
        "evidence": _evidence(run_dir, wanted if isinstance(wanted, list) else []),
    }


def _head(run_dir: Path, asked: Json) -> tuple[Path | None, str | None, str]:
    try:
        repo = _repo(run_dir, asked)
    except InputError as error:
        nowhere = "not a git repository" in str(error)
        return None, None, "the run lies in no git repository" if nowhere else str(error)
    try:
        return repo, git.head(repo), ""
    except InputError as error:
        return repo, None, str(error)


def _repo(run_dir: Path, asked: Json) -> Path:
    """The repository that was named, else the one whose `.tune-runs` the run lies in, else the one it remembers."""
    if isinstance(asked, str) and asked:
        return Path(os.path.expanduser(asked))
    if run_dir.parent.name == RUNS and (run_dir.parent.parent / ".git").exists():
        return run_dir.parent.parent
    try:
        remembered = Path(read_job(RunPlaces(run_dir).job).repo)
        if remembered.is_dir():
            return remembered
    except InputError:
        pass  # another program's run
    return git.top(run_dir)


def _since(repo: Path, name: str, until: str) -> dict[str, Json]:
    base = git.resolve(repo, name)
    try:
        new = git.resolve(repo, until)
        found = git.history(repo, base, new, MOST_COMMITS)
        files = len(git.changed_files(repo, base, new))
    except InputError as error:
        return {"base": base, "problem": str(error)}
    return {
        "base": base,
        "commits": [{"sha": sha, "at": at, "subject": subject} for sha, at, subject in found.commits],
        "count": found.count,
        "files": files,
        "problem": "" if found.is_ancestor else f"the calibration's commit was not built on {base}",
    }


@dataclass
class _Wanted:
    name: str
    pattern: re.Pattern[str]
    logs: tuple[str, ...]


def _evidence(run_dir: Path, wanted: list[Json]) -> list[Json]:
    asked = [_wanted(item) for item in wanted]
    end = time.monotonic() + _PATIENCE_S
    seen: dict[tuple[str, str], dict[str, Json]] = {}
    for path in dict.fromkeys(log for one in asked for log in one.logs):
        here = [one for one in asked if path in one.logs]
        for name, found in _search(run_dir, path, {one.name: one.pattern for one in here}, end).items():
            seen[name, path] = {"path": path, **found}
    return [{"name": one.name, "logs": [seen[one.name, path] for path in dict.fromkeys(one.logs)]} for one in asked]


def _wanted(item: Json) -> _Wanted:
    regex, logs = text_of(item, "regex"), item.get("logs") if isinstance(item, dict) else None
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise InputError(f"evidence {regex!r} is not a regular expression: {error}") from error
    return _Wanted(text_of(item, "name"), pattern, tuple(map(str, logs)) if isinstance(logs, list) else ())


def _search(
    run_dir: Path, path: str, patterns: Mapping[str, re.Pattern[str]], end: float
) -> dict[str, dict[str, Json]]:
    """Each pattern's first place in one log, read once for all of them, and never more than its two ends."""
    found: dict[str, dict[str, Json]] = {}

    def rest(detail: str, known: bool | None) -> dict[str, dict[str, Json]]:
        return {name: found.get(name, {"found": known, "line": None, "detail": detail}) for name in patterns}

    root = os.path.realpath(run_dir)
    real = os.path.realpath(run_dir / path)
    if not real.startswith(root + os.sep):
        return rest(f"{path} does not lie in the run directory", None)
    if not os.path.isfile(real):
        return rest(f"{path} is not there", None)
    try:
        with open(real, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            for number, line in _lines(file, size):
                text = _text(line)
                for name, pattern in patterns.items():
                    if name not in found and pattern.search(text):
                        found[name] = {"found": True, "line": number, "detail": _around(pattern, text)}
                if len(found) == len(patterns):
                    return rest("", True)
                if time.monotonic() > end:
                    return rest(f"{path}: the time to look for it was over", None)
    except OSError as error:
        return rest(f"{path}: {error.strerror or error}", None)
    if size > 2 * PART:
        return rest(f"{path}: not in its first and last {PART >> 20} MiB, the middle was not read", None)
    return rest("", False)


def _around(pattern: re.Pattern[str], text: str) -> str:
    """The part in which the pattern was found."""
    hit = pattern.search(text)
    part = text[: hit.end()].rsplit("\n", 1)[-1] if hit is not None else text
    return part.strip()[-200:]


def _text(line: bytes) -> str:
    """A line with its overwritten parts (progress bars) as lines of their own, each up to a bound."""
    return "\n".join(part[:_LINE].decode("utf-8", "replace") for part in line.split(b"\r"))


def _lines(file: BinaryIO, size: int) -> Iterator[tuple[int | None, bytes]]:
    """Lines with their numbers; of a long file the first and the last part, the latter without numbers."""
    number: int | None = 1
    parts = [(0, size)] if size <= 2 * PART else [(0, PART), (size - PART, size)]
    for start, stop in parts:
        file.seek(start)
        left, held = stop - start, b""
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            *whole, held = (held + chunk).split(b"\n")
            for line in whole:
                yield number, line
                number = None if number is None else number + 1
            held = held[:_CHUNK]  # of an endless line the beginning is enough
        if held:
            yield number, held
        number = None

"""What has to hold before anything is applied: the request, the files as they are, and the files as they would be."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.edits import EditError, FileEdits, digest, number_in, parse_files, spans_after
from hosts.errors import InputError, RefusedError
from hosts.host import Json
from hosts.local.verbs import text_of
from jobs.runner.calibration.sources import SeenFile, SourceError, read_source, repo_of, run_script


@dataclass(frozen=True)
class ApplyPlan:
    """What is asked to be written: `repo` absolute, `digest` of all `files` with their edits."""

    repo: Path
    python: str
    files: tuple[FileEdits, ...]
    digest: str
    who: Json


def parse_plan(payload: Json) -> ApplyPlan:
    """Read the payload of an apply.

    Raises:
        InputError: It is wrong, or plans nothing.
        RefusedError: It is not what a person was shown.
    """
    body = payload if isinstance(payload, dict) else {}
    try:
        files = parse_files(body.get("files"))
    except EditError as error:
        raise InputError(str(error)) from None
    if not files:
        raise InputError("there is nothing to write: no file has an edit that changes anything")
    shown, found = body.get("shown_sha256"), digest(files)
    if shown is not None and shown != found:
        raise RefusedError("nothing was changed: what was shown is not what would be written")
    return ApplyPlan(repo_of(payload), text_of(payload, "python"), files, found, body.get("who"))


def inspect(repo: Path, files: Sequence[FileEdits], *, same_inode: bool = True) -> dict[str, SeenFile]:
    """Every file as it is now, provided that all of them are as planned and can be written.

    Raises:
        RefusedError: One is not; each is named with its reason.
    """
    seen: dict[str, SeenFile] = {}
    faults: list[str] = []
    for one in files:
        try:
            seen[one.path] = read_source(repo, one.path, links=False)
        except SourceError as error:
            faults.append(str(error))
            continue
        fault = _fault(repo / one.path, one, seen[one.path], same_inode)
        if fault is not None:
            faults.append(f"{one.path}: {fault}")
    if faults:
        raise RefusedError(f"nothing was changed: {'; '.join(faults)}")
    return seen


def _fault(path: Path, planned: FileEdits, seen: SeenFile, same_inode: bool) -> str | None:
    if seen.sha256 != planned.sha256:
        return "changed since the plan was made"
    if seen.mode != planned.mode:
        return f"its mode was {planned.mode:o} when the plan was made and is {seen.mode:o}"
    if same_inode and planned.inode is not None and seen.inode != planned.inode:
        return "replaced by another file of the same content since the plan was made"
    # Replacing a file needs no permission to write into it: what its owner protected has to be asked for by name
    if not seen.mode & 0o222 or not os.access(path, os.W_OK):
        return "it is read-only"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return "its folder is read-only"
    return None


def prove(plan: ApplyPlan, seen: Mapping[str, SeenFile], new: Mapping[str, bytes]) -> None:
    """Have the project's Python say that each file stays the same but for the planned literals.

    Raises:
        RefusedError: One would not.
        InputError: That Python does not run.
    """
    checks: list[Json] = []
    for one in plan.files:
        after = spans_after(one.edits)
        edits: list[Json] = [
            {"old": [edit.start, edit.end], "new": [start, end], "value": number_in(edit.new.decode("ascii"))}
            for edit, (start, end) in zip(one.edits, after, strict=True)
        ]
        old_text, new_text = (base64.b64encode(data).decode() for data in (seen[one.path].data, new[one.path]))
        checks.append({"path": one.path, "old": old_text, "new": new_text, "edits": edits})
    said = run_script(plan.python, {"checks": checks}).get("checks")
    answers = said if isinstance(said, dict) else {}
    faults = [
        f"{one.path}: {answers.get(one.path, 'it was not judged')}"
        for one in plan.files
        if answers.get(one.path, "") is not None
    ]
    if faults:
        raise RefusedError(f"nothing was changed: {'; '.join(faults)}")

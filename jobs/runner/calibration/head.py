"""Whether the code that stands in a repository now is still what a calibration measured.

One proof serves resume and apply (spec/calibration.md, sections 4 and 5): threshold literals may differ, and
nothing else that is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.equivalence import unforgiven_changes
from gates.calibration.schema import Manifest, SchemaError, parse_manifest
from hosts.errors import InputError
from hosts.host import Json
from hosts.local.files import read_bytes_limited
from hosts.local.verbs import text_of
from jobs.runner import git

_LIMIT = 16 << 20


@dataclass(frozen=True)
class HeadState:
    """HEAD now, and why it is not the calibration's code; no reasons means that it is."""

    head: str
    reasons: tuple[str, ...]


def moved(repo: Path, sha: str, manifest: Manifest, settings: Sequence[str]) -> HeadState:
    """Compare HEAD with the calibration's commit.

    Args:
        settings: Our own files, relative to `repo`; a change there does not change what is measured.
    """
    head = git.head(repo)
    if head == sha:
        return HeadState(head, ())
    changed = [path for path in git.changed_files(repo, sha, head) if not git.below(path, settings)]
    texts = {path: (git.file_at(repo, sha, path), git.file_at(repo, head, path)) for path in changed}
    return HeadState(head, tuple(unforgiven_changes(texts, manifest)))


def worktree(repo: Path, sha: str, manifest: Manifest, paths: Sequence[str]) -> tuple[str, ...]:
    """Why these files, as they stand in the working tree, are not the calibration's but for threshold literals."""
    texts: dict[str, tuple[bytes | None, bytes | None]] = {}
    for path in paths:
        before = git.file_at(repo, sha, path)
        try:
            after: bytes | None = read_bytes_limited(repo / path, _LIMIT)
        except InputError:
            after = None
        if before != after:
            texts[path] = (before, after)
    return tuple(unforgiven_changes(texts, manifest))


def head(payload: Json) -> Json:
    """The `head` verb.

    Args:
        payload: `{repo, sha, manifest, settings, paths, diff}`; `diff` names the working tree that a run of a
            dirty tree was started on, and then stands for the comparison of its files.

    Returns:
        `{head, dirty, reasons}`.

    Raises:
        InputError: The repository or the manifest cannot be read.
    """
    repo, sha = Path(text_of(payload, "repo")), text_of(payload, "sha")
    body: Mapping[str, Json] = payload if isinstance(payload, dict) else {}
    try:
        manifest = parse_manifest(body.get("manifest"))
    except SchemaError as error:
        raise InputError(str(error)) from error
    settings, paths = _texts(body.get("settings")), _texts(body.get("paths"))
    state = moved(repo, sha, manifest, settings)
    reasons = list(state.reasons)
    code = git.provenance(repo, settings)
    if code.diff and code.diff_sha256 != body.get("diff"):
        reasons.extend(f"in the working tree, {reason}" for reason in worktree(repo, sha, manifest, paths))
    return {"head": state.head, "dirty": code.dirty, "reasons": list(dict.fromkeys(reasons))}


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()

"""What a run directory remembers of an apply: enough to finish it or to undo it, whenever it was cut off.

`.gatewatch/apply/<id>/` holds the old bytes of every file (`0.old`, …) and, written last, `journal.json`. How far
an apply came is not recorded but looked up: each file holds its old bytes, its new bytes, or something else.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gates.calibration.edits import EditError, FileEdits, apply_edits, files_json, parse_files
from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import ReadError, WriteError, read_bytes_limited, write_atomic
from jobs.runner.calibration.sources import NoSourceError, SourceError, read_source
from jobs.runner.places import RunPlaces

PREPARED = "prepared"
DONE = "done"
ROLLED_BACK = "rolled_back"

OLD = "old"
NEW = "new"
OTHER = "other"
GONE = "gone"

_JOURNAL = "journal.json"
_LIMIT = 64 << 20
_VERSION = 1


@dataclass(frozen=True)
class Target:
    """One file of an apply: what was planned for it, and the hash of what it becomes."""

    planned: FileEdits
    new_sha256: str


@dataclass(frozen=True)
class Applied:
    """One apply, as `journal.json` has it.

    Attributes:
        folder: Where it lies; its name is the id.
        plan: The digest of the change (`gates.calibration.edits.digest`).
        state: `PREPARED` until every file is written or put back, then `DONE` or `ROLLED_BACK`.
        who: As the asker said it.
        repo: Absolute.
    """

    folder: Path
    plan: str
    state: str
    at: str
    who: Json
    repo: Path
    targets: tuple[Target, ...]

    @property
    def id(self) -> str:
        return self.folder.name

    def holds(self, target: Target) -> str:
        """What a file holds now: `OLD`, `NEW`, `OTHER` or `GONE`."""
        try:
            found = read_source(self.repo, target.planned.path, links=False).sha256
        except NoSourceError:
            return GONE
        except SourceError:
            return OTHER
        return NEW if found == target.new_sha256 else OLD if found == target.planned.sha256 else OTHER

    def done(self) -> int:
        """How many files hold their new bytes."""
        return sum(self.holds(target) == NEW for target in self.targets)

    def old_bytes(self, target: Target) -> bytes:
        """What a file held before.

        Raises:
            InputError: It cannot be read, or is damaged.
        """
        path = self.folder / f"{self.targets.index(target)}.old"
        data = read_bytes_limited(path, _LIMIT)
        if hashlib.sha256(data).hexdigest() != target.planned.sha256:
            raise InputError(f"{path} is damaged; it should hold what {target.planned.path} was before")
        return data

    def new_bytes(self, target: Target) -> bytes:
        """What a file becomes.

        Raises:
            InputError: Its old bytes are missing or damaged.
        """
        data = apply_edits(self.old_bytes(target), target.planned.edits)
        if hashlib.sha256(data).hexdigest() != target.new_sha256:
            raise InputError(f"{self.folder / _JOURNAL} is damaged: its edits do not give what was prepared")
        return data

    def keep(self, old: Callable[[Target], bytes]) -> None:
        """Write all of it; once this returns, the apply exists.

        Raises:
            WriteError: It could not be written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise WriteError.of(self.folder, error) from None
        for number, target in enumerate(self.targets):
            write_atomic(self.folder / f"{number}.old", old(target), 0o600)
        self._write()

    def become(self, state: str) -> Applied:
        """Record another state.

        Raises:
            WriteError: It could not be written.
        """
        changed = replace(self, state=state)
        changed._write()
        return changed

    def summary(self) -> dict[str, Json]:
        """Who, what and where, for events and answers."""
        return {"id": self.id, "plan": self.plan, "who": self.who, "repo": str(self.repo)}

    def rows(self) -> list[Json]:
        """Every edit with what it is for, by file; the applied table of the report is made from this."""
        hashes = [target.new_sha256 for target in self.targets]
        documents = files_json([target.planned for target in self.targets])
        return [
            {**body, "new_sha256": new} for body, new in zip(documents, hashes, strict=True) if isinstance(body, dict)
        ]

    def _write(self) -> None:
        body: dict[str, Json] = {**self.summary(), "v": _VERSION, "state": self.state, "at": self.at}
        write_atomic(self.folder / _JOURNAL, strictjson.dumps({**body, "files": self.rows()}, indent=1), 0o600)


def applies_of(places: RunPlaces) -> Path:
    """The folder of all applies of a run."""
    return places.ours / "apply"


def all_applied(places: RunPlaces) -> list[Applied]:
    """Every apply of a run, oldest first; one that was cut off before anything was to be written is none.

    Raises:
        InputError: One cannot be read.
    """
    folder = applies_of(places)
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ReadError.of(folder, error) from None
    found = (_read(folder / name) for name in names)
    return [one for one in found if one is not None]


def _read(folder: Path) -> Applied | None:
    path = folder / _JOURNAL
    try:
        body = strictjson.loads(read_bytes_limited(path, _LIMIT), str(path))
    except ReadError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    if not isinstance(body, dict) or body.get("v") != _VERSION:
        raise InputError(f"{path}: not an apply of a known version")
    plan, state, at, repo = (body.get(key) for key in ("plan", "state", "at", "repo"))
    files = body.get("files")
    if not (isinstance(plan, str) and isinstance(at, str) and isinstance(repo, str) and isinstance(files, list)):
        raise InputError(f"{path}: plan, at, repo or files is missing")
    if not isinstance(state, str) or state not in (PREPARED, DONE, ROLLED_BACK):
        raise InputError(f"{path}: state {state!r} is unknown")
    hashes = [one.pop("new_sha256", None) for one in files if isinstance(one, dict)]
    try:
        planned = parse_files(files)
    except EditError as error:
        raise InputError(f"{path}: {error}") from None
    if len(planned) != len(hashes):
        raise InputError(f"{path}: a file has no edits")
    targets = [Target(one, new) for one, new in zip(planned, hashes, strict=True) if isinstance(new, str)]
    if len(targets) != len(planned):
        raise InputError(f"{path}: new_sha256 is missing")
    return Applied(folder, plan, state, at, body.get("who"), Path(repo), tuple(targets))

"""The verb that tells what source files say. The Python of their own project reads them; nothing is executed.

A test file may be written for a newer Python than the one that runs us, so `facts_script` is handed to the
project's interpreter. The files are read here, and their bytes go along with the question.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.edits import is_inside
from gates.calibration.source import FactsError, SourceFacts, import_paths, parse_facts
from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.verbs import text_of

_SCRIPT = "jobs.runner.calibration.facts_script"
_TIMEOUT_S = 120.0
_FILE_LIMIT = 4 << 20
_MOST_BYTES = 64 << 20
_MOST_FILES = 1000
_ROUNDS = 10
# Constants, and the helpers that derive limits from them; all else that a test imports says nothing of thresholds
_FOLLOWED = re.compile(r"_?[A-Z][A-Z0-9_]*\Z|.*slack")


class SourceError(InputError):
    """A source file cannot be read; `reason` says why, without the path."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


class NoSourceError(SourceError):
    """It is not there."""


@dataclass(frozen=True)
class SeenFile:
    """A file's bytes, and what the file is: permission bits and inode, of the same instant."""

    data: bytes
    mode: int
    inode: int

    @property
    def sha256(self) -> str:
        """Of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()


def sources(payload: Json) -> Json:
    """What the files at `paths` of `repo` say, as `python` reads them.

    Args:
        payload: `python`; `repo`; `paths`, relative to it; `follow_imports`: also the files inside the repository
            from which those import constants or slack helpers; `data`: the bytes of each file too.

    Returns:
        Facts by path (`gates.calibration.source.parse_all`). A file that cannot be read or parsed has an `error`;
        an imported one that is not inside the repository is left out.

    Raises:
        InputError: The interpreter does not run, there is no such repository, or too much was asked for.
    """
    repo = repo_of(payload)
    python = text_of(payload, "python")
    body = payload if isinstance(payload, dict) else {}
    paths = body.get("paths")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise InputError("the payload needs 'paths', a list of paths relative to the repository")
    asked = [path for path in paths if isinstance(path, str)]
    found = _Found(repo, python, with_data=body.get("data") is True)
    found.add(asked)
    for _ in range(_ROUNDS if body.get("follow_imports") is True else 0):
        if not found.add(list(found.imported())):
            break
    answer: Json = dict(found.documents)
    return answer


def repo_of(payload: Json) -> Path:
    """The repository of a payload, absolute and without symbolic links.

    Raises:
        InputError: It is no directory.
    """
    repo = Path(os.path.realpath(os.path.expanduser(text_of(payload, "repo"))))
    if not repo.is_dir():
        raise InputError(f"there is no repository {repo}")
    return repo


def read_source(repo: Path, path: str, *, links: bool) -> SeenFile:
    """Read a file of the repository.

    Args:
        repo: Without symbolic links.
        path: Relative to it.
        links: Whether symbolic links that stay inside the repository are followed.

    Raises:
        NoSourceError: It is not there.
        SourceError: It lies outside, is no regular file, is too large, or cannot be read.
    """
    if not is_inside(path):
        raise SourceError(path, "not a path inside the repository")
    plain = repo / path
    real = Path(os.path.realpath(plain))
    if real != plain and not links:
        raise SourceError(path, "it is a symbolic link, or reached through one, which is not followed")
    if repo not in real.parents:
        raise SourceError(path, "a symbolic link leads out of the repository")
    try:
        fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NoSourceError(path, "it is not there") from None
    except OSError as error:
        raise SourceError(path, _reason(error)) from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(path, "not a regular file")
        with os.fdopen(os.dup(fd), "rb") as file:
            data = file.read(_FILE_LIMIT + 1)
    except OSError as error:
        raise SourceError(path, _reason(error)) from None
    finally:
        os.close(fd)
    if len(data) > _FILE_LIMIT:
        raise SourceError(path, f"longer than {_FILE_LIMIT} bytes")
    return SeenFile(data, stat.S_IMODE(status.st_mode), status.st_ino)


def run_script(python: str, request: Mapping[str, Json]) -> dict[str, Json]:
    """Put a request to `facts_script` under `python`.

    Raises:
        InputError: It is not there, does not run, is older than 3.8, or gives no answer.
    """
    if not os.path.isfile(python) or not os.access(python, os.X_OK):
        raise InputError(f"venv python {python} does not exist or cannot be executed; pass --venv-python")
    try:
        answer = subprocess.run(
            # Isolated, and without site: neither the environment nor the venv's .pth files have a say
            [python, "-I", "-S", "-B", "-W", "ignore", "-c", _script_text()],
            input=strictjson.dumps(dict(request)),
            cwd="/",
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"venv python {python} does not run: {error}") from error
    if answer.returncode != 0:
        said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InputError(f"venv python {python} does not read sources: {said[-1] if said else answer.returncode}")
    body = strictjson.loads(answer.stdout, "what venv python says of the sources")
    if not isinstance(body, dict):
        raise InputError(f"venv python {python} gave no answer")
    return body


class _Found:
    """The facts gathered so far, and what is still to be asked."""

    def __init__(self, repo: Path, python: str, *, with_data: bool) -> None:
        self._repo = repo
        self._python = python
        self._with_data = with_data
        self._bytes = 0
        self.documents: dict[str, Json] = {}
        self._facts: dict[str, SourceFacts] = {}

    def add(self, paths: Sequence[str]) -> bool:
        """Find the facts of further files; False when there were none to find."""
        seen: dict[str, SeenFile] = {}
        new = [path for path in dict.fromkeys(paths) if path not in self.documents]
        if len(self.documents) + len(new) > _MOST_FILES:
            raise InputError(f"more than {_MOST_FILES} source files")
        for path in new:
            try:
                seen[path] = read_source(self._repo, path, links=True)
            except SourceError as error:
                self.documents[path] = {"path": path, "sha256": "", "error": error.reason}
                continue
            self._bytes += len(seen[path].data)
            if self._bytes > _MOST_BYTES:
                raise InputError(f"source files of more than {_MOST_BYTES} bytes together")
        if seen:
            self._ask(seen)
        return bool(new)

    def imported(self) -> Iterator[str]:
        """Files that are there, and from which those known so far import what matters."""
        for path, facts in self._facts.items():
            for one in facts.imports:
                if not one.top or not _FOLLOWED.match(one.name):
                    continue
                for group in import_paths(path, one.module, one.level):
                    yield from [place for place in group if self._is_file(place)][:1]

    def _is_file(self, path: str) -> bool:
        real = Path(os.path.realpath(self._repo / path))
        return is_inside(path) and self._repo in real.parents and real.is_file()

    def _ask(self, seen: Mapping[str, SeenFile]) -> None:
        request: list[Json] = [
            {"path": path, "data": base64.b64encode(one.data).decode()} for path, one in seen.items()
        ]
        said = run_script(self._python, {"facts": request}).get("facts")
        documents = said if isinstance(said, dict) else {}
        for path, one in seen.items():
            body = documents.get(path)
            document: Json = None
            if isinstance(body, dict):
                document = {**body, "mode": one.mode, "inode": one.inode}
                if self._with_data:
                    document["data"] = base64.b64encode(one.data).decode()
            try:
                self._facts[path] = parse_facts(document)
            except FactsError as error:
                raise InputError(f"venv python {self._python} gave no facts of {path}: {error}") from None
            self.documents[path] = document


def _script_text() -> str:
    """The source of `facts_script`, from wherever our modules were imported: files, a zip, or memory."""
    spec = importlib.util.find_spec(_SCRIPT)
    loader = spec.loader if spec is not None else None
    # A zip's loader has the method without being an InspectLoader
    find: Callable[[str], object] | None = getattr(loader, "get_source", None)
    text = find(_SCRIPT) if find is not None else None
    if not isinstance(text, str):
        raise InputError("the runner image does not hold the source of its script")
    return text


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

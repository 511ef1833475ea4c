"""Models and datasets as they lie in a Hugging Face cache, looked at and never fetched.

The layout is `<hub>/models--org--name/{refs,snapshots/<revision>,blobs}`, with locks in `<hub>/.locks`. A snapshot's
files are links into `blobs`; a link that leads nowhere, a missing shard of an index or a blob that was begun and
not finished make it incomplete.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.precheck import Item, failed, passed
from gates.calibration.precheck_judges import repository_problem
from gates.calibration.words import shown_of
from hosts.errors import InputError
from hosts.local import strictjson
from hosts.local.files import read_bytes_limited
from hosts.local.pasting import pasted, quoted

MODEL, DATASET = "model", "dataset"
SPEAKER_FILES = (".complete", "wavlm_large.pt", "wavlm_large_finetune.pth")
_CLIENTS = ("hf", "huggingface-cli")
"""Newer versions of the library have the short name alone."""
_KINDS = {MODEL: "models", DATASET: "datasets"}
_MOST_FILES = 100_000
_INDEX_LIMIT = 64 << 20
_NAMED = 3


@dataclass(frozen=True)
class LockSeen:
    """A lock that a process holds, or that its dead holder has left."""

    path: Path
    pid: int
    alive: bool


def hub_of(environment: Mapping[str, str]) -> Path:
    """The folder of all cached repositories, as the libraries look for it."""
    named = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    return Path(named) if named else Path(home_of(environment)) / "hub"


def home_of(environment: Mapping[str, str]) -> str:
    """HF_HOME, or what it is without being set."""
    home = environment.get("HOME", "/")
    cache = environment.get("XDG_CACHE_HOME") or f"{home.rstrip('/')}/.cache"
    return environment.get("HF_HOME") or f"{cache}/huggingface"


def look_at_asset(kind: str, name: str, environment: Mapping[str, str], client: str | None) -> Item:
    """Whether a model or dataset is there and whole.

    Args:
        environment: That of the job.
        client: The command that downloads from the hub, such as "hf"; None where there is none.
    """
    label = f"{kind} {name}"
    if name.startswith(("/", "~", "./")):
        folder = os.path.expanduser(name)
        if os.path.isdir(folder):
            return passed(label, "a folder")
        return failed(label, f"{folder} is no folder")
    problem = repository_problem(name)
    if problem is not None:
        return failed(label, problem)
    hub = hub_of(environment)
    folder_name = f"{_KINDS[kind]}--{name.replace('/', '--')}"
    why = incomplete(hub / folder_name)
    if why is not None and client is None:
        return failed(label, f"{why} in {hub}; to fetch it, a Python with huggingface_hub is needed")
    if why is not None:
        return failed(label, f"{why} in {hub}", _download(kind, name, environment, client or ""))
    return passed(label, hub / folder_name)


def incomplete(repository: Path) -> str | None:
    """Why a cached repository cannot be used offline, None when it can."""
    try:
        snapshots = [entry.name for entry in os.scandir(repository / "snapshots") if entry.is_dir()]
    except FileNotFoundError:
        return "not there"
    except OSError as error:
        return f"{repository}: {error.strerror}"
    revision = _ref(repository / "refs" / "main")
    if revision is not None and revision not in snapshots:
        return f"revision {revision[:12]} of main is not there"
    wanted = [revision] if revision is not None else snapshots
    whys = [_incomplete_snapshot(repository / "snapshots" / name) for name in wanted]
    if not whys:
        return "no snapshot is there"
    if None not in whys:
        return whys[0]
    begun = _begun(repository / "blobs")
    return f"a download was begun and not finished ({begun})" if begun is not None else None


def held_locks(hub: Path, names: Iterable[str]) -> list[LockSeen]:
    """Locks on these repositories (`models--org--name`) that somebody holds, or that a dead process has left.

    The kernel says who holds a lock. One that is made of a file alone (where a file system has no locks) names its
    holder in the file.
    """
    found: list[LockSeen] = []
    files = [path for name in names for path in _locks_in(hub / ".locks" / name)]
    holders = _kernel_holders() if files else {}
    for path in files:
        try:
            status = path.stat()
        except OSError:
            continue
        pids = [pid for pid in holders.get(status.st_ino, ()) if _has_open(pid, path)]
        found.extend(LockSeen(path, pid, alive=True) for pid in pids)
        left = None if pids else _named_holder(path)
        if left is not None:
            found.append(LockSeen(path, left, alive=os.path.isdir(f"/proc/{left}")))
    return found


def look_at_locks(locks: list[LockSeen], describe: Mapping[int, str]) -> Item:
    """Nobody may hold a lock on what the tests will open.

    Args:
        describe: Owner and command of the pids that are known.
    """
    if not locks:
        return passed("HF locks", "none is held")
    most = shown_of(len(locks), _NAMED)
    listed = "; ".join(
        f"{lock.path} held by pid {lock.pid} ({describe.get(lock.pid) or ('alive' if lock.alive else 'gone')})"
        for lock in locks[:most]
    )
    more = f" and {len(locks) - most} more" if len(locks) > most else ""
    if any(lock.alive for lock in locks):
        return failed("HF locks", f"{listed}{more}: wait until what holds them is done")
    return failed("HF locks", listed + more, pasted(["rm", *dict.fromkeys(str(lock.path) for lock in locks)]))


def look_at_speaker(folder: str | None, bootstrap: str | None) -> Item:
    """The speaker similarity model, which lies outside of the cache."""
    label = "speaker_sim"
    if not folder:
        return failed(label, "SEEDTTS_SIM_CACHE_DIR is not set; physical.speaker_sim of the host profile sets it")
    missing = [name for name in SPEAKER_FILES if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        unknown = "" if bootstrap else "; speaker_similarity_bootstrap of the host profile can say what fetches them"
        return failed(label, f"{', '.join(missing)} missing in {folder}{unknown}", bootstrap)
    return passed(label, folder)


def client_of(venv_python: str | None, install: str | None = None) -> str | None:
    """The hub's command line client: the tests' environment's, else the one on PATH, else one to be installed there.

    Args:
        install: What installs packages into the tests' environment; None where that does not run.

    Returns:
        Words for a shell, which variables may stand before; None where there is no client.
    """
    folder = os.path.dirname(venv_python) if venv_python else ""
    for name in _CLIENTS:
        path = os.path.join(folder, name)
        if folder and os.access(path, os.X_OK):
            return quoted(path)
    found = next((name for name in _CLIENTS if shutil.which(name)), None)
    if found is not None or install is None or not folder:
        return found
    both = f'{install} huggingface_hub && {shlex.quote(os.path.join(folder, "hf"))} "$@"'
    return f"sh -c {quoted(both)} sh"


def _download(kind: str, name: str, environment: Mapping[str, str], client: str) -> str:
    set_ = {
        "HF_HOME": home_of(environment),
        **{key: environment[key] for key in ("HF_ENDPOINT", "HF_HUB_CACHE") if environment.get(key)},
    }
    words = [f"{key}={quoted(value)}" for key, value in set_.items()]
    return " ".join([*words, client, "download", *(["--repo-type dataset"] if kind == DATASET else []), name])


def _incomplete_snapshot(folder: Path) -> str | None:
    names: set[str] = set()
    try:
        for root, _folders, files in os.walk(folder):
            for file in files:
                path = os.path.join(root, file)
                if not os.path.exists(path):
                    return f"{os.path.relpath(path, folder)} leads nowhere"
                names.add(os.path.relpath(path, folder))
                if len(names) > _MOST_FILES:
                    return None
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if not names:
        return "the snapshot is empty"
    for name in sorted(names):
        if name.endswith(".index.json"):
            missing = _missing_shards(folder, name, names)
            if missing:
                return f"{missing[0]} is missing" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
    return None


def _missing_shards(folder: Path, index: str, names: set[str]) -> list[str]:
    try:
        body = strictjson.loads(read_bytes_limited(folder / index, _INDEX_LIMIT), index)
    except InputError:
        return []
    shards = body.get("weight_map") if isinstance(body, dict) else None
    if not isinstance(shards, dict):
        return []
    beside = os.path.dirname(index)
    return sorted({os.path.join(beside, str(shard)) for shard in shards.values()} - names)


def _begun(blobs: Path) -> str | None:
    try:
        names = {entry.name for entry in os.scandir(blobs)}
    except OSError:
        return None
    return next(
        (name for name in sorted(names) if name.endswith(".incomplete") and name.split(".")[0] not in names), None
    )


def _ref(path: Path) -> str | None:
    try:
        text = read_bytes_limited(path, 4096).decode("ascii", "replace").strip()
    except InputError:
        return None
    return text if text and "/" not in text and not text.startswith(".") else None


def _locks_in(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.name.endswith(".lock"))
    except OSError:
        return []


def _kernel_holders() -> dict[int, list[int]]:
    """Inode to the pids that hold a lock on a file of that inode, on whatever file system."""
    found: dict[int, list[int]] = {}
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            lines = file.read(1 << 20).splitlines()
    except OSError:
        return {}
    for line in lines:
        words = line.split()
        if len(words) < 8 or "->" in words:  # "->" waits for a lock and holds none
            continue
        pid, place = words[4], words[5].rsplit(":", 1)[-1]
        if pid.isdecimal() and place.isdecimal():
            found.setdefault(int(place), []).append(int(pid))
    return found


def _has_open(pid: int, path: Path) -> bool:
    """Inodes are told apart by file system only: the holder must have this very file open."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except PermissionError:
        return True  # somebody else's process, which we may not look into
    except OSError:
        return False
    for name in names:
        try:
            if os.path.samefile(f"{folder}/{name}", path):
                return True
        except OSError:
            continue
    return False


def _named_holder(path: Path) -> int | None:
    try:
        first = read_bytes_limited(path, 4096).split(b"\n", 1)[0].strip()
    except InputError:
        return None
    return int(first) if first.isdigit() and len(first) < 10 else None

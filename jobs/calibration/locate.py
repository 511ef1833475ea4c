"""Which run directory is meant, and what it is judged by (spec/calibration.md, "Where things lie")."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.layout import PLAN
from gates.calibration.records import RecordError, parse_plan
from gates.calibration.schema import Manifest
from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import read_bytes_limited
from hosts.profiles import HostProfile, select_profile
from hosts.target import Target, parse_target
from jobs.calibration.checkout import Checkout, find_checkout_near, git_top, load_manifest
from jobs.connect import is_local
from jobs.named_host import named_profile
from jobs.runner.places import RUNS

_LIMIT = 64 << 20


@dataclass(frozen=True)
class Watched:
    """A run directory, where it lies, and the checkout that knows its model.

    Attributes:
        run_dir: Absolute on its host.
        profile: The host's profile, None for this machine without one.
        local: Whether it lies on this machine.
        checkout: The folder with the models, None where none was found: values are then shown, not judged.
        model: What `--model` said.
    """

    run_dir: str
    profile: HostProfile | None
    local: bool
    checkout: Checkout | None
    model: str | None

    @property
    def place(self) -> str:
        """How a person names it, for `--run-dir`: its path, of another host [USER@]HOST:PATH."""
        if self.local or self.profile is None:
            return str(Target(None, self.run_dir))
        user, _, host = self.profile.name.rpartition("@")
        return str(Target(host, self.run_dir, user or None))

    def manifest(self, model: str) -> Manifest | None:
        """The checkout's manifest for `model`, for runs that have not frozen their own.

        Raises:
            InputError: There is one and it is wrong.
        """
        if self.checkout is None or not self.checkout.manifest_path(model).is_file():
            return None
        return load_manifest(self.checkout, model)

    def reference(self) -> Json:
        """What the environment is held against, when the run's plan does not say."""
        if self.profile is None:
            return None
        reference = self.profile.reference
        if not (reference.pins or reference.gpu_model or reference.image):
            return None
        pins: dict[str, Json] = dict(reference.pins)
        return {"gpu_model": reference.gpu_model, "image": reference.image, "pins": pins}


def find_run(
    run_dir: str | None,
    root: str | None,
    repo: str | None,
    host: str | None,
    model: str | None,
    environ: Mapping[str, str] = os.environ,
) -> Watched:
    """Find the run that is asked about: `--run-dir`, else the newest one.

    `--run-dir` is a path, a name below `.tune-runs/`, or HOST:PATH, where HOST is a profile, or [user@]host as ssh
    knows it. `--host` is a profile.

    Raises:
        InputError: It is not there, is a file, holds no plan.json, or is a run of another model.
    """
    target = parse_target(run_dir) if run_dir is not None else None
    named = target is not None and target.host is not None
    checkout = _checkout(root, Path(target.path) if target is not None and not named else None)
    profile = _profile_there(target, root) if target is not None and named else _profile(checkout, host, environ)
    asked = named or host is not None
    local = not asked or is_local(profile)
    if not local or (profile is not None and profile.enter and asked):
        if target is None or not target.path.startswith(("/", "~")):
            file = f"; the file here is ./{run_dir}" if named and os.path.lexists(str(run_dir)) else ""
            raise InputError(f"a run on another host is named by its absolute path: --run-dir HOST:/path{file}")
        return Watched(target.path, profile, False, checkout, model)
    path = (
        _newest(_run_folders(checkout, repo, profile))
        if target is None
        else _named(target.path, checkout, repo, profile)
    )
    _check_here(path, model)
    return Watched(str(path), profile, True, checkout, model)


def _checkout(root: str | None, run_dir: Path | None) -> Checkout | None:
    """The checkout that was named, or the one above the run directory, or the one around us, or None."""
    try:
        return find_checkout_near(root, run_dir)
    except InputError:
        if root is not None:
            raise
        return None


def _profile_there(target: Target, root: str | None) -> HostProfile:
    """That of the host of HOST:PATH."""
    return named_profile(f"{target.user}@{target.host}" if target.user else str(target.host), root)


def _profile(checkout: Checkout | None, host: str | None, environ: Mapping[str, str]) -> HostProfile | None:
    """The profile that is chosen for a path without a host, None for this machine without one."""
    if checkout is not None:
        selected = select_profile(checkout.hosts_folder, host, environ)
        return selected.file.profile if selected is not None else None
    if host is not None:
        raise InputError(f"--host {host}: there is no checkout with a hosts/ folder; name it with --root")
    return None


def _run_folders(checkout: Checkout | None, repo: str | None, profile: HostProfile | None) -> list[Path]:
    bases: list[Path] = []
    if repo is not None:
        bases.append(Path(repo).expanduser().absolute())
    if profile is not None and profile.repo_root:
        bases.append(Path(profile.repo_root).expanduser())
    if checkout is not None:
        bases.extend([checkout.root, *([top] if (top := git_top(checkout.root)) else [])])
    bases.append(Path.cwd())
    return [base / RUNS for base in dict.fromkeys(bases)]


def _newest(folders: list[Path]) -> Path:
    for folder in folders:
        # Not by name: people give their own. A resume writes plan.json again, and that run is the one at work.
        runs = [(path.lstat().st_mtime_ns, path) for path in folder.glob(f"*/{PLAN}")]
        if runs:
            return max(runs)[1].parent
    raise InputError(f"no run found in {', '.join(map(str, folders))}; name one with --run-dir")


def _named(text: str, checkout: Checkout | None, repo: str | None, profile: HostProfile | None) -> Path:
    path = Path(text).expanduser().absolute()
    if path.exists() or "/" in text:
        return path
    return next((folder / text for folder in _run_folders(checkout, repo, profile) if (folder / text).is_dir()), path)


def _check_here(path: Path, model: str | None) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such run directory")
    if not path.is_dir():
        raise InputError(f"{path} is a file; a run directory is a folder with {PLAN}")
    if not os.path.lexists(path / PLAN):
        raise InputError(f"{path} holds no {PLAN}, so it is not a run directory")
    if model is None:
        return
    try:
        plan = parse_plan(strictjson.loads(read_bytes_limited(path / PLAN, _LIMIT), str(path / PLAN)))
    except RecordError as error:
        raise InputError(f"{path / PLAN}: {error}") from error
    if plan.model != model:
        raise InputError(f"{path} is a run of model {plan.model}, not of {model}")

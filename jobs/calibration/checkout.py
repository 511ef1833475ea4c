"""Where a calibration checkout's files lie, and which of them are meant (spec/calibration.md, "Where things lie")."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path
from typing import Literal

from gates.calibration.schema import Manifest, SchemaError, parse_manifest
from gates.documents import Json
from hosts.errors import InputError
from hosts.local.files import ReadError, read_bytes_limited
from hosts.local.pasting import pasted
from hosts.profiles import HostProfile, profile_paths
from hosts.yamldoc import YamlDocument, load
from hosts.yamlmodel import Loaded
from jobs.calibration.config import ModelConfig, read_config

_MOST_MANIFEST = 32 << 20  # a thousand stages take less than one


class NoHostsError(InputError):
    """There is no folder of host profiles here, and nobody said where."""


class SeveralError(InputError):
    """There are several checkouts.

    Attributes:
        checkouts: Which.
    """

    def __init__(self, checkouts: Sequence[Checkout]) -> None:
        names = ", ".join(str(one.root) for one in checkouts)
        super().__init__(f"several folders hold models: {names}; choose one with --root, or work in it")
        self.checkouts = tuple(checkouts)


VenvSource = Literal["flag", "env", "host", "config"]


@dataclass(frozen=True)
class Checkout:
    """A folder that holds `models/` and, when there are profiles, `hosts/`."""

    root: Path

    @property
    def models_folder(self) -> Path:
        return self.root / "models"

    @property
    def hosts_folder(self) -> Path:
        return self.root / "hosts"

    def config_path(self, model: str) -> Path:
        """Where a model's configuration is."""
        return self.models_folder / model / "config.yaml"

    def manifest_path(self, model: str) -> Path:
        """Where a model's stages are."""
        return self.models_folder / model / "stages.yaml"

    def models(self) -> tuple[str, ...]:
        """The models' names, sorted: folders that hold a configuration or a manifest.

        Raises:
            InputError: There is no models folder, or it cannot be read.
        """
        try:
            return tuple(sorted(entry.name for entry in self.models_folder.iterdir() if _is_model(entry)))
        except FileNotFoundError:
            raise InputError(f"{self.models_folder}: no such folder; --root is the folder that holds models/") from None
        except OSError as error:
            raise InputError(f"cannot list {self.models_folder}: {error.strerror or error}") from error


@dataclass(frozen=True)
class Venv:
    """Which Python runs the tests, who said so, and where that stands.

    Attributes:
        also: What was named before it and does not exist; only where it does not exist either.
    """

    path: str
    source: VenvSource
    where: str
    also: tuple[str, ...] = ()


def find_checkout(root: str | None, cwd: Path | None = None) -> Checkout:
    """Find the folder that holds `models/` and `hosts/`.

    Args:
        root: What `--root` said: that folder, or a repository that holds it in `.claude/skills/*/`. Without it the
            current folder and those above it are searched, up to the git top level.
        cwd: The current folder.

    Raises:
        InputError: There is none, or there are several.
    """
    start = Path.cwd() if cwd is None else cwd
    if root is not None:
        folder = (start / Path(root).expanduser()).absolute()
        if not folder.is_dir():
            raise InputError(f"--root {root}: no such folder")
        found = _checkouts_in(folder)
        if not found and ((folder / "models").is_dir() or (folder / "hosts").is_dir()):
            found = [folder]  # named on purpose: what is missing in it is told by whoever needs it
        searched = f"{root} holds neither models/ nor .claude/skills/*/models/"
    else:
        found = []
        for folder in _upwards(start):
            found = _checkouts_in(folder)
            if found:
                break
        searched = f"no models/*/config.yaml in {start} or above it"
    if len(found) > 1:
        raise SeveralError([Checkout(folder) for folder in found])
    if not found:
        raise InputError(f"{searched}; --root is the folder that holds models/ and hosts/, or its repository")
    return Checkout(found[0])


def find_hosts(root: str | None, cwd: Path | None = None) -> Path:
    """Find the folder of host profiles: that of the checkout, else one here that has profiles and no models beside it.

    Args:
        root: As of `find_checkout`.
        cwd: The current folder.

    Raises:
        NoHostsError: There is none here, and nobody said where.
        SeveralError: There are several checkouts.
        InputError: There is none where it was said to be.
    """
    try:
        return find_checkout(root, cwd).hosts_folder
    except InputError:
        start = Path.cwd() if cwd is None else cwd
        folders = [folder / "hosts" for folder in _upwards(start)] if root is None else []
        found = next((folder for folder in folders if folder.is_dir() and profile_paths(folder)), None)
        if found is not None:
            return found
        if root is not None or any(map(_checkouts_in, _upwards(start))):
            raise
    raise NoHostsError(
        f"no hosts/*.yaml in {start} or above it, and no models/*/config.yaml; "
        "--root is the folder that holds them, or its repository"
    )


def find_checkout_near(root: str | None, run_dir: Path | None) -> Checkout:
    """As `find_checkout`; without `--root` the checkout above `run_dir` is preferred to the one around us.

    Raises:
        InputError: There is none in either place, or there are several.
    """
    above = checkout_above(run_dir) if root is None and run_dir is not None else None
    return find_checkout(root) if above is None else above


def checkout_above(run_dir: Path) -> Checkout | None:
    """The checkout whose run `run_dir` looks to be, by where it lies; None when it lies in none."""
    for folder in run_dir.absolute().parents:
        found = _checkouts_in(folder)
        if len(found) == 1:
            return Checkout(found[0])
    return None


def find_repo(checkout: Checkout, flag: str | None, profile: HostProfile | None, cwd: Path | None = None) -> Path:
    """Find the repository whose tests run: `--repo`, the profile's when it exists here, git's, else the root itself.

    Raises:
        InputError: `--repo` names no folder.
    """
    if flag is not None:
        chosen = ((Path.cwd() if cwd is None else cwd) / Path(flag).expanduser()).absolute()
        if not chosen.is_dir():
            raise InputError(f"--repo {flag}: no such folder")
        return chosen
    if profile is not None and profile.repo_root:
        known = Path(profile.repo_root).expanduser()
        if known.is_absolute() and known.is_dir():
            return known
    return git_top(checkout.root) or checkout.root


def git_top(folder: Path) -> Path | None:
    """The top of the git work tree that holds `folder`; a worktree's or submodule's `.git` is a file."""
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), None)


def choose_model(checkout: Checkout, asked: str | None) -> str:
    """The model's name: what was asked for, or the only one there is.

    Raises:
        InputError: It is unknown, or there are several and none was asked for.
    """
    models = checkout.models()
    if asked is None:
        if len(models) == 1:
            return models[0]
        if not models:
            raise InputError(f"{checkout.models_folder} holds no model (no models/*/config.yaml)")
        raise InputError(f"there are several models; choose one with --model: {', '.join(models)}")
    if asked in models:
        return asked
    if asked in {entry.name for entry in checkout.models_folder.iterdir()}:
        raise InputError(f"{checkout.models_folder / asked} holds neither config.yaml nor stages.yaml")
    raise InputError(f"--model {asked}: no such model in {checkout.models_folder}{_near(asked, models)}")


def load_config(checkout: Checkout, model: str) -> Loaded[ModelConfig]:
    """Read a model's config.yaml; a missing name becomes the folder's.

    Raises:
        InputError: It is missing or wrong.
    """
    path = checkout.config_path(model)
    if not path.is_file():
        raise InputError(f"{path} is missing; every model has one (spec: test_globs, metric_sources, …)")
    loaded = read_config(path)
    if loaded.value.name:
        return loaded
    return Loaded(loaded.value.model_copy(update={"name": model}), loaded.warnings)


def load_manifest(checkout: Checkout, model: str) -> Manifest:
    """Read a model's stages.yaml.

    Raises:
        InputError: It is missing or wrong.
    """
    return load_manifest_document(checkout, model)[0]


def load_manifest_document(checkout: Checkout, model: str) -> tuple[Manifest, Json]:
    """A model's stages.yaml, read, and as the plain data that a run freezes.

    Raises:
        InputError: It is missing or wrong.
    """
    path = checkout.manifest_path(model)
    try:
        data = read_bytes_limited(path, _MOST_MANIFEST)
    except ReadError as error:
        if error.errno == ENOENT:
            command = pasted(["gatewatch", "calibrate", "discover", "--model", model])
            raise InputError(f"{path} is missing; make it with: {command}") from None
        raise
    try:
        document = _with_typed_variables(load(data, str(path)))
        return parse_manifest(document, str(path)), document
    except SchemaError as error:
        raise InputError(str(error)) from error


def choose_venv(
    flag: str | None,
    environ: Mapping[str, str],
    profile: HostProfile | None,
    config: ModelConfig,
    model: str,
    exists: Sequence[str] | None = None,
) -> Venv:
    """Which Python runs the tests: `--venv-python`, $TUNE_VENV_PYTHON, the profile, the configuration.

    Args:
        model: The folder's name, so that the configuration can be named.
        exists: Those of the candidates that exist on the host where the job runs; None means to look here.

    Raises:
        InputError: Nobody names one.
    """
    where = f"config models/{model}/config.yaml"
    if flag:
        return Venv(flag, "flag", "--venv-python")
    wanted = environ.get("TUNE_VENV_PYTHON")
    if wanted:
        return Venv(wanted, "env", "$TUNE_VENV_PYTHON")
    if profile is not None and profile.venv_python:
        return _first(profile.venv_python, exists, "host", f"host {profile.name}")
    if config.default_venv_python:
        return _first(config.default_venv_python, exists, "config", where)
    raise InputError(f"no venv python is named; pass --venv-python, or set default_venv_python in {where}")


def _first(candidates: Sequence[str], exists: Sequence[str] | None, source: VenvSource, where: str) -> Venv:
    there = [path for path in candidates if _exists(path, exists)]
    return Venv((there or candidates[-1:])[0], source, where, () if there else tuple(candidates[:-1]))


def first_existing(candidates: Sequence[str], exists: Sequence[str] | None = None) -> str:
    """The first candidate that exists, else the last; `exists` as for `choose_venv`."""
    return next((path for path in candidates if _exists(path, exists)), candidates[-1])


def _exists(path: str, exists: Sequence[str] | None) -> bool:
    return Path(path).expanduser().is_file() if exists is None else path in exists


def missing_venv(venv: Venv) -> str:
    """That the chosen Python does not exist, with all that was named."""
    if not venv.also:
        return f"venv python {venv.path} (from {venv.where}) does not exist"
    return f"none of the venv pythons {', '.join((*venv.also, venv.path))} (from {venv.where}) exists"


def _with_typed_variables(document: YamlDocument) -> Json:
    """The manifest's data with every variable as it was typed: `1.10` is no number in an environment."""
    stages = document.value
    if not isinstance(stages, dict):
        return stages
    typed = dict(stages)
    for key, stage in stages.items():
        variables = stage.get("extra_env") if isinstance(stage, dict) else None
        if isinstance(stage, dict) and isinstance(variables, dict):
            texts = {name: document.text((key, "extra_env", name)) for name in variables}
            env = {name: value if texts[name] is None else texts[name] for name, value in variables.items()}
            typed[key] = {**stage, "extra_env": env}
    return typed


def _is_model(folder: Path) -> bool:
    if folder.name.startswith("."):
        return False
    return (folder / "config.yaml").is_file() or (folder / "stages.yaml").is_file()


def _holds_models(folder: Path) -> bool:
    # A target project may have a `models` package of its own, so the name alone says nothing.
    try:
        return any(_is_model(entry) for entry in (folder / "models").iterdir())
    except OSError:
        return False


def _checkouts_in(folder: Path) -> list[Path]:
    if _holds_models(folder):
        return [folder]
    return [skill for skill in sorted((folder / ".claude" / "skills").glob("*")) if _holds_models(skill)]


def _upwards(start: Path) -> list[Path]:
    top = git_top(start)
    if top is None:
        return [start]
    return [folder for folder in (start, *start.parents) if folder == top or top in folder.parents]


def _near(asked: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(asked, names, n=1)
    guess = f"; did you mean {near[0]}?" if near else ""
    return f"{guess} (there are: {', '.join(names) or 'none'})"

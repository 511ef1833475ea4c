"""The precheck verb: look at everything that a run needs on this host, and change nothing (spec, section 1)."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gates.calibration.environment import UNKNOWN
from gates.calibration.layout import FINGERPRINT, PLAN, PRECHECK
from gates.calibration.precheck import Asked, Item, PrecheckResult, failed, parse_asked, passed
from gates.calibration.precheck_judges import (
    CALIBRATED,
    judge_caches,
    judge_caps,
    judge_pins,
    judge_preload,
    judge_reference,
    wanted_of,
)
from gates.calibration.requirements import canonical
from hosts.errors import InputError
from hosts.host import Accelerators, Json
from hosts.local import strictjson
from hosts.local.accelerators import read_accelerators
from hosts.local.files import read_bytes_limited, utc_now, write_atomic
from hosts.local.pasting import pasted, quoted
from hosts.local.verbs import text_of
from jobs.runner import git
from jobs.runner.calibration import assets
from jobs.runner.calibration.cold import cold_paths
from jobs.runner.calibration.environ import complete
from jobs.runner.calibration.gpu_items import look_at_gpus
from jobs.runner.calibration.job import GpuRules, parse_gpu
from jobs.runner.calibration.mends import install_into, make_venv, system_package
from jobs.runner.calibration.pyproject import required
from jobs.runner.calibration.surroundings import (
    GIB,
    describe,
    effective_capabilities,
    look_at_compilers,
    look_at_disk,
    look_at_folder,
    look_at_logout,
)
from jobs.runner.fingerprint import fingerprint_of, fingerprinted, probe

_FILE_LIMIT = 4 << 20
_COMPILED = "flashinfer-python"


def precheck(payload: Json) -> Json:
    """Look at everything that was asked for.

    Args:
        payload: `gates.calibration.precheck.asked_json`.

    Returns:
        `PrecheckResult.to_json` and the fingerprint.

    Raises:
        InputError: The payload has another shape.
    """
    try:
        asked = parse_asked(payload)
    except ValueError as error:
        raise InputError(str(error)) from error
    look = _Look(asked)
    items = look.items()
    seen = look.accelerators
    names = sorted({str(device.name) for device in seen.devices if device.name})
    result = PrecheckResult(
        items=tuple(items),
        hostname=platform.node(),
        git_sha=look.git_sha,
        gpu_count=len(seen.devices) if seen.source != UNKNOWN else None,
        gpu_model=", ".join(names) or None,
    )
    return {**result.to_json(), "fingerprint": look.fingerprint}


def write_precheck(payload: Json) -> Json:
    """Keep what a precheck found in a fresh run directory, which is made if need be.

    Args:
        payload: {folder, repo, precheck, fingerprint}. Not "run_dir": the key of this call is kept with the user's
            state, and the directory gets these two files and no more.

    Returns:
        {paths}.

    Raises:
        InputError: The directory holds a run already, whose own record this would replace; or git would track it.
    """
    folder = Path(os.path.expanduser(text_of(payload, "folder")))
    assert isinstance(payload, dict)  # text_of has seen to it
    if not folder.is_absolute():
        raise InputError(f"the run directory must be absolute on the host, got {folder}")
    if os.path.lexists(folder / PLAN):
        raise InputError(f"{folder} holds a run already, whose record stays as it is; name a fresh directory")
    repo = Path(os.path.expanduser(text_of(payload, "repo")))
    try:
        tracked = not git.is_ignored(repo, folder)
    except InputError:
        tracked = False  # no git there: nothing tracks it, and the item says so
    if tracked:
        raise InputError(f"git would track {folder}; put it below a folder that git ignores")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror or error}") from error
    written = [PRECHECK]
    body = payload.get("precheck")
    write_atomic(
        folder / PRECHECK, strictjson.dumps({**(body if isinstance(body, dict) else {}), "at": utc_now()}, indent=2)
    )
    if payload.get("fingerprint") is not None:
        write_atomic(folder / FINGERPRINT, strictjson.dumps(payload["fingerprint"], indent=2))
        written.append(FINGERPRINT)
    return {"paths": [str(folder / name) for name in written]}


class _Look:
    """One precheck at work; every item is found out by itself, and none changes anything."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.repo = Path(os.path.expanduser(asked.repo))
        self.environment = complete(os.environ, asked.overlay, None)
        self.environments = [(unit, complete(os.environ, {**asked.overlay, **unit.env}, None)) for unit in asked.units]
        self.accelerators: Accelerators = read_accelerators()
        self.git_sha: str | None = None
        self.fingerprint: Json = None
        self._python: Mapping[str, Json] = {}

    def items(self) -> list[Item]:
        """Everything, in the order in which a person would mend it."""
        found = [*self._profile(), *self._repository(), *self._venv(), *self._pins(), *self._assets()]
        found += [*self._places(), *self._gpus(), *self._compilers(), *self._capabilities()]
        found += [self._preload(), *self._locks(), *self._disk()]
        found += [item for item in (look_at_logout(self.environment), self._reference()) if item is not None]
        return list(dict.fromkeys(found))

    def _profile(self) -> list[Item]:
        if self.asked.profile is None:
            return []
        name, _path, hostname = self.asked.profile
        here = platform.node()
        other = (
            f" (its hostname is {hostname}, this machine calls itself {here})" if hostname not in (None, here) else ""
        )
        return [passed("host profile", f"{name}{other}")]

    def _repository(self) -> list[Item]:
        shown, url = quoted(str(self.repo)), self.asked.clone_url
        clone = None if url is None else f"git clone {quoted(url)} {shown}"
        whence = "" if url else "; put the project's clone there, or name another folder with --repo"
        if not os.path.lexists(self.repo):
            return [failed("repository", f"{self.repo} is not there{whence}", clone)]
        try:
            self.git_sha = git.head(self.repo)
        except InputError as error:
            return [self._no_head(str(error), clone, whence)]
        items = [passed("repository", f"{self.repo} at {self.git_sha}")]
        return items + self._tests(shown) + self._run_directory()

    def _no_head(self, error: str, clone: str | None, whence: str) -> Item:
        owned = re.search(r"dubious ownership in repository at '(.+)'", error)
        if owned is not None:
            mend = f"git config --global --add safe.directory {quoted(owned[1])}"
            return failed("repository", error, mend)
        if error.endswith("git is not installed"):
            return failed("repository", error, system_package("git"))
        if "not a git repository" in error and not os.listdir(self.repo):
            return failed("repository", f"{self.repo} is an empty folder{whence}", clone)
        return failed("repository", error)

    def _tests(self, shown: str) -> list[Item]:
        tests = list(dict.fromkeys(unit.test for unit in self.asked.units if unit.test))
        gone = [test for test in tests if not (self.repo / test).is_file()]
        known = {test for test in gone if git.file_at(self.repo, self.git_sha or "", test) is not None}
        items: list[Item] = []
        for test in gone:
            if test in known:
                mend = f"git -C {shown} checkout HEAD -- {quoted(test)}"
                items.append(failed("tests", f"{test} is not in {self.repo}, and HEAD has it", mend))
            elif len(gone) == len(tests) and not known:
                why = "and so is no other test of stages.yaml: is this the right repository and commit?"
                items.append(failed("tests", f"{test} is neither in {self.repo} nor in its HEAD, {why}"))
            else:
                items.append(failed("tests", f"{test} is neither in {self.repo} nor in its HEAD", self._discover()))
        return items

    def _discover(self) -> str:
        model = Path(self.asked.config).parent
        words = ["--root", str(model.parent.parent), "--model", model.name, "--repo", self.asked.repo]
        if self.asked.profile is not None:
            words += ["--host", self.asked.profile[0]]
        return f"gatewatch calibrate discover {pasted(words)}"

    def _run_directory(self) -> list[Item]:
        if self.asked.run_dir is None:
            return []
        folder = Path(os.path.expanduser(self.asked.run_dir))
        try:
            if git.is_ignored(self.repo, folder):
                return [passed("run directory", folder)]
            top = git.top(self.repo)
            inside = folder.parent if folder.parent != top else folder
            line = f"/{Path(os.path.realpath(inside)).relative_to(top).as_posix()}/"
            ignores = top / ".gitignore"
            # A last line without an end would swallow ours.
            ended = not ignores.is_file() or read_bytes_limited(ignores, _FILE_LIMIT)[-1:] in (b"", b"\n")
        except (InputError, ValueError) as error:
            return [failed("run directory", error)]
        literal = quoted(re.sub(r"([\\*?\[])", r"\\\1", line))
        form = "'%s\\n'" if ended else "'\\n%s\\n'"
        mend = f"printf {form} {literal} >> {quoted(str(ignores))}"
        return [failed("run directory", f"git would track {folder}", mend)]

    def _venv(self) -> list[Item]:
        if self.asked.venv_python is None:
            where = f"; set default_venv_python in {self.asked.config}, or pass --venv-python"
            said = self.asked.venv_problem or "no venv python is named"
            return [failed("venv", said + ("" if "--venv-python" in said else where))]
        python = os.path.expanduser(self.asked.venv_python)
        pytest_wanted = quoted(wanted_of("pytest", self.asked.pins, required(self.repo)[0]))
        if not os.path.isfile(python):
            mend = make_venv(python, pytest_wanted)
            also = self.asked.venv_also
            named = f"{python} is not there" if not also else f"none of {', '.join((*also, python))} is there"
            return [failed("venv", named + ("" if mend else "; name one that is with --venv-python"), mend)]
        if not os.access(python, os.X_OK):
            return [failed("venv", f"{python} is not executable", f"chmod +x {quoted(python)}")]
        pins = tuple(self.asked.pins)
        names = dict.fromkeys((*CALIBRATED, *map(canonical, pins)))
        try:
            said_by = probe(python, self.environment, (*names, *fingerprinted(pins)))
        except InputError as error:
            # One that hangs may be whole, on a file system that is not: nothing is made anew for that.
            hangs = isinstance(error.__cause__, subprocess.TimeoutExpired)
            return [failed("venv", error, None if hangs else make_venv(python, pytest_wanted))]
        self._python = said_by
        if said_by.get("pytest") is None:
            return [failed("venv", f"{python} has no pytest", f"{self._install()} {pytest_wanted}")]
        self.fingerprint = fingerprint_of(said_by, self.environment, self.accelerators, pins)
        return [passed("venv", f"{python}: Python {said_by.get('python')}, pytest {said_by.get('pytest')}")]

    def _install(self) -> str:
        python = os.path.expanduser(self.asked.venv_python or "python3")
        return install_into(python, self._python.get("pip") is True)

    def _pins(self) -> list[Item]:
        if not self._python:
            return []
        packages, markers = self._python.get("pins"), self._python.get("markers")
        listed, problem = required(self.repo)
        items = judge_pins(
            self.asked.pins,
            listed,
            {canonical(name): str(found) for name, found in _mapping(packages).items() if isinstance(found, str)},
            {name: str(value) for name, value in _mapping(markers).items()},
            self._install(),
        )
        return [*items, *([failed("pins", problem)] if problem else [])]

    def _assets(self) -> list[Item]:
        client = assets.client_of(self.asked.venv_python, self._install() if self._python else None)
        items: list[Item] = []
        for unit, environment in self.environments:
            for kind, names in ((assets.MODEL, unit.models), (assets.DATASET, unit.datasets)):
                items.extend(assets.look_at_asset(kind, name, environment, client) for name in names)
            if unit.speaker_sim:
                items.append(assets.look_at_speaker(environment.get("SEEDTTS_SIM_CACHE_DIR"), self.asked.bootstrap))
        return list(dict.fromkeys(items))

    def _places(self) -> list[Item]:
        items: list[Item] = []
        for environment in (*(one for _unit, one in self.environments), self.environment):
            home = environment.get("OMNI_CI_HOME")
            if home or "HOME" in self.asked.overlay:
                items.append(look_at_folder("HOME", environment.get("HOME", "")))
            if home:
                items.append(look_at_folder("OMNI_CI_HOME", home))
        tests = {unit.test: environment for unit, environment in self.environments}
        return [*dict.fromkeys(items), *judge_caches(tests, self.asked.config)]

    def _gpus(self) -> list[Item]:
        profile = None if self.asked.profile is None else self.asked.profile[1]
        return look_at_gpus(self.asked.need, self.accelerators, _rules(self.asked.gpu), profile)

    def _compilers(self) -> list[Item]:
        """Asked where something is compiled at every start: a cache that is emptied, and GPUs to compile for."""
        items: list[Item] = []
        has = _mapping(self._python.get("pins")).get(_COMPILED) is not None
        for unit, environment in self.environments:
            try:
                folders = cold_paths(self.asked.cold_paths, environment)
            except InputError as error:
                items.append(failed("cold_paths", f"{error}; it is set in {self.asked.config}"))
                continue
            if unit.gpus and folders and (has or self.asked.cold_paths is not None):
                items.extend(self._compile(environment))
        return list(dict.fromkeys(items))

    def _compile(self, environment: Mapping[str, str]) -> list[Item]:
        cuda, shell = self.accelerators.cuda, self.asked.shell
        return look_at_compilers(environment, self.asked.venv_python, cuda, shell=shell, config=self.asked.config)

    def _capabilities(self) -> list[Item]:
        wanted = [(unit.test, cap) for unit in self.asked.units for cap in unit.caps]
        return judge_caps(wanted, effective_capabilities()) if wanted else []

    def _preload(self) -> Item:
        ours, theirs = os.environ.get("LD_PRELOAD", ""), self.environment.get("LD_PRELOAD", "")
        configured = self.asked.config if theirs != ours else None
        return judge_preload(theirs, _system_preload(), configured, self.asked.shell)

    def _locks(self) -> list[Item]:
        """Locks on what the tests will open."""
        hubs: dict[Path, dict[str, None]] = {}
        for unit, environment in self.environments:
            names = [f"models--{name.replace('/', '--')}" for name in unit.models if not name.startswith(("/", "~"))]
            names += [
                f"datasets--{name.replace('/', '--')}" for name in unit.datasets if not name.startswith(("/", "~"))
            ]
            if names:
                hubs.setdefault(assets.hub_of(environment), {}).update(dict.fromkeys(names))
        if not hubs:
            return []
        locks = [lock for hub, names in hubs.items() for lock in assets.held_locks(hub, names)]
        return [assets.look_at_locks(locks, {lock.pid: describe(lock.pid) for lock in locks})]

    def _disk(self) -> list[Item]:
        need = 10 * GIB if self.asked.need else GIB
        base = Path(os.path.expanduser(self.asked.run_dir)) if self.asked.run_dir else self.repo
        items = [look_at_disk(base, need, "disk")]
        home = self.environment.get("OMNI_CI_HOME")
        if home:
            items.append(look_at_disk(Path(home), need, "disk of OMNI_CI_HOME"))
        return items

    def _reference(self) -> Item | None:
        return judge_reference(self.fingerprint, self.asked.reference)


def _rules(document: Json) -> GpuRules:
    return parse_gpu(document) if document is not None else GpuRules()


def _system_preload() -> str:
    try:
        return read_bytes_limited(Path("/etc/ld.so.preload"), _FILE_LIMIT).decode("utf-8", "replace")
    except InputError:
        return ""


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}

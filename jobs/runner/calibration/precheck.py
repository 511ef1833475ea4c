"""The precheck verb: look at everything that a run needs on this host, and change nothing (spec, section 1)."""

from __future__ import annotations

import importlib
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gates.calibration.environment import UNKNOWN
from gates.calibration.layout import FINGERPRINT, PLAN, PRECHECK
from gates.calibration.precheck import FREE_GPUS, Asked, Item, PrecheckResult, failed, parse_asked, passed
from gates.calibration.precheck_judges import (
    CALIBRATED,
    judge_caches,
    judge_caps,
    judge_pins,
    judge_preload,
    judge_reference,
)
from gates.calibration.requirements import canonical
from hosts.errors import InputError
from hosts.host import Accelerators, Json
from hosts.local import strictjson
from hosts.local.accelerators import read_accelerators
from hosts.local.files import read_bytes_limited, utc_now, write_atomic
from hosts.local.leases import holder_of, is_held, lease_name, lease_place
from hosts.local.verbs import text_of
from jobs.runner import git
from jobs.runner.calibration import assets
from jobs.runner.calibration.cold import cold_paths
from jobs.runner.calibration.environ import complete
from jobs.runner.calibration.gpus import busy_reason, choices, usable
from jobs.runner.calibration.job import GpuRules, parse_gpu
from jobs.runner.calibration.surroundings import (
    GIB,
    describe,
    effective_capabilities,
    look_at_compilers,
    look_at_disk,
    look_at_folder,
    look_at_logout,
)
from jobs.runner.fingerprint import fingerprint

_TIMEOUT_S = 60.0
_FILE_LIMIT = 4 << 20
_COMPILED = "flashinfer-python"
# Python 3.8 reads this. Versions come from metadata: importing torch takes seconds and may fail.
_PROBE = """
import json, os, platform, sys
try:
    from importlib import metadata
except ImportError:
    metadata = None
def version(name):
    try:
        return metadata.version(name)
    except Exception:
        return None
try:
    import pytest
    has = pytest.__version__
except Exception:
    has = None
try:
    import importlib.util
    pip = importlib.util.find_spec("pip") is not None
except Exception:
    pip = False
v = sys.implementation.version
full = "%d.%d.%d" % v[:3] + ("" if v[3] == "final" else v[3][0] + str(v[4]))
print("\\n" + json.dumps({"python": platform.python_version(), "pytest": has, "pip": pip,
    "packages": {name: version(name) for name in sys.argv[1:]},
    "markers": {"os_name": os.name, "sys_platform": sys.platform, "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(), "platform_release": platform.release(),
        "platform_system": platform.system(), "platform_version": platform.version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "python_full_version": platform.python_version(), "implementation_name": sys.implementation.name,
        "implementation_version": full}}))
"""


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
        found += [judge_preload(_preloaded(self.environment)), *self._locks(), *self._disk()]
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
        shown = shlex.quote(str(self.repo))
        if not self.repo.is_dir():
            return [failed("repository", f"{self.repo} is not there", f"git clone URL {shown}")]
        try:
            self.git_sha = git.head(self.repo)
        except InputError as error:
            nowhere = "not a git repository" in str(error)
            return [failed("repository", error, f"git clone URL {shown}" if nowhere else f"git -C {shown} log -1")]
        items = [passed("repository", f"{self.repo} at {self.git_sha}")]
        for test in dict.fromkeys(unit.test for unit in self.asked.units if unit.test):
            if not (self.repo / test).is_file():
                known = git.file_at(self.repo, self.git_sha, test) is not None
                mend = f"git -C {shown} checkout HEAD -- {shlex.quote(test)}" if known else self._discover()
                items.append(failed("tests", f"{test} is not in {self.repo}", mend))
        return items + self._run_directory(shown)

    def _discover(self) -> str:
        model = Path(self.asked.config).parent
        return f"gatewatch calibrate discover --root {shlex.quote(str(model.parent.parent))} --model {model.name}"

    def _run_directory(self, shown: str) -> list[Item]:
        if self.asked.run_dir is None:
            return []
        folder = Path(os.path.expanduser(self.asked.run_dir))
        try:
            if git.is_ignored(self.repo, folder):
                return [passed("run directory", folder)]
            top = git.top(self.repo)
            inside = folder.parent if folder.parent != top else folder
            line = f"/{Path(os.path.realpath(inside)).relative_to(top).as_posix()}/"
        except (InputError, ValueError) as error:
            return [failed("run directory", error, f"git -C {shown} status")]
        mend = f"echo {shlex.quote(line)} >> {shlex.quote(str(top / '.gitignore'))}"
        return [failed("run directory", f"git would track {folder}", mend)]

    def _venv(self) -> list[Item]:
        python = self.asked.venv_python
        if python is None:
            mend = f"$EDITOR {shlex.quote(self.asked.config)}  # set default_venv_python"
            return [failed("venv", self.asked.venv_problem or "no venv python is named", mend)]
        python = os.path.expanduser(python)
        folder = os.path.dirname(os.path.dirname(python))
        if not os.path.isfile(python) or not os.access(python, os.X_OK):
            return [failed("venv", f"{python} is not there", f"python3 -m venv {shlex.quote(folder)}")]
        said = self._ask(python)
        if isinstance(said, str):
            return [failed("venv", said, f"python3 -m venv --upgrade {shlex.quote(folder)}")]
        self._python = said
        if said.get("pytest") is None:
            return [failed("venv", f"{python} has no pytest", f"{self._install()} pytest")]
        try:
            self.fingerprint = fingerprint(python, self.environment, self.accelerators, tuple(self.asked.pins))
        except InputError as error:
            return [failed("venv", error, f"{shlex.quote(python)} -m pytest --version")]
        return [passed("venv", f"{python}: Python {said.get('python')}, pytest {said.get('pytest')}")]

    def _ask(self, python: str) -> dict[str, Json] | str:
        names = dict.fromkeys((*CALIBRATED, *map(canonical, self.asked.pins)))
        try:
            answer = subprocess.run(
                [python, "-c", _PROBE, *names],
                env=self.environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
            lines = answer.stdout.decode("utf-8", "replace").strip().splitlines()
            body = strictjson.loads(lines[-1], "its answer") if lines else None
        except (OSError, subprocess.TimeoutExpired, InputError) as error:
            return f"{python} does not run: {error}"
        if answer.returncode != 0 or not isinstance(body, dict):
            said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
            return f"{python} does not run: {said[-1] if said else f'exit {answer.returncode}'}"
        return body

    def _install(self) -> str:
        python = shlex.quote(os.path.expanduser(self.asked.venv_python or "python3"))
        return f"{python} -m pip install" if self._python.get("pip") else f"uv pip install --python {python}"

    def _pins(self) -> list[Item]:
        if not self._python:
            return []
        packages, markers = self._python.get("packages"), self._python.get("markers")
        required, problem = _required(self.repo)
        items = judge_pins(
            self.asked.pins,
            required,
            {canonical(name): str(found) for name, found in _mapping(packages).items() if isinstance(found, str)},
            {name: str(value) for name, value in _mapping(markers).items()},
            self._install(),
        )
        return [*items, *([failed("pins", problem, f"$EDITOR {self.repo}/pyproject.toml")] if problem else [])]

    def _assets(self) -> list[Item]:
        client = assets.client_of(self.asked.venv_python)
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
        need = self.asked.need
        if need == 0:
            return []
        seen, rules = self.accelerators, _rules(self.asked.gpu)
        if seen.source == UNKNOWN:
            return [failed("GPUs", f"{need} needed; the GPUs cannot be read: {seen.detail}", "nvidia-smi")]
        devices = usable(seen, rules)
        if len(devices) < need:
            why = f"{need} needed, this host offers {len(devices)} of {len(seen.devices)} (see gpu_exclude)"
            return [failed("GPUs", why, "nvidia-smi -L")]
        reasons: dict[int, str] = {}
        leases = lease_place(os.environ)
        for device in devices:
            reason = busy_reason(device, rules.limit_mib)
            lease = leases / lease_name(device.uuid or str(device.index))
            try:
                if reason is None and is_held(lease):
                    reason = f"GPU {device.index} is leased by {holder_of(lease)}"
            except InputError as error:
                reason = f"GPU {device.index}: {error}"
            if reason is not None:
                reasons[device.index] = reason
        clear = [device for device in devices if device.index not in reasons]
        if choices(devices, clear, need, rules):
            return [passed(FREE_GPUS, f"{len(clear)} of {len(devices)} are free, {need} needed")]
        pids = [process.pid for device in devices for process in device.processes or ()]
        said = "; ".join(reasons.values()) or "no group of GPUs is clear as a whole"
        mend = f"ps -o pid,user,etime,args -p {','.join(map(str, dict.fromkeys(pids)))}" if pids else "nvidia-smi"
        return [failed(FREE_GPUS, f"{len(clear)} of {len(devices)} are free, {need} needed: {said}", mend)]

    def _compilers(self) -> list[Item]:
        """Asked where something is compiled at every start: a cache that is emptied, and GPUs to compile for."""
        items: list[Item] = []
        has = _mapping(self._python.get("packages")).get(_COMPILED) is not None
        for unit, environment in self.environments:
            try:
                folders = cold_paths(self.asked.cold_paths, environment)
            except InputError as error:
                items.append(failed("cold_paths", error, f"$EDITOR {shlex.quote(self.asked.config)}"))
                continue
            if unit.gpus and folders and (has or self.asked.cold_paths is not None):
                items.extend(look_at_compilers(environment, self.asked.venv_python, self.accelerators.cuda))
        return list(dict.fromkeys(items))

    def _capabilities(self) -> list[Item]:
        wanted = [(unit.test, cap) for unit in self.asked.units for cap in unit.caps]
        return judge_caps(wanted, effective_capabilities()) if wanted else []

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


def project_requirements(text: str) -> list[str]:
    """The `dependencies` of `[project]` in a pyproject.toml.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        reader = importlib.import_module("tomllib")  # from Python 3.11 on
    except ModuleNotFoundError:
        return _array_of_texts(text)
    project = reader.loads(text).get("project")
    listed = project.get("dependencies") if isinstance(project, dict) else None
    return [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []


def _array_of_texts(text: str) -> list[str]:
    """The same without a TOML reader: the strings of that one array."""
    inside, table = False, ""
    found: list[str] = []
    rest = text
    while rest:
        line, _, rest = rest.partition("\n")
        word = line.strip()
        if not inside:
            if word.startswith("["):
                table = word.split("#", 1)[0].strip()
            key, equals, value = word.partition("=")
            inside = table == "[project]" and bool(equals) and key.strip() == "dependencies"
            word = value.strip() if inside else ""
        while inside and word:
            if word[0] == "]":
                return found
            if word[0] == "#":
                break
            if word[0] in "'\"":
                end = word.find(word[0], 1)
                if end < 0:
                    raise ValueError("a string of dependencies has no end")
                found.append(word[1:end])
                word = word[end:]
            word = word[1:].lstrip()
    if inside:
        raise ValueError("the list of dependencies has no end")
    return found


def _required(repo: Path) -> tuple[list[str], str]:
    """What the project's pyproject.toml requires, and why that cannot be read."""
    path = repo / "pyproject.toml"
    if not path.is_file():
        return [], ""
    try:
        return project_requirements(read_bytes_limited(path, _FILE_LIMIT).decode("utf-8")), ""
    except (InputError, ValueError) as error:
        return [], f"{path}: {error}"


def _rules(document: Json) -> GpuRules:
    return parse_gpu(document) if document is not None else GpuRules()


def _preloaded(environment: Mapping[str, str]) -> str:
    try:
        system = read_bytes_limited(Path("/etc/ld.so.preload"), _FILE_LIMIT).decode("utf-8", "replace")
    except InputError:
        system = ""
    return f"{environment.get('LD_PRELOAD', '')} {system}"


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}

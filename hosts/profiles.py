"""hosts/<H>.yaml: what is known of one host, and which of the profiles is meant (spec/calibration.md, section 1)."""

from __future__ import annotations

import difflib
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from hosts.errors import InputError
from hosts.ssh_spec import SshSpec
from hosts.target import parse_target
from hosts.yamlmodel import FileModel, Items, Table, read_model

POLL_CAP_S = 120.0
_NUMBERS = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*\Z")

Text = Annotated[str, StringConstraints(min_length=1)]
Index = Annotated[int, Field(ge=0)]


def _reachable_name(name: str) -> str:
    # Threat S2: a name from a file ends up where ssh reads options.
    try:
        target = parse_target(f"[{name}]:." if name.count(":") > 1 else f"{name}:.")
    except InputError as error:
        raise ValueError(f"{name!r} is not a host name") from error
    if target.host != name:
        raise ValueError(f"{name!r} is not a host name")
    return name


def _login(name: str) -> str:
    if not re.match(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*\Z", name):
        raise ValueError(f"{name!r} is not a login name")
    return name


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Physical(FileModel):
    """Where this host really keeps things; each becomes a variable of every job."""

    hf_hub: Text | None = None
    """HF_HOME."""
    speaker_sim: Text | None = None
    """SEEDTTS_SIM_CACHE_DIR."""
    omni_ci_home: Text | None = None
    """OMNI_CI_HOME."""


class AgentPolicy(FileModel):
    """How whoever babysits a run on this host is to behave."""

    env_check: Any = None
    poll_interval_max_s: Annotated[float, Field(ge=1)] | None = None


class Ssh(FileModel):
    """How to get there."""

    host: Annotated[Text, AfterValidator(_reachable_name)] | None = None
    """Name, address or alias; the profile's `hostname` when it is not given."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    user: Annotated[Text, AfterValidator(_login)] | None = None
    identity_file: Text | None = None
    known_hosts: Text | None = None
    """Where the host's key is; without it, in the files that the ssh configuration names, else ~/.ssh/known_hosts."""
    proxy_jump: Text | None = None
    """`[user@]host[:port]`, several separated by commas."""
    host_keys: Literal["strict", "accept-new"] = "strict"
    """What becomes of a host that `known_hosts` has no key for: refused, or added to that file. A changed key is
    always refused."""
    transport: Literal["asyncssh", "openssh"] = "asyncssh"
    """openssh: the `ssh` program itself, for sites with ControlMaster, GSSAPI or a second factor."""

    @field_validator("proxy_jump")
    @classmethod
    def _hops(cls, value: str | None) -> str | None:
        for hop in (value or "").split(",") if value else ():
            if not re.match(
                r"([A-Za-z0-9_.][\w.-]*@)?([A-Za-z0-9_.][\w.-]*|\[[0-9A-Fa-f:.%]+\])(:[0-9]{1,5})?\Z", hop.strip()
            ):
                raise ValueError(f"{hop.strip()!r} is not [user@]host[:port]")
        try:
            SshSpec("localhost").hops(value)  # what a way there cannot be made of
        except InputError as error:
            raise ValueError(str(error)) from None
        return value


class Reference(FileModel):
    """What this host has to be for its results to count."""

    gpu_model: Text | None = None
    image: Text | None = None
    pins: Table[str] = {}


@dataclass(frozen=True)
class Cpuset:
    """The CPUs that belong to a group of GPUs, both as sorted indices; `cpus_text` is how it was written."""

    gpus: tuple[int, ...]
    cpus: tuple[int, ...]
    cpus_text: str


class HostProfile(FileModel):
    """One host. `precheck_checklist` and `handoff` are for people who read the file, and not interpreted."""

    name: str = ""
    """The name to ask for it by; the file's name when it is not given."""
    hostname: Text | None = None
    repo_root: Text | None = None
    venv_python: Annotated[Items[Text], BeforeValidator(_one_or_more)] = ()
    gpu_exclude: Items[Index] = ()
    gpu_include: Items[Index] | None = None
    """Only these GPUs are used; None means all that `gpu_exclude` leaves."""
    physical: Physical = Physical()
    gpu_group_cpusets: Table[Text] = {}
    """GPU indices to CPU indices, such as "0,1" to "0-15,64-79"."""
    precheck_checklist: Any = None
    speaker_similarity_bootstrap: Any = None
    """The command that fetches what a precheck found to be missing."""
    agent_policy: AgentPolicy = AgentPolicy()
    handoff: Any = None

    ssh: Ssh | None = None
    enter: Items[Text] = ()
    """A hop into a container, as an argument vector: `[docker, exec, -i, NAME]`."""
    reference: Reference = Reference()
    launcher: Literal["local", "ssh", "slurm"] | None = None
    python: Text = "python3"
    """Which Python starts the runner there; 3.10 or newer."""

    @field_validator("gpu_group_cpusets", mode="after")
    @classmethod
    def _cpusets(cls, value: dict[str, str]) -> dict[str, str]:
        seen: set[int] = set()
        for gpus, cpus in value.items():
            indices = numbers(gpus)
            numbers(cpus)
            twice = seen.intersection(indices)
            if twice:
                raise ValueError(f"GPU {min(twice)} is in more than one group")
            seen.update(indices)
        return value

    @model_validator(mode="after")
    def _way_there(self) -> HostProfile:
        if self.launcher == "ssh" and self.ssh_host is None:
            raise ValueError("launcher: ssh needs ssh.host, or hostname")
        return self

    @property
    def cpusets(self) -> tuple[Cpuset, ...]:
        """The groups of `gpu_group_cpusets`, in the order of the file."""
        return tuple(Cpuset(numbers(gpus), numbers(cpus), cpus) for gpus, cpus in self.gpu_group_cpusets.items())

    @property
    def poll_cap(self) -> float:
        """The longest that this host may go unobserved, in seconds; never more than two minutes."""
        asked = self.agent_policy.poll_interval_max_s
        return POLL_CAP_S if asked is None else min(POLL_CAP_S, asked)

    @property
    def ssh_host(self) -> str | None:
        """What to connect to, or None where nothing says it."""
        return (self.ssh.host if self.ssh else None) or self.hostname

    def way(self) -> Literal["local", "ssh"]:
        """How jobs are started there.

        Raises:
            InputError: It names a launcher that does not exist yet.
        """
        if self.launcher == "slurm":
            raise InputError(f"host {self.name}: launcher: slurm is not supported yet; use local or ssh")
        return self.launcher or ("ssh" if self.ssh else "local")

    def is_here(self, hostname: str) -> bool:
        """Whether `hostname` is this profile's; a short name and its long form are one."""
        if self.hostname is None:
            return False
        ours, theirs = self.hostname.lower().rstrip("."), hostname.lower().rstrip(".")
        if ours == theirs:
            return True
        return ("." in ours) != ("." in theirs) and ours.split(".")[0] == theirs.split(".")[0]


def numbers(text: str) -> tuple[int, ...]:
    """Read `0-3,8` as sorted indices.

    Raises:
        ValueError: It is something else, names an index twice, or a range runs backwards.
    """
    compact = re.sub(r"\s*([,-])\s*", r"\1", text.strip())
    if not _NUMBERS.match(compact):
        raise ValueError(f"{text!r} is not a list of indices such as 0-3,8")
    found: list[int] = []
    for part in compact.split(","):
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            raise ValueError(f"{part!r} runs backwards")
        found.extend(range(int(first), int(last or first) + 1))
    if len(set(found)) != len(found):
        raise ValueError(f"{text!r} names an index twice")
    return tuple(sorted(found))


@dataclass(frozen=True)
class ProfileFile:
    """A profile, the file it stands in, and what looked wrong in it."""

    profile: HostProfile
    path: Path
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selected:
    """The chosen profile and who chose it: flag, env or hostname."""

    file: ProfileFile
    source: Literal["flag", "env", "hostname"]


def profile_paths(folder: Path) -> list[Path]:
    """The profile files in a `hosts/` folder, sorted; none when there is no such folder."""
    try:
        found = [path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and path.name[0] not in "._"]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot list {folder}: {error.strerror or error}") from error
    return sorted(found)


def read_profile(path: Path) -> ProfileFile:
    """Read one profile.

    Raises:
        InputError: One line with file, line and key.
    """
    loaded = read_model(HostProfile, path)
    profile = loaded.value if loaded.value.name else loaded.value.model_copy(update={"name": path.stem})
    return ProfileFile(profile, path, loaded.warnings)


def select_profile(
    folder: Path, flag: str | None, environ: Mapping[str, str], hostname: str | None = None
) -> Selected | None:
    """Choose the profile: `--host`, then $TUNE_HOST, then this machine's own, then none.

    Args:
        folder: The `hosts/` folder of the checkout; it need not exist.
        flag: What `--host` said, or None.
        environ: Our environment.
        hostname: This machine's name, where it is not to be asked for.

    Raises:
        InputError: The name asked for is unknown, a profile cannot be read, or two say that they are this machine.
    """
    if flag is not None:
        return Selected(_named(folder, flag, "--host"), "flag")
    wanted = environ.get("TUNE_HOST")
    if wanted:
        return Selected(_named(folder, wanted, "$TUNE_HOST"), "env")
    here = socket.gethostname() if hostname is None else hostname
    matching = [file for file in map(read_profile, profile_paths(folder)) if file.profile.is_here(here)]
    if len(matching) > 1:
        names = ", ".join(str(file.path) for file in matching)
        raise InputError(f"several profiles have this machine's hostname {here}: {names}; choose one with --host")
    return Selected(matching[0], "hostname") if matching else None


def _named(folder: Path, wanted: str, asked_by: str) -> ProfileFile:
    paths = profile_paths(folder)
    for path in paths:
        if path.stem == wanted:
            return read_profile(path)  # whatever is wrong with the other files is no obstacle
    files, faults = [], []
    for path in paths:
        try:
            files.append(read_profile(path))
        except InputError as error:
            faults.append(error)
    matching = [file for file in files if file.profile.name == wanted]
    if len(matching) > 1:
        raise InputError(
            f"{asked_by} {wanted}: several profiles have that name: {', '.join(str(f.path) for f in matching)}"
        )
    if matching:
        return matching[0]
    if faults:  # one of these may be meant
        raise faults[0]
    if not files:
        raise InputError(f"{asked_by} {wanted}: there is no profile in {folder}")
    names = sorted({name for file in files for name in (file.path.stem, file.profile.name)})
    near = difflib.get_close_matches(wanted, names, n=1)
    guess = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{asked_by} {wanted}: no such profile in {folder}{guess} (there are: {', '.join(names)})")

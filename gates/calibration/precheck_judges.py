"""What a precheck thinks of what it found on a host: pins, capabilities, caches, preloaded proxies, the reference."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from gates.calibration.environment import DIFFERS, judge_environment
from gates.calibration.precheck import Item, failed, passed
from gates.calibration.requirements import RequirementError, canonical, holds, parse_requirement
from gates.calibration.versions import VersionError, fulfils
from gates.calibration.words import one_line
from gates.documents import Json

CALIBRATED = ("torch", "sglang", "flashinfer-python")
"""Distributions whose versions a project's own requirements are asked for."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95})?\Z", re.ASCII)
_CAPS = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
_EXACT = re.compile(r"(?:==\s*)?(v?\d[^,*\s]*)\s*\Z")
_BUILD = re.compile(r"\+(cu\d+|cpu)\s*\Z")
_URL = re.compile(r"(?P<scheme>https?|ssh|git)://(?:(?P<login>[^@/]*)@)?(?P<rest>[^-@/][^@]*)\Z")
_SCP = re.compile(r"(?:[A-Za-z0-9_.][\w.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!:|//)\S+\Z", re.ASCII)
_PROXY = re.compile(r"proxy|socks|graftcp", re.IGNORECASE)


def judge_pins(
    asked: Mapping[str, str],
    project: Sequence[str],
    installed: Mapping[str, str | None],
    markers: Mapping[str, str],
    install: str,
) -> list[Item]:
    """Hold what is installed against what people pinned, and against what the project itself requires.

    Args:
        asked: From the configuration and the profile: name to version or specifiers.
        project: The project's own requirements, as pyproject.toml lists them.
        installed: Name to version, None for what is not installed; names are canonical.
        markers: The marker variables of the Python of the tests.
        install: How one package is installed there, such as `uv pip install --python P`.
    """
    wanted: dict[str, list[tuple[str, str]]] = {}
    items: list[Item] = []
    for name, version in asked.items():
        wanted.setdefault(canonical(name), []).append((version.strip(), "pinned"))
    for text in project:
        try:
            requirement = parse_requirement(text)
            if requirement.name not in CALIBRATED or not holds(requirement.marker, markers):
                continue
        except RequirementError as error:
            if any(name in canonical(text) for name in CALIBRATED):
                items.append(failed("pins", f"pyproject.toml requires {text!r}, which cannot be read: {error}"))
            continue
        if requirement.wanted:
            wanted.setdefault(requirement.name, []).append((requirement.wanted, "required by pyproject.toml"))
    for name, versions in wanted.items():
        items.append(_pin(name, versions, installed.get(name), install))
    return items


def _pin(name: str, versions: Sequence[tuple[str, str]], found: str | None, install: str) -> Item:
    label = f"pin {name}"
    # All of it at once: what fulfils one and not another would be ✗ again.
    mend = f"{install} {_source(name, versions)}{shlex.quote(name + ','.join(map(_specifier, dict(versions))))}"
    clash = _clash(versions)
    if clash is not None:
        return failed(label, f"{found or 'not'} installed; {clash}, which no version can be")
    text, who = versions[0]
    if found is None:
        return failed(label, f"not installed; {text} is {who}", mend)
    for text, who in versions:
        try:
            if not fulfils(found, text):
                return failed(label, f"{found} is installed; {text} is {who}", mend)
        except VersionError as error:
            return failed(label, f"{found} is installed; {text} is {who}, which cannot be compared: {error}")
    return passed(label, found)


def wanted_of(name: str, pins: Mapping[str, str], project: Sequence[str]) -> str:
    """One distribution as it is to be installed: with the version that people pinned, else that the project requires.

    Args:
        project: The project's own requirements; one that cannot be read, or that has a marker, does not count.
    """
    for pinned, version in pins.items():
        if canonical(pinned) == name:
            return name + _specifier(version.strip())
    for text in project:
        try:
            requirement = parse_requirement(text)
        except RequirementError:
            continue
        if requirement.name == name and not requirement.marker and requirement.url is None:
            return name + requirement.wanted
    return name


def _specifier(text: str) -> str:
    return text if re.match(r"[=~!<>]", text) else f"=={text}"


def _clash(versions: Sequence[tuple[str, str]]) -> str | None:
    """One exact version that another requirement rules out; the rest is for the installer to work out."""
    for text, who in versions:
        exact = _EXACT.match(text)
        for other, whose in versions:
            try:
                if exact is not None and not fulfils(exact[1], other):
                    return f"{text} is {who} and {other} is {whose}"
            except VersionError:
                continue
    return None


def _source(name: str, versions: Sequence[tuple[str, str]]) -> str:
    """Builds for one CUDA version are on an index of their own."""
    built = next((found[1] for text, _who in versions if (found := _BUILD.search(text))), None)
    if built is None or name not in ("torch", "torchvision", "torchaudio"):
        return ""
    return f"--extra-index-url https://download.pytorch.org/whl/{built} "


def clone_source(url: str, same_machine: bool) -> str | None:
    """A checkout's remote as something that can be cloned elsewhere, without whatever secret it holds.

    Args:
        same_machine: The clone is made where the checkout is: then a path means the same.

    Returns:
        None for what only works in that checkout, and for an address that makes git run a command.
    """
    url = url.strip()
    if not url or re.search(r"[\x00-\x20\x7f]", url):
        return None
    found = _URL.match(url)
    if found is not None:
        login = (found["login"] or "").split(":")[0] if found["scheme"] == "ssh" else ""
        return f"{found['scheme']}://{login + '@' if login else ''}{found['rest']}"
    if url.startswith(("/", "file:///")):
        return url if same_machine else None
    return url if _SCP.match(url) else None


def judge_caps(wanted: Iterable[tuple[str, str]], effective: int | None) -> list[Item]:
    """Hold the capabilities that tests need against those that our processes have.

    Args:
        wanted: (test, capability), with or without the leading CAP_.
        effective: CapEff as a number, None where it cannot be read.
    """
    tests: dict[str, list[str]] = {}
    for test, cap in wanted:
        tests.setdefault(cap.strip().upper().removeprefix("CAP_"), []).append(test.rsplit("/", 1)[-1])
    items: list[Item] = []
    for cap, names in tests.items():
        label, needed = f"capability {one_line(cap, 40)}", f"needed by {', '.join(dict.fromkeys(names))}"
        if cap not in _CAPS:
            items.append(failed(label, f"{needed}; Linux has no capability of that name"))
        elif effective is None:
            items.append(failed(label, f"{needed}; /proc/self/status does not tell CapEff"))
        elif effective >> _CAPS.index(cap) & 1:
            items.append(passed(label, needed))
        else:
            why = f"CapEff {effective:016x} does not have it: start the container with --cap-add={cap}"
            items.append(failed(label, f"{needed}; {why}"))
    return items


def judge_caches(tests: Mapping[str, Mapping[str, str]], config: str) -> list[Item]:
    """See that compiled code is kept below OMNI_CI_HOME, for every test that has one.

    Args:
        tests: Each test's whole environment.
        config: Where it is set.
    """
    items: list[Item] = []
    for test, environment in tests.items():
        home, cache = environment.get("OMNI_CI_HOME"), environment.get("TORCHINDUCTOR_CACHE_DIR")
        if not home:
            continue
        if not cache or not _is_below(cache, home):
            items.append(
                failed(
                    "TORCHINDUCTOR_CACHE_DIR",
                    f"{cache or 'unset'} for {test.rsplit('/', 1)[-1]}, not below OMNI_CI_HOME {home}: "
                    f"take TORCHINDUCTOR_CACHE_DIR out of {config}",
                )
            )
    asked = [environment for environment in tests.values() if environment.get("OMNI_CI_HOME")]
    if asked and not items:
        items.append(passed("TORCHINDUCTOR_CACHE_DIR", asked[0].get("TORCHINDUCTOR_CACHE_DIR", "")))
    return list(dict.fromkeys(items))


def judge_preload(preloaded: str, system: str = "", config: str | None = None, shell: bool = True) -> Item:
    """No proxy may be preloaded: it would stand between the tests and their own servers.

    Args:
        preloaded: LD_PRELOAD as jobs get it.
        system: /etc/ld.so.preload.
        config: The file that sets LD_PRELOAD, None where that is the shell's own.
        shell: Jobs get the environment of the shell that a person starts them from.
    """
    ours, theirs = (re.split(r"[\s:]+", text) for text in (preloaded, system))
    proxies = [name for name in (*ours, *theirs) if name and _PROXY.search(name)]
    if not proxies:
        names = [name for name in (*ours, *theirs) if name]
        return passed("LD_PRELOAD", f"no proxy in {', '.join(names)}" if names else "nothing is preloaded")
    why = f"{', '.join(proxies)} takes over every connection"
    if any(_PROXY.search(name) for name in theirs):
        return failed("LD_PRELOAD", f"{why}: take it out of /etc/ld.so.preload")
    if config is not None:
        return failed("LD_PRELOAD", f"{why}: take it out of LD_PRELOAD in {config}")
    if not shell:
        return failed("LD_PRELOAD", f"{why}: a login on this host sets LD_PRELOAD, in its shell's start-up files")
    rest = ":".join(name for name in ours if name and name not in proxies)
    return failed("LD_PRELOAD", why, f"export LD_PRELOAD={shlex.quote(rest)}" if rest else "unset LD_PRELOAD")


def judge_reference(fingerprint: Json, reference: Json) -> Item | None:
    """Whether this is the machine that the profile's reference names; None where nothing can be said of that.

    Pins are items of their own.
    """
    if not isinstance(reference, dict) or fingerprint is None:
        return None
    verdict = judge_environment(fingerprint, {**reference, "pins": None})
    if verdict.outcome == DIFFERS:
        return failed("reference", f"{verdict.detail}; an apply would be refused")
    return passed("reference", "as the host profile's") if verdict.outcome == "ok" else None


def repository_problem(name: str) -> str | None:
    """Why this is no name of a model or dataset, None when it is one."""
    ok = _REPOSITORY.match(name) is not None and ".." not in name and "--" not in name
    return None if ok else "is not the name of a repository (org/name)"


def _is_below(path: str, folder: str) -> bool:
    return path.rstrip("/").startswith(folder.rstrip("/") + "/") and ".." not in path.split("/")

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
    text, who = versions[0]
    exact = text if re.match(r"[=~!<>]", text) else f"=={text}"
    mend = f"{install} {shlex.quote(name + exact)}"
    if found is None:
        return failed(label, f"not installed; {text} is {who}", mend)
    for text, who in versions:
        try:
            if not fulfils(found, text):
                exact = text if re.match(r"[=~!<>]", text) else f"=={text}"
                return failed(label, f"{found} is installed; {text} is {who}", f"{install} {shlex.quote(name + exact)}")
        except VersionError as error:
            return failed(label, f"{found} is installed; {text} is {who}, which cannot be compared: {error}")
    return passed(label, found)


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
            items.append(failed(label, f"{needed}; /proc/self/status does not tell CapEff", "cat /proc/self/status"))
        elif effective >> _CAPS.index(cap) & 1:
            items.append(passed(label, needed))
        else:
            why = f"{needed}; CapEff {effective:016x} does not have it: start the container with it"
            items.append(failed(label, why, f"docker run --cap-add={cap} …"))
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
                    f"{cache or 'unset'} for {test.rsplit('/', 1)[-1]}, not below OMNI_CI_HOME {home}",
                    f"$EDITOR {shlex.quote(config)}  # take TORCHINDUCTOR_CACHE_DIR out",
                )
            )
    asked = [environment for environment in tests.values() if environment.get("OMNI_CI_HOME")]
    if asked and not items:
        items.append(passed("TORCHINDUCTOR_CACHE_DIR", asked[0].get("TORCHINDUCTOR_CACHE_DIR", "")))
    return list(dict.fromkeys(items))


def judge_preload(preloaded: str) -> Item:
    """No proxy may be preloaded: it would stand between the tests and their own servers.

    Args:
        preloaded: LD_PRELOAD and /etc/ld.so.preload.
    """
    names = [name for name in re.split(r"[\s:]+", preloaded) if name]
    proxies = [name for name in names if _PROXY.search(name)]
    if proxies:
        return failed("LD_PRELOAD", f"{', '.join(proxies)} takes over every connection", "unset LD_PRELOAD")
    return passed("LD_PRELOAD", f"no proxy in {', '.join(names)}" if names else "nothing is preloaded")


def judge_reference(fingerprint: Json, reference: Json) -> Item | None:
    """Whether this is the machine that the profile's reference names; None where nothing can be said of that.

    Pins are items of their own.
    """
    if not isinstance(reference, dict) or fingerprint is None:
        return None
    verdict = judge_environment(fingerprint, {**reference, "pins": None})
    if verdict.outcome == DIFFERS:
        return failed("reference", f"{verdict.detail}; an apply would be refused", "gatewatch hosts list")
    return passed("reference", "as the host profile's") if verdict.outcome == "ok" else None


def repository_problem(name: str) -> str | None:
    """Why this is no name of a model or dataset, None when it is one."""
    ok = _REPOSITORY.match(name) is not None and ".." not in name and "--" not in name
    return None if ok else "is not the name of a repository (org/name)"


def _is_below(path: str, folder: str) -> bool:
    return path.rstrip("/").startswith(folder.rstrip("/") + "/") and ".." not in path.split("/")

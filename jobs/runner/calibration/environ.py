"""The environment that a job really gets, put together on the host where it runs.

The rules are those of spec/calibration.md, sections 1 and 4. The layers that people write are merged beforehand;
what depends on the host's own shell is done here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

OURS = "GATEWATCH_"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
BELOW_HOME = (("XDG_CACHE_HOME", ".cache"), ("TORCHINDUCTOR_CACHE_DIR", ".torchinductor"))

# Places that a host profile names; people write them with "~", which nothing on the way would expand.
_PLACES = ("HF_HOME", "SEEDTTS_SIM_CACHE_DIR", "OMNI_CI_HOME")
_STOPS = (
    "--exitfirst",
    "--maxfail",
    "--stepwise",
    "--sw",
    "--stepwise-skip",
    "--sw-skip",
    "--stepwise-reset",
    "--sw-reset",
)
_FLAGS = "vqsxlhV"  # pytest's short options that take no value, so that they can stand in one cluster


def complete(shell: Mapping[str, str], overlay: Mapping[str, str], gpus: Sequence[int] | None) -> dict[str, str]:
    """The whole environment of a job.

    Args:
        shell: The environment that the runner itself has on this host.
        overlay: The merged layers above the shell (`jobs.calibration.environment`).
        gpus: Indices of the GPUs that the job may use; none hides all, None leaves the choice as it is.

    Returns:
        A new mapping. Our own variables are gone, a proxy never stands before the job's own servers, pytest is
        never told to stop at the first failure, and CUDA_VISIBLE_DEVICES is decided last.
    """
    result = {name: value for name, value in shell.items() if not name.startswith(OURS)}
    result.update(overlay)
    for name in _PLACES:
        if name in overlay:
            result[name] = _expanded(overlay[name], shell.get("HOME", ""))
    home = result.get("OMNI_CI_HOME")
    if home:
        for name, folder in BELOW_HOME:
            chosen = overlay.get(name)
            # An overlay made from an unexpanded "~" carries it on into the folders below.
            result[name] = _expanded(chosen, shell.get("HOME", "")) if chosen else below(home, folder)
    past = past_proxies(result.get("no_proxy"), result.get("NO_PROXY"))
    result["no_proxy"] = result["NO_PROXY"] = past
    if "PYTEST_ADDOPTS" in result:
        result["PYTEST_ADDOPTS"] = without_early_stop(result["PYTEST_ADDOPTS"])
    if gpus is not None:
        result["CUDA_VISIBLE_DEVICES"] = ",".join(str(index) for index in gpus)
        # The indices are NVML's, which counts by bus; CUDA by itself puts the fastest first.
        result["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    return result


def below(home: str, folder: str) -> str:
    """`folder` in `home`, both as text: the path belongs to another machine."""
    return f"{home.rstrip('/')}/{folder}"


def past_proxies(*values: str | None) -> str:
    """One NO_PROXY value that holds what all of `values` hold, and this machine's own names."""
    names = [name.strip() for value in values if value for name in value.split(",") if name.strip()]
    if "*" in names:
        return "*"  # already no proxy at all, and libraries know the star only when it stands alone
    return ",".join(dict.fromkeys([*names, *LOCAL_HOSTS]))


def early_stops(args: Iterable[str]) -> list[str]:
    """Those of pytest's arguments that end a session at a failure, which would cost every other metric."""
    return [arg for arg in args if _stops(arg)]


def without_early_stop(options: str) -> str:
    """PYTEST_ADDOPTS without what ends a session early; text that cannot be split is left for pytest to refuse."""
    try:
        words = shlex.split(options)
    except ValueError:
        return options
    kept: list[str] = []
    skip_value = False
    for word in words:
        if skip_value:
            skip_value = False
            continue
        if not _stops(word):
            kept.append(word)
            continue
        skip_value = word == "--maxfail"
        if _is_cluster(word) and word != "-x":
            kept.append(_cluster_without_x(word))
    # Unchanged text stays as typed: quoting it again would show a difference that is none.
    return options if kept == words else shlex.join(kept)


def _stops(word: str) -> bool:
    if word.startswith("--"):
        return word.split("=", 1)[0] in _STOPS
    return _is_cluster(word) and "x" in _flags_of(word)


def _is_cluster(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and word[1] != "-"


def _flags_of(word: str) -> str:
    """The letters of `-vxk…` up to the first that takes a value."""
    letters = word[1:]
    for at, letter in enumerate(letters):
        if letter not in _FLAGS:
            return letters[:at]
    return letters


def _cluster_without_x(word: str) -> str:
    flags = _flags_of(word)
    rest = flags.replace("x", "") + word[1 + len(flags) :]
    return f"-{rest}"


def _expanded(path: str, home: str) -> str:
    if home and (path == "~" or path.startswith("~/")):
        return home.rstrip("/") + path[1:]
    return path

"""The layers of a job's environment that people write, merged in one order (spec/calibration.md, section 1).

The shell below them and CUDA_VISIBLE_DEVICES above them belong to the host: `jobs.runner.calibration.environ`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hosts.profiles import HostProfile
from jobs.calibration.config import ModelConfig
from jobs.runner.calibration.environ import BELOW_HOME, below


@dataclass(frozen=True)
class Layer:
    """Variables and the words that say where they come from."""

    origin: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class JobEnvironment:
    """What is laid over the host's shell.

    Attributes:
        overlay: Name to value, in the order in which the names were first set.
        origins: Name to the layer that had the last word, such as `config auto_env`.
    """

    overlay: Mapping[str, str]
    origins: Mapping[str, str]


def job_environment(
    config: ModelConfig,
    profile: HostProfile | None,
    test: str,
    stage_env: Mapping[str, str],
    flags: Mapping[str, str],
) -> JobEnvironment:
    """Merge what people wrote for one test; a later layer wins.

    The caches follow OMNI_CI_HOME wherever that comes from: a profile that moves it must not leave them at the
    place that `auto_env` spells out. Only what is written for the test itself, or a flag, says otherwise.

    Args:
        config: The model's configuration.
        profile: The host's profile, or None.
        test: The test file, as a path in the repository or as its name.
        stage_env: The stage's own extra_env of stages.yaml, with preset and variant already in it.
        flags: Variables set on the command line.
    """
    wide = [Layer("config auto_env", config.auto_env)]
    if profile is not None:
        wide.append(Layer(f"host {profile.name}", physical_env(profile)))
    narrow = [
        Layer(f"config extra_env for {test}", config.extra_env_for(test)),
        Layer("stage extra_env", stage_env),
        Layer("flag", flags),
    ]
    overlay: dict[str, str] = {}
    origins: dict[str, str] = {}
    for layer in (*wide, *narrow):
        overlay.update(layer.variables)
        origins.update(dict.fromkeys(layer.variables, layer.origin))
    home = overlay.get("OMNI_CI_HOME")
    if home:
        spoken_for = {name for layer in narrow for name in layer.variables}
        for name, folder in BELOW_HOME:
            if name not in spoken_for:
                overlay[name] = below(home, folder)
                origins[name] = f"OMNI_CI_HOME ({origins['OMNI_CI_HOME']})"
    return JobEnvironment(overlay, origins)


def physical_env(profile: HostProfile) -> dict[str, str]:
    """Where a host really keeps things, as variables; no symlinks are made for it."""
    places = profile.physical
    named = (
        ("HF_HOME", places.hf_hub),
        ("SEEDTTS_SIM_CACHE_DIR", places.speaker_sim),
        ("OMNI_CI_HOME", places.omni_ci_home),
    )
    return {name: place for name, place in named if place}

"""What a host must have before a run starts, judged: one item each, and what mends it (spec, section 1, Precheck).

An item is ✓, or ✗ with the one command that mends exactly that item: never a bulk download, never a rebuild of a
Python environment that works. Items that a project does not have are not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from gates.calibration.words import one_line
from gates.documents import Json

FREE_GPUS = "free GPUs"
"""The one item that time may mend by itself: a run waits for it, and a standalone precheck says ✗."""


@dataclass(frozen=True)
class Item:
    """One thing that was looked at.

    Attributes:
        ok: ✓ or ✗; what could not be found out is ✗ and says so.
        detail: What was found.
        mend: For ✗ the one command that mends it by itself, None where there is none: then `detail` says what is
            needed.
    """

    name: str
    ok: bool
    detail: str
    mend: str | None = None

    @property
    def mark(self) -> str:
        """✓ or ✗."""
        return "✓" if self.ok else "✗"


def passed(name: str, detail: object) -> Item:
    """An item that is as it should be."""
    return Item(name, True, one_line(detail, 400))


def failed(name: str, detail: object, mend: str | None = None) -> Item:
    """An item that is not, or that could not be found out."""
    return Item(name, False, one_line(detail, 1000), mend)


@dataclass(frozen=True)
class PrecheckResult:
    """What a host said.

    Attributes:
        gpus: {gpu_count, gpu_model}, None where unknown: they feed the report.
        fingerprint: The environment as a run would record it, None where the Python of the tests does not run.
    """

    items: tuple[Item, ...]
    hostname: str | None = None
    git_sha: str | None = None
    gpu_count: int | None = None
    gpu_model: str | None = None
    fingerprint: Json = None

    @property
    def ok(self) -> bool:
        """All ✓."""
        return all(item.ok for item in self.items)

    @property
    def faults(self) -> tuple[Item, ...]:
        """What is ✗."""
        return tuple(item for item in self.items if not item.ok)

    def to_json(self) -> dict[str, Json]:
        """What `precheck.json` holds, but for who and when."""
        return {
            "ok": self.ok,
            "hostname": self.hostname,
            "git_sha": self.git_sha,
            "gpu_count": self.gpu_count,
            "gpu_model": self.gpu_model,
            "items": [asdict(item) for item in self.items],
        }


@dataclass(frozen=True)
class UnitAsked:
    """What one pytest needs.

    Attributes:
        test: Relative to the repository; "" for what the configuration names and no stage needs.
        env: Variables over the host's shell.
        gpus: How many it uses at once.
        caps: Linux capabilities, such as "SYS_PTRACE".
    """

    test: str
    env: Mapping[str, str]
    gpus: int = 0
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    speaker_sim: bool = False
    caps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """All that a precheck asks a host.

    Attributes:
        repo: Absolute on the host.
        venv_python: The Python of the tests; None where nobody names one, for the reason in `venv_problem`.
        overlay: The environment that every job gets, over the shell.
        pins: Distribution to version, as people wrote them.
        gpu: The rules that GPUs are chosen by, as a job has them.
        cold_paths: As the configuration has them; None for the default.
        run_dir: Where the run would be made, None where that is not decided.
        config: The file in which these things are set, for what mends them.
        profile: The host profile's name, file and hostname; None without one.
        bootstrap: How this host's profile says that the speaker similarity model is fetched.
        reference: What the environment is held against.
        venv_also: What else was named for the Python of the tests, before `venv_python`, and is not there either.
        clone_url: Where the repository can be cloned from, None where that is not known.
        shell: Jobs get the environment of the shell that a person starts them from: a variable can be set there.
    """

    repo: str
    venv_python: str | None
    units: tuple[UnitAsked, ...] = ()
    overlay: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    gpu: Json = None
    cold_paths: tuple[str, ...] | None = None
    run_dir: str | None = None
    config: str = "config.yaml"
    profile: tuple[str, str, str | None] | None = None
    bootstrap: str | None = None
    reference: Json = None
    venv_problem: str = ""
    venv_also: tuple[str, ...] = ()
    clone_url: str | None = None
    shell: bool = False

    @property
    def need(self) -> int:
        """The most GPUs that one pytest uses."""
        return max((unit.gpus for unit in self.units), default=0)


def asked_json(asked: Asked) -> dict[str, Json]:
    """As the payload of the verb."""
    return {
        "repo": asked.repo,
        "venv_python": asked.venv_python,
        "venv_problem": asked.venv_problem,
        "venv_also": list(asked.venv_also),
        "clone_url": asked.clone_url,
        "shell": asked.shell,
        "units": [
            {
                "test": unit.test,
                "env": dict(unit.env),
                "gpus": unit.gpus,
                "models": list(unit.models),
                "datasets": list(unit.datasets),
                "speaker_sim": unit.speaker_sim,
                "caps": list(unit.caps),
            }
            for unit in asked.units
        ],
        "overlay": dict(asked.overlay),
        "pins": dict(asked.pins),
        "gpu": asked.gpu,
        "cold_paths": None if asked.cold_paths is None else list(asked.cold_paths),
        "run_dir": asked.run_dir,
        "config": asked.config,
        "profile": None if asked.profile is None else list(asked.profile),
        "bootstrap": asked.bootstrap,
        "reference": asked.reference,
    }


def parse_asked(body: Json) -> Asked:
    """Read the verb's payload.

    Raises:
        ValueError: It has another shape.
    """
    if not isinstance(body, dict) or not isinstance(body.get("repo"), str):
        raise ValueError("precheck: repo is missing")
    cold, profile = body.get("cold_paths"), body.get("profile")
    return Asked(
        repo=str(body["repo"]),
        venv_python=_text(body, "venv_python"),
        venv_problem=_text(body, "venv_problem") or "",
        venv_also=_list(body.get("venv_also")),
        clone_url=_text(body, "clone_url"),
        shell=body.get("shell") is True,
        units=tuple(
            UnitAsked(
                test=_text(unit, "test") or "",
                env=_texts(unit.get("env")),
                gpus=gpus if isinstance(gpus := unit.get("gpus"), int) else 0,
                models=_list(unit.get("models")),
                datasets=_list(unit.get("datasets")),
                speaker_sim=unit.get("speaker_sim") is True,
                caps=_list(unit.get("caps")),
            )
            for unit in _dicts(body.get("units"))
        ),
        overlay=_texts(body.get("overlay")),
        pins=_texts(body.get("pins")),
        gpu=body.get("gpu"),
        cold_paths=None if cold is None else _list(cold),
        run_dir=_text(body, "run_dir"),
        config=_text(body, "config") or "config.yaml",
        profile=_profile(profile),
        bootstrap=_text(body, "bootstrap"),
        reference=body.get("reference"),
    )


def parse_result(body: Json) -> PrecheckResult:
    """Read the verb's answer.

    Raises:
        ValueError: It has another shape.
    """
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        raise ValueError("precheck: the host gave no items")
    count = body.get("gpu_count")
    return PrecheckResult(
        items=tuple(
            Item(_text(item, "name") or "?", item.get("ok") is True, _text(item, "detail") or "", _text(item, "mend"))
            for item in _dicts(body.get("items"))
        ),
        hostname=_text(body, "hostname"),
        git_sha=_text(body, "git_sha"),
        gpu_count=count if isinstance(count, int) and not isinstance(count, bool) else None,
        gpu_model=_text(body, "gpu_model"),
        fingerprint=body.get("fingerprint"),
    )


def _profile(value: Json) -> tuple[str, str, str | None] | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    name, path, hostname = value
    return str(name), str(path), hostname if isinstance(hostname, str) else None


def _text(body: Mapping[str, Json], key: str) -> str | None:
    value = body.get(key)
    return value if isinstance(value, str) else None


def _texts(value: Json) -> dict[str, str]:
    return {name: text for name, text in (value if isinstance(value, dict) else {}).items() if isinstance(text, str)}


def _list(value: Json) -> tuple[str, ...]:
    return tuple(item for item in (value if isinstance(value, list) else []) if isinstance(item, str))


def _dicts(value: Json) -> list[dict[str, Json]]:
    return [item for item in (value if isinstance(value, list) else []) if isinstance(item, dict)]

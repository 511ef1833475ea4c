"""What the form for a new run makes of what was typed, word by word as the command line would read it."""

from __future__ import annotations

from dataclasses import dataclass

from gates.calibration.audit import Audit
from gates.calibration.schema import Manifest, needs_config, unstrictable
from gates.calibration.select import SelectionError, select_stages
from jobs.calibration.request import DEFAULT_REPEATS, REPEATS, RunOptions
from jobs.calibration.starting import Expected, Wanted, expected
from tui import words
from tui.screens.stage_numbers import lasted

MOST_REPEATS = 1000
_NAMED = 6


@dataclass(frozen=True)
class Draft:
    """What the fields hold.

    Attributes:
        host: A profile's name; None for where a command without `--host` runs.
    """

    root: str
    model: str
    stages: str = "ALL"
    repeats: str = str(DEFAULT_REPEATS)
    host: str | None = None


@dataclass(frozen=True)
class Past:
    """Another run of the same kind, which says how long the tests take.

    Attributes:
        name: Whose repeats they were, for the sentence; not clean.
        host: The profile of its host, None where there was none.
        python: The interpreter that somebody named for it, None where none was named: another run there gets it too.
    """

    model: str
    name: str
    audit: Audit
    host: str | None = None
    python: str | None = None


@dataclass(frozen=True)
class Judged:
    """What is wrong at which field, and what is said of it when nothing is.

    Attributes:
        stages, repeats: What is meant, None where it is not usable.
        stages_said, repeats_said: One line for each of the two fields.
        wanted: The start that this is, None as long as something is wrong.
    """

    stages: tuple[str, ...] | None
    stages_said: str
    repeats: int | None
    repeats_said: str
    wanted: Wanted | None = None
    expects: Expected | None = None


def read_stages(text: str) -> tuple[str, ...]:
    """The names in a field, as `--stages` reads them."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def read_repeats(text: str) -> int | None:
    """A whole number from 1 to 1000, None for anything else."""
    typed = text.strip()
    if not (typed.isascii() and typed.isdecimal() and len(typed) <= 4):
        return None
    return int(typed) if 1 <= int(typed) <= MOST_REPEATS else None


def judge(draft: Draft, manifest: Manifest | str | None, past: Past | None) -> Judged:
    """Judge what was typed.

    Args:
        manifest: The model's stages, why they cannot be read, or None while they are being read.
        past: A run that tells how long things take, or None.
    """
    repeats = read_repeats(draft.repeats)
    names = read_stages(draft.stages)
    stages, said = _stages(names, manifest, draft.model)
    if repeats is None:
        return Judged(stages, said, None, f"expected a whole number from 1 to {MOST_REPEATS}")
    usual = "" if repeats in REPEATS else "  usual are " + ", ".join(map(str, REPEATS))
    if stages is None or not isinstance(manifest, Manifest):
        return Judged(None, said, repeats, usual.strip() or "each stage so often")
    known = past if past is not None and past.model == draft.model else None
    expects = expected(manifest, stages, repeats, known.audit if known is not None else None)
    takes = f"{words.counted(expects.tests * repeats, 'pytest run')}, {_takes(expects, known)}{usual}"
    python = known.python if known is not None and known.host == draft.host else None
    options = RunOptions(model=draft.model, stages=names, repeats=repeats, venv_python=python)
    return Judged(stages, said, repeats, takes, Wanted(draft.root, draft.host, options), expects)


def _stages(names: tuple[str, ...], manifest: Manifest | str | None, model: str) -> tuple[tuple[str, ...] | None, str]:
    if manifest is None:
        return None, "reading the stages"
    if isinstance(manifest, str):
        return None, manifest
    try:
        stages = select_stages(manifest, names)
    except SelectionError as error:
        return None, str(error)
    open_ends = needs_config(manifest, stages)
    if open_ends:
        stage, metric = open_ends[0]
        more = f" and {len(open_ends) - 1} more" if len(open_ends) > 1 else ""
        return None, f"{stage}.{metric}{more}: where its value is found has to be configured for {model} first"
    for key in stages:
        known = manifest.get(key)
        reason = unstrictable(known) if known is not None else None
        if reason:
            return None, reason
    named = ", ".join(stages[:_NAMED]) + (f" and {len(stages) - _NAMED} more" if len(stages) > _NAMED else "")
    return stages, f"{words.counted(len(stages), 'stage')}: {named}"


def _takes(expects: Expected, past: Past | None) -> str:
    if expects.seconds is None or past is None:
        return "how long they take is not known yet"
    unseen = f"; {words.counted(expects.unseen, 'test')} not seen there" if expects.unseen else ""
    return f"about {lasted(expects.seconds)} as in {past.name}{unseen}"

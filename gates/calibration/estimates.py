"""How often a gate would fail a healthy run, and how small a regression it would notice.

spec/calibration.md, section 6, and the formulas for thresholds from few runs that it builds on. All of this stands
beside the worst-of-N and never changes it: outliers and modes are shown, with numbers, and every value counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from statistics import NormalDist, median
from typing import cast

from gates.calibration.assemble import RECORDED
from gates.calibration.rows import PlanRow
from gates.calibration.slack import Slack, slack_of
from gates.calibration.source import SourceFacts
from gates.calibration.values import Number, Worst, finite, tighter, worst_of
from gates.documents import Json
from gates.journal import Journal

__all__ = ["Estimate", "Note", "Share", "Slack", "estimate", "estimate_json", "estimate_row", "rounds", "slack_of"]

POWER = 0.8
COVERED = 0.95
CONFIDENCE = 0.95

# A robust deviation is 1.4826 median absolute deviations, at least one step of the decimals and 0.5 % of the median:
# five values that happen to lie close together must not make an ordinary sixth an outlier.
_NORMAL_MAD = 1.4826
_MAD_FLOOR = 0.005
_FEWEST_FOR_OUTLIER = 4
# Found by simulation: at most 3 % of healthy normal samples are noted, from N = 4 on.
_OUTLIER_LEAST, _OUTLIER_TIMES_N = 5.0, 40.0
_FEWEST_FOR_MODES, _FEWEST_IN_MODE, _SHARE_IN_MODE, _MODE_GAP = 4, 2, 0.2, 4.0


@dataclass(frozen=True)
class Share:
    """`failed` of `of`."""

    failed: int
    of: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.failed / self.of

    def __str__(self) -> str:
        return f"{self.failed} of {self.of}"


@dataclass(frozen=True)
class Note:
    """Something that a reader of the numbers has to know.

    Attributes:
        kind: "few", "outlier", "modes", "sessions", "spread" or "slack".
        text: One sentence, with its numbers.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Estimate:
    """One gate, estimated.

    Attributes:
        n: Repeats.
        promise: 1/(N+1): at most so often the next healthy run of the same session is worse than the worst of N.
        promise_new_session: The same for a run of another session, at most: 1/(J+1) with J sessions. None where the
            sessions are not known.
        sessions: J, None where it is not known.
        left_out: Repeats that would fail the worst of the others. None with a single repeat.
        left_out_slack: The same with the project's slack; None where that is not known.
        slack: What the reference is multiplied by, None where it is not known.
        smallest: The smallest relative regression that is noticed at 80 % power by a test without slack; 0.02 is 2 %.
            None where it cannot be told.
        smallest_slack: The same with the project's slack.
        confidence: How sure it is that the worst of N covers 95 % of healthy runs of the same session: 1 - 0.95^N.
        needed: How many repeats would make that 95 %.
        outliers: Places (from 0) of values that are improbably bad.
        modes: The values in two groups, ascending, where they fall into two; else empty.
        notes: What a reader has to know.
    """

    n: int
    promise: float
    promise_new_session: float | None
    sessions: int | None
    left_out: Share | None
    left_out_slack: Share | None
    slack: float | None
    smallest: float | None
    smallest_slack: float | None
    confidence: float
    needed: int
    outliers: tuple[int, ...] = ()
    modes: tuple[tuple[Number, ...], ...] = ()
    notes: tuple[Note, ...] = ()


def estimate(
    values: Sequence[Number],
    worst: Worst,
    write_value: Number,
    slack: Slack | None = None,
    sessions: Sequence[str | None] | None = None,
    *,
    runs: Sequence[int] | None = None,
    step: float | None = None,
) -> Estimate:
    """Estimate one gate from its strict repeats.

    False alarms are distribution-free: of N+1 exchangeable runs each is as likely as any other to be the worst one, so
    the next one is worse than the N before it with probability 1/(N+1), less where values tie. Of J sessions the same
    holds for one run of each, so that a run of a new session is worse with at most 1/(J+1). Leaving each repeat out
    in turn says how often that would have happened here.

    The regression that is noticed takes the repeats for normal, with their own mean m and standard deviation s (at
    least that of rounding to their decimals). A change by the factor f moves both; four of five changed runs miss the
    limit L once f (m - 0.84 s) >= L for an upper bound, f (m + 0.84 s) <= L for a lower one. It is |f - 1|, not less
    than one step of the metric, and as rough as s from few runs is: simulated normal runs give a power of 0.74 with
    three repeats, 0.75 with five, 0.78 with ten and with twenty.

    Args:
        values: The strict repeats' values.
        worst: "min" for a lower bound.
        write_value: The reference that the test will have.
        slack: What the test multiplies it by, None where that is not known.
        sessions: For each value what tells its session (host, boot, day) from others; None where it is not known.
        runs: The repeats' numbers, for the notes; 1 to N when not given.
        step: The smallest step that the metric can make, such as 1/samples of an accuracy; None when not known.

    Raises:
        ValueError: There is no value, or one of the numbers is missing or not finite.
    """
    found = [finite(value) for value in values]
    worst_of(found, worst)
    reference = finite(write_value)
    if step is not None and finite(step) <= 0:
        raise ValueError("a step must be above 0")
    names = list(runs) if runs is not None else list(range(1, len(found) + 1))
    groups = list(sessions) if sessions is not None else [None] * len(found)
    if len(names) != len(found) or len(groups) != len(found):
        raise ValueError("runs and sessions must have one entry per value")
    n = len(found)
    known = len(set(groups)) if None not in groups else None
    tick = max(_tick(found), step or 0.0)
    modes = _modes(found, tick)
    # what comes again and again is a mode, and no accident
    outliers = () if modes else _outliers(found, worst, tick)
    notes = [
        *_few(n, known),
        *_outlier_notes(found, worst, outliers, names, tick),
        *_mode_notes(modes),
        *_session_notes(found, groups, known),
        *_spread_notes(found),
        *([] if slack is not None else [Note("slack", "the project's slack could not be read: unknown")]),
    ]
    return Estimate(
        n=n,
        promise=1 / (n + 1),
        promise_new_session=None if known is None else 1 / (known + 1),
        sessions=known,
        left_out=_left_out(found, worst, 1.0),
        left_out_slack=None if slack is None else _left_out(found, worst, slack.multiplier),
        slack=None if slack is None else slack.multiplier,
        smallest=_smallest(found, worst, float(reference), tick),
        smallest_slack=None if slack is None else _smallest(found, worst, reference * slack.multiplier, tick),
        confidence=1 - COVERED**n,
        needed=math.ceil(math.log(1 - CONFIDENCE) / math.log(COVERED)),
        outliers=outliers,
        modes=modes,
        notes=tuple(notes),
    )


def estimate_row(row: PlanRow, slack: Slack | None = None, journal: Journal | None = None) -> Estimate:
    """Estimate one row of a plan; sessions are told apart by the journal, where there is one."""
    step = 1 / row.samples if row.group == "accuracy" and row.samples else None
    sessions = sessions_of(journal, row.stage_key, row.runs)
    return estimate(row.per_run_raw, row.worst_op, row.write_value, slack, sessions, runs=row.runs, step=step)


def slack_of_row(
    row: PlanRow, facts: Mapping[str, SourceFacts] | None, config: Mapping[str, float] | None = None
) -> Slack | None:
    """The slack of one row's reference, None where it cannot be read."""
    return slack_of(facts or {}, row.file, row.symbol, row.worst_op, config)


def sessions_of(journal: Journal | None, stage: str, runs: Iterable[int]) -> tuple[str | None, ...]:
    """For each repeat the session that it was recorded in, None where the journal does not say.

    A session is one host, one boot and the day on which the runner started: a run that goes past midnight stays one.
    """
    started: dict[tuple[object, ...], str] = {}
    found: dict[int, str] = {}
    for event in journal.events if journal is not None else ():
        host, boot = event.writer.get("host"), event.writer.get("boot_id")
        if not isinstance(host, str) or not isinstance(boot, str):
            continue
        writer = (host, boot, event.writer.get("pid"), event.writer.get("start_ticks"))
        day = started.setdefault(writer, event.at[:10])
        run = event.data.get("run")
        if event.kind == RECORDED and event.data.get("stage") == stage and isinstance(run, int):
            found[run] = f"{host} {boot[:8]} {day}"
    return tuple(found.get(run) for run in runs)


def rounds(rows: Iterable[tuple[PlanRow, Slack | None]]) -> Share | None:
    """Of the repeats of one unit, those that fail at least one gate made from the other repeats.

    That is what the unit's whole test would have done to a healthy run, since it fails with its first gate. None
    where no repeat has a value of every row, or there is only one.

    Args:
        rows: The unit's rows, each with the slack to reckon with; None for none.
    """
    listed = list(rows)
    common = set.intersection(*(set(row.runs) for row, _slack in listed)) if listed else set()
    if len(common) < 2:
        return None
    failed: set[int] = set()
    for row, slack in listed:
        kept = [(run, value) for run, value in zip(row.runs, row.per_run_raw, strict=True) if run in common]
        fails = _failing([value for _run, value in kept], row.worst_op, 1.0 if slack is None else slack.multiplier)
        failed.update(run for (run, _value), bad in zip(kept, fails, strict=True) if bad)
    return Share(len(failed), len(common))


def estimate_json(found: Estimate) -> dict[str, Json]:
    """An estimate as JSON data."""
    body = asdict(found)
    body["modes"] = [list(group) for group in found.modes]
    body["outliers"] = list(found.outliers)
    body["notes"] = list(body["notes"])
    return cast("dict[str, Json]", body)


def _failing(values: Sequence[Number], worst: Worst, multiplier: float) -> list[bool]:
    """For each value whether it fails the worst of the others, times the slack."""
    ranked = sorted(values, reverse=worst == "max")
    limits = [_times(ranked[0], multiplier), _times(ranked[1], multiplier)]
    # Only the worst value has another one for a reference; of two equal worst ones each has the other.
    return [tighter(worst, limits[value == ranked[0]], value) for value in values]


def _left_out(values: Sequence[Number], worst: Worst, multiplier: float) -> Share | None:
    return Share(sum(_failing(values, worst, multiplier)), len(values)) if len(values) > 1 else None


def _times(value: Number, multiplier: float) -> Number:
    return value if multiplier == 1 else value * multiplier


def _smallest(values: Sequence[Number], worst: Worst, limit: float, tick: float) -> float | None:
    """See `estimate`; None with fewer than two values, and where a factor means nothing (a mean of 0 or below)."""
    if len(values) < 2:
        return None
    mean, spread, scale = _moments(values)
    if scale == 0 or mean <= 0:
        return None
    spread = max(spread, tick / scale / math.sqrt(12))
    # the value that four of five healthy runs are beyond, on the side of the limit
    reach = NormalDist().inv_cdf(POWER) * spread
    usual = mean + reach if worst == "min" else mean - reach
    if usual <= 0:
        return None
    factor = limit / scale / usual
    if not math.isfinite(factor) or (worst == "min" and factor <= 0):
        return None
    return max(tick / scale / mean, 1 - factor if worst == "min" else factor - 1)


def _moments(values: Sequence[Number]) -> tuple[float, float, float]:
    """Mean and standard deviation in units of the largest value, and that value; exact in any order."""
    scale = max(abs(float(value)) for value in values)
    if scale == 0:
        return 0.0, 0.0, 0.0
    units = [float(value) / scale for value in values]
    mean = math.fsum(units) / len(units)
    squares = math.fsum((unit - mean) ** 2 for unit in units)
    return mean, math.sqrt(squares / (len(units) - 1)) if len(units) > 1 else 0.0, scale


def _tick(values: Sequence[Number]) -> float:
    """The last decimal place that any of the values has: 0.001 of 54.416 and 58.8."""
    places = [Decimal(repr(value)).normalize().as_tuple().exponent for value in values if value != 0]
    exponents = [place for place in places if isinstance(place, int)]
    return float(Decimal(1).scaleb(min(0, *exponents))) if exponents else 0.0


def _robust(values: Sequence[Number], tick: float) -> tuple[float, float]:
    """Median and robust deviation."""
    middle = median(map(float, values))
    spread = median(abs(float(value) - middle) for value in values)
    return middle, max(_NORMAL_MAD * spread, tick, _MAD_FLOOR * abs(middle))


def _outliers(values: Sequence[Number], worst: Worst, tick: float) -> tuple[int, ...]:
    if len(values) < _FEWEST_FOR_OUTLIER:
        return ()
    middle, deviation = _robust(values, tick)
    if deviation == 0 or not math.isfinite(deviation):
        return ()
    cut = max(_OUTLIER_LEAST, _OUTLIER_TIMES_N / len(values)) * deviation
    sign = 1 if worst == "max" else -1
    return tuple(place for place, value in enumerate(values) if sign * (float(value) - middle) > cut)


def _modes(values: Sequence[Number], tick: float) -> tuple[tuple[Number, ...], ...]:
    """Two groups with a gap between them that is wide against both."""
    if len(values) < _FEWEST_FOR_MODES:
        return ()
    ranked = sorted(values)
    fewest = max(_FEWEST_IN_MODE, math.ceil(_SHARE_IN_MODE * len(ranked)))
    cuts = range(fewest, len(ranked) - fewest + 1)
    if not cuts:
        return ()
    cut = max(cuts, key=lambda place: float(ranked[place]) - float(ranked[place - 1]))
    low, high = ranked[:cut], ranked[cut:]
    width = max(float(low[-1]) - float(low[0]), float(high[-1]) - float(high[0]), tick)
    gap = float(high[0]) - float(low[-1])
    return (tuple(low), tuple(high)) if math.isfinite(gap) and gap > _MODE_GAP * width else ()


def _few(n: int, sessions: int | None) -> list[Note]:
    needed = math.ceil(math.log(1 - CONFIDENCE) / math.log(COVERED))
    said: list[Note] = []
    if n < needed:
        sure = 1 - COVERED**n
        said.append(
            Note(
                "few",
                f"{n} {'repeat is' if n == 1 else 'repeats are'} too few for a promise: that the worst of them covers "
                f"95 % of healthy runs is {100 * sure:.0f} % sure; {needed} repeats make it 95 %",
            )
        )
    if sessions == 1:
        said.append(
            Note(
                "sessions",
                f"all repeats are of one session: 1/{n + 1} holds for more runs of it, and nothing is promised of "
                "another host, boot or day",
            )
        )
    elif sessions is None:
        said.append(Note("sessions", "which session (host, boot, day) a repeat belongs to is not known"))
    return said


def _outlier_notes(
    values: Sequence[Number], worst: Worst, places: Sequence[int], runs: Sequence[int], tick: float
) -> list[Note]:
    if not places:
        return []
    middle, deviation = _robust(values, tick)
    rest = [value for place, value in enumerate(values) if place not in places]
    without = f"; without it the worst would be {worst_of(rest, worst)}" if rest and len(places) == 1 else ""
    return [
        Note(
            "outlier",
            f"run {runs[place]}: {values[place]} is {abs(float(values[place]) - middle) / deviation:.1f} robust "
            f"deviations worse than the median {middle:.6g}{without}; it counts like every other",
        )
        for place in places
    ]


def _mode_notes(modes: tuple[tuple[Number, ...], ...]) -> list[Note]:
    if not modes:
        return []
    shown = " and ".join(f"{_range(group)} ({len(group)}×)" for group in modes)
    return [Note("modes", f"two modes: {shown}")]


def _range(group: tuple[Number, ...]) -> str:
    low, high = f"{float(group[0]):.6g}", f"{float(group[-1]):.6g}"
    return low if low == high else f"{low}–{high}"


def _session_notes(values: Sequence[Number], groups: Sequence[str | None], known: int | None) -> list[Note]:
    """Means by session, and their shift against the spread within sessions (one-way analysis of variance)."""
    if known is None or known < 2:
        return []
    members: dict[str, list[Number]] = {}
    for group, value in zip(groups, values, strict=True):
        members.setdefault(str(group), []).append(value)
    means = {group: math.fsum(float(one) / len(found) for one in found) for group, found in members.items()}
    shown = ", ".join(f"{group}: {means[group]:.6g} (n={len(found)})" for group, found in sorted(members.items()))
    shift = max(means.values()) - min(means.values())
    free = len(values) - len(members)
    text = f"{known} sessions with the means {shown}; they lie {shift:.4g} apart"
    scale = max(abs(float(value)) for value in values)
    if free > 0 and scale > 0:
        squares = math.fsum(
            ((float(one) - means[group]) / scale) ** 2 for group, found in members.items() for one in found
        )
        within = math.sqrt(squares / free) * scale
        text += f", within a session the standard deviation is {within:.4g}"
        if within > 0 and math.isfinite(shift / within):
            text += f" ({shift / within:.1f} of them)"
    return [Note("sessions", text)]


def _spread_notes(values: Sequence[Number]) -> list[Note]:
    if len(values) > 1 and min(values) == max(values):
        return [Note("spread", f"all {len(values)} repeats gave {values[0]}: their spread is not known")]
    return []

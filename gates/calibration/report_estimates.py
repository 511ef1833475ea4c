"""The report's estimates: how often each gate would fail a healthy run, and what it would notice.

They stand beside the worst-of-N and never change it (spec/calibration.md, section 6, last paragraphs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gates.calibration.estimates import Share, estimate_json, estimate_row, rounds, slack_of_row
from gates.calibration.markdown import NONE, code, inline, table
from gates.calibration.plan import ApplyPlan
from gates.calibration.rows import PlanRow
from gates.calibration.schema import Manifest
from gates.calibration.slack import Slack
from gates.calibration.source import SourceFacts
from gates.calibration.units import units_of
from gates.calibration.values import shown
from gates.documents import Json
from gates.journal import Journal

_HEADS = (
    *("Stage", "Metric", "N", "1/(N+1)", "Left out", "Left out, slack", "Slack"),
    *("Smallest regression", "Smallest, slack"),
)


def estimate_gates(
    plan: ApplyPlan,
    manifest: Manifest,
    facts: Mapping[str, SourceFacts],
    config: Mapping[str, float] | None,
    journal: Journal | None,
) -> tuple[Json, tuple[str, ...]]:
    """Every gate's estimate as JSON data and as the section's lines.

    Args:
        plan: The run's plan: one row per gate.
        manifest: Tells which gates one pytest feeds.
        facts: Where the project's slack is read from.
        config: The slack that the model's configuration gives, for what the source does not tell.
        journal: Tells sessions apart.
    """
    gates = [(row, slack_of_row(row, facts, config)) for row in plan.rows]
    found = [(row, estimate_row(row, slack, journal)) for row, slack in gates]
    bare = _rounds([(row, None) for row, _slack in gates], manifest)
    slackened = None if any(slack is None for _row, slack in gates) else _rounds(gates, manifest)
    lines = [
        "## Estimates per gate",
        "",
        "How often a gate at the worst of N would fail a healthy run: at most 1/(N+1) for the next run of the same "
        "session, whatever the distribution; and how many of the runs here would have failed the worst of the others. "
        "The smallest regression is the one that is noticed in four of five runs. None of this changes a value.",
        "",
    ]
    if bare is not None:
        lines += [_rounds_text(bare, slackened), ""]
    lines += table(
        _HEADS,
        [
            (
                code(row.stage_key),
                inline(row.label),
                str(one.n),
                _percent(one.promise),
                NONE if one.left_out is None else str(one.left_out),
                NONE if one.left_out_slack is None else str(one.left_out_slack),
                NONE if one.slack is None else f"×{shown(one.slack, 1, 3)}",
                _percent(one.smallest),
                _percent(one.smallest_slack),
            )
            for row, one in found
        ],
    )
    notes: dict[str, list[str]] = {}
    for row, one in found:
        for note in one.notes:
            notes.setdefault(note.text, []).append(f"{row.stage_key}/{row.metric_key}")
    lines += ["", *(_note(text, names, len(found)) for text, names in notes.items())] if notes else []
    document: list[Json] = [
        {"stage_key": row.stage_key, "metric_key": row.metric_key, "source": row.resolved_source, **estimate_json(one)}
        for row, one in found
    ]
    return {
        "rounds": _share(bare),
        "rounds_with_slack": _share(slackened),
        "gates": document,
    }, tuple(lines)


def _share(share: Share | None) -> Json:
    return None if share is None else {"failed": share.failed, "of": share.of}


def _rounds(gates: Sequence[tuple[PlanRow, Slack | None]], manifest: Manifest) -> Share | None:
    """Over all units: a test fails with its first gate, and each of its repeats is one round."""
    unit_of = {
        key: unit.key for unit in units_of(manifest, [row.stage_key for row, _slack in gates]) for key in unit.stages
    }
    members: dict[str, list[tuple[PlanRow, Slack | None]]] = {}
    for row, slack in gates:
        members.setdefault(unit_of[row.stage_key], []).append((row, slack))
    shares = [rounds(rows) for rows in members.values()]
    known = [share for share in shares if share is not None]
    if not known or len(known) < len(shares):
        return None
    return Share(sum(share.failed for share in known), sum(share.of for share in known))


def _rounds_text(bare: Share, slackened: Share | None) -> str:
    with_slack = "with the project's slack that cannot be told" if slackened is None else f"with slack {slackened}"
    return (
        f"Each test's runs held against its other runs: {bare} would have failed at least one gate without slack; "
        f"{with_slack}."
    )


def _note(text: str, names: list[str], gates: int) -> str:
    """A sentence that holds for many gates is said once."""
    if len(names) == gates and gates > 1:
        return f"- every gate: {inline(text)}"
    more = len(names) - 6
    listed = ", ".join(code(name) for name in names[:6]) + (f" and {more} more" if more > 0 else "")
    return f"- {listed}: {inline(text)}"


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{shown(share, 100, 1)} %"

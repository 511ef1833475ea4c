"""The observation report as Markdown (spec/calibration.md, section 7); the same report, the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from gates.calibration.markdown import NONE, code, inline, table
from gates.calibration.reliability import Reliability
from gates.calibration.report import Column, Provenance, Report, Section
from gates.calibration.since import Conclusion, LogSeen, Sighting, Since
from gates.calibration.values import shown
from gates.calibration.words import shown_of

TITLE = "# CI Threshold Observation Report"
_MORE_DIGITS = 2
_MOST_DIGITS = 17
_MOST_LISTED = 20
_KINDS = {"accuracy": "Accuracy", "wer": "WER", "speed": "Speed"}


def report_markdown(report: Report) -> str:
    """The whole report, ending with a newline."""
    lines = [
        TITLE,
        "",
        f"**Calibration commit:** {report.git_sha}",
        "",
        f"Model {inline(report.model)}: {len(report.sections)} stages, worst of {report.repeats} strict runs each.",
        f"Environment: {inline(report.provenance.environment.outcome)}"
        + (f" ({inline(report.provenance.environment.detail)})" if report.provenance.environment.detail else "")
        + ".",
        "",
    ]
    if report.provenance.head is not None and report.provenance.head_note:
        lines += [f"**Note:** {_head(report.provenance)}", ""]
    unknown = dict.fromkeys(what for section in report.sections for what in section.context.unknown())
    if unknown:
        lines += [f"Below, `?` stands for what is not known: {'; '.join(unknown)}.", ""]
    for section in report.sections:
        lines += [*_section(section), ""]
    lines += [*_statistics(report.sections), ""]
    if report.estimate_lines:
        lines += [*report.estimate_lines, ""]
    lines += [*_reliability(report.reliability), ""]
    if report.since is not None:
        lines += [*_since(report.since), ""]
    if report.applied:
        lines += ["## Applied changes", ""]
        lines += table(
            ("Stage", "Metric", "Old", "New", "Direction"),
            [
                (code(row.stage), code(row.metric), code(row.old), code(row.new), inline(row.direction))
                for row in report.applied
            ],
        )
        lines.append("")
    lines += _provenance(report)
    return "\n".join(lines) + "\n"


def pull_request_markdown(report: Report) -> str:
    """A text for a pull request: what was observed, what was edited, what the reviewer should know."""
    plural = "" if len(report.applied) == 1 else "s"
    lines = [
        f"# Calibrate the CI thresholds of {inline(report.model)}",
        "",
        f"Worst of {report.repeats} strict runs of {len(report.sections)} stages on commit {report.git_sha}; "
        "the full observation report is in `report.md`.",
        "",
    ]
    if report.applied:
        lines += [f"{len(report.applied)} threshold{plural} changed:", ""]
        lines += table(
            ("Stage", "Metric", "Old", "New", "Direction"),
            [
                (code(row.stage), code(row.metric), code(row.old), code(row.new), inline(row.direction))
                for row in report.applied
            ],
        )
    else:
        lines.append("No threshold was changed.")
    lines += ["", f"- Strict: {inline(report.provenance.strict.detail or report.provenance.strict.outcome)}"]
    lines.append(f"- Git provenance: {inline(report.provenance.provenance.outcome)}")
    environment = report.provenance.environment
    lines.append(
        f"- Environment: {inline(environment.outcome)}"
        + (f" ({inline(environment.detail)})" if environment.detail else "")
    )
    unpinned = [section.key for section in report.sections if not section.context.pinned and not section.context.docs]
    if unpinned:
        lines.append(f"- Scope not pinned (no expected_samples): {_listed(unpinned)}")
    if report.provenance.head is not None and report.provenance.head_note:
        lines.append(f"- {_head(report.provenance)}")
    if report.since is not None:
        lines += ["", *_since(report.since)]
    return "\n".join(lines) + "\n"


def _section(section: Section) -> list[str]:
    lines = [
        f"## {inline(section.title)}",
        "",
        f"{code(section.key)} of {code(section.test)}",
        "",
        section.context.line(),
        "",
    ]
    if section.context.docs:
        lines.append(f"All {len(section.rows)} runs passed; nothing is measured.")
        return lines
    heads = ["Run", "Samples run", "Samples ok", *(inline(column.label) for column in section.columns)]
    rows = [
        [str(row.run), _count(row.total), _count(row.ok), *(_value(column, place) for column in section.columns)]
        for place, row in enumerate(section.rows)
    ]
    worst = ["**Worst-of-N**", NONE, NONE, *(f"**{column.text(column.worst_raw)}**" for column in section.columns)]
    lines += table(heads, [*rows, worst])
    if section.left_out:
        lines += ["", *(f"- Not counted: {inline(reason)}" for reason in section.left_out)]
    return lines


def _statistics(sections: Sequence[Section]) -> list[str]:
    rows = [
        (
            code(section.key),
            inline(column.label),
            str(len(column.values)),
            _shown(column, column.spread.low),
            _shown(column, column.spread.median, _MORE_DIGITS),
            _shown(column, column.spread.mean, _MORE_DIGITS),
            _shown(column, column.spread.high),
            _shown(column, column.spread.deviation, _MORE_DIGITS),
            NONE if column.spread.variation is None else f"{shown(column.spread.variation, 1, 2)} %",
        )
        for section in sections
        for column in section.columns
    ]
    heads = ("Stage", "Metric", "N", "Min", "Median", "Mean", "Max", "SD", "SD / mean")
    return ["## Metric statistics", "", *(table(heads, rows) if rows else ["Nothing is measured."])]


def _reliability(found: Reliability) -> list[str]:
    basis = "every launch in the journal" if found.from_journal else "what the artifacts tell of themselves"
    lines = [
        "## Operational reliability",
        "",
        f"{_number(found.total('attempts'), 'attempt')} for {_number(found.total('repeats'), 'observation')}, "
        f"{_number(found.total('infra'), 'infrastructure failure')}; counted from {basis}.",
        "A threshold that failed is a valid observation and no failed attempt.",
        "",
    ]
    lines += table(
        ("Unit", "Observations", "Attempts", "Infrastructure failures", "Thresholds failed", "Median duration (s)"),
        [
            (
                code(unit.key),
                str(unit.repeats),
                str(unit.attempts),
                str(unit.infra),
                str(unit.below),
                NONE if unit.duration_s is None else shown(unit.duration_s, 1, 1),
            )
            for unit in found.units
        ],
    )
    reasons = [f"- {code(unit.key)}: {inline(reason)}" for unit in found.units for reason in unit.reasons]
    if reasons:
        lines += ["", "Infrastructure failures:", "", *reasons]
    if found.set_aside or found.by_hand:
        lines += [
            "",
            f"{found.set_aside} times what was incomplete was set aside and observed again; "
            f"{found.by_hand} cells were discarded by hand.",
        ]
    return lines


def _since(since: Since) -> list[str]:
    lines = [f"## Since {inline(since.base) if since.base else 'the last calibration'}", ""]
    if since.problem:
        lines += [f"**Note:** {inline(since.problem)}", ""]
    if since.count is not None:
        files = "" if since.files is None else f", {_number(since.files, 'file')} changed"
        lines += [f"{_number(since.count, 'commit')}{files}.", ""]
    lines += [f"- {code(commit.sha[:12])} {inline(commit.at)} {inline(commit.subject)}" for commit in since.commits]
    if since.count is not None and since.count > len(since.commits):
        lines.append(f"- and {since.count - len(since.commits)} more")
    if since.commits:
        lines.append("")
    lines += ["### Evidence in the logs", ""]
    if not since.evidence:
        lines.append("The model's configuration names no evidence to look for.")
    else:
        lines += table(
            ("Optimisation", "Looked for", "Outcome", "Where"),
            [(code(one.name), code(one.regex), _outcome(one), _where(one)) for one in since.evidence],
        )
    for conclusion in since.conclusions:
        lines += ["", f"### {_KINDS.get(conclusion.kind, inline(conclusion.kind))}", "", *_conclusion(conclusion)]
    return lines


def _outcome(sighting: Sighting) -> str:
    return sighting.outcome if sighting.outcome == "seen" else f"**{sighting.outcome}**"


def _where(sighting: Sighting) -> str:
    there = [log for log in sighting.logs if log.found]
    if there:
        first = there[0]
        line = "" if first.line is None else f", line {first.line}"
        return f"{len(there)} of {len(sighting.logs)} logs, first {code(first.path)}{line}"
    if not sighting.logs:
        return "no log belongs to these stages"
    return (
        inline(_first_detail(sighting.logs))
        if any(log.detail for log in sighting.logs)
        else f"0 of {len(sighting.logs)} logs"
    )


def _first_detail(logs: Sequence[LogSeen]) -> str:
    return next(log.detail for log in logs if log.detail)


def _conclusion(found: Conclusion) -> list[str]:
    lines = [
        f"Of {found.gates} gates the worst-of-N would tighten {len(found.better)}, loosen {len(found.worse)}, leave "
        f"{found.equal} as they are; of {found.unknown} it cannot be told."
    ]
    most = shown_of(len(found.worse), _MOST_LISTED)
    lines += ["", *(f"- loosens: {inline(name)}" for name in found.worse[:most])] if found.worse else []
    if len(found.worse) > most:
        lines.append(f"- and {len(found.worse) - most} more")
    if found.seen:
        lines += ["", f"Seen at work: {_listed(found.seen)}."]
    if found.missing:
        lines += ["", f"**Configured and not seen at work everywhere:** {_listed(found.missing)}."]
    return lines


def _provenance(report: Report) -> list[str]:
    found = report.provenance
    recorded = None if found.recorded is None else f"{found.recorded[0]} to {found.recorded[1]}"
    dirty = {None: None, True: "changed against the commit (workspace.diff)", False: "clean"}[found.dirty]
    venv = (
        None
        if found.venv_python is None
        else found.venv_python + (f" ({found.venv_source})" if found.venv_source else "")
    )
    items = [
        ("Calibration commit", report.git_sha),
        ("Branch", found.branch),
        ("Working tree", dirty),
        ("HEAD", _head_plain(found)),
        ("Run directory", found.run),
        ("Started", found.started_at),
        ("Recorded", recorded),
        ("Host profile", found.host),
        ("Python of the tests", venv),
        ("Made by", found.tool),
        ("Stages", found.manifest),
        ("Strict", f"{found.strict.outcome}: {found.strict.detail}"),
        ("Git provenance", f"{found.provenance.outcome} ({found.provenance.detail})"),
        (
            "Environment",
            found.environment.outcome + (f" ({found.environment.detail})" if found.environment.detail else ""),
        ),
        *((f"Environment, {name}", value) for name, value in found.fingerprint),
        ("Audit digest", found.digest),
    ]
    lines = ["## Provenance", "", *(f"- {inline(name)}: {inline(value)}" for name, value in items if value)]
    lines += [f"- Discarded by hand: {inline(cell)}: {inline(reason)}" for cell, reason in found.discards]
    lines += [f"- Note: {inline(note)}" for note in found.notes]
    return lines


def _head(found: Provenance) -> str:
    return f"HEAD is {_head_plain(found)}."


def _head_plain(found: Provenance) -> str:
    if found.head is None:
        return f"unknown ({found.head_note})"
    return f"{found.head}, {found.head_note}" if found.head_note else found.head


def _listed(names: Sequence[str]) -> str:
    most = shown_of(len(names), _MOST_LISTED)
    more = len(names) - most
    return ", ".join(code(name) for name in names[:most]) + (f" and {more} more" if more > 0 else "")


def _value(column: Column, place: int) -> str:
    return column.text(column.values[place]) or NONE


def _shown(column: Column, value: int | float | None, more: int = 0) -> str:
    return NONE if value is None else shown(value, column.scale, min(column.digits + more, _MOST_DIGITS))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _count(value: int | None) -> str:
    return NONE if value is None else str(value)

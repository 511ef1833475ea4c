"""The stage screen's lines: a block for each metric, a line for each repeat, and what is known of the chosen one."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual.content import Content

from gates.calibration.cells import Mark
from gates.calibration.detail import MetricDetail
from gates.calibration.rows import PlanRow
from gates.calibration.values import direction_text
from tui import words
from tui.cells import painted, shorten
from tui.marks import CELLS, MOVES, Look
from tui.sanitise import clean_inline, redact
from tui.screens.matrix_grid import LAST_SEEN
from tui.screens.run_ink import fold
from tui.screens.run_words import faulty
from tui.screens.stage_dots import Dot, as_float, draw_dots, sparkline
from tui.screens.stage_numbers import lasted, middle, number, one_in, percents, share, unit_of_label
from tui.screens.stage_view import Repeat, StageView

Span = str | Content | tuple[str, str]

_INDENT = 2
_ENDS = 10
_LONGEST_LINE = 100
_MOST_WHY = 24
_MUTED, _WARN, _KEY = "$text-muted", "$text-warning", "bold $text-primary"


def safe(text: object) -> str:
    """Text from outside, in one line."""
    return clean_inline(redact(str(text)))


def row(width: int, *spans: Span) -> Content:
    """One line, not longer than `width` cells."""
    made = Content.assemble(*spans)
    return made if made.cell_length <= width else made.truncate(width, ellipsis=True)


def metric_blocks(view: StageView, width: int, chosen: int | None, *, ascii_only: bool = False) -> list[Content]:
    """All metrics, one below the other.

    Args:
        width: Cells of a line.
        chosen: The repeat that is pointed out.
    """
    if view.detail is None:
        return [Content.styled("this run has no such stage", _WARN)]
    lines: list[Content] = []
    if view.detail.problem:
        lines += [*_wrapped(safe(view.detail.problem), width, _WARN, 0), Content("")]
    if view.sources.facts is None and any(metric.row is not None for metric in view.metrics):
        lines += [
            *_wrapped(f"what stands in the files is unknown: {safe(view.sources.why)}", width, _WARN, 0),
            Content(""),
        ]
    if not view.metrics:
        nothing = "nothing is measured here: passing is all that is asked" if view.detail.stage else "no values yet"
        lines.append(Content.styled(nothing, _MUTED))
    for metric in view.metrics:
        lines += [*metric_block(view, metric, width, chosen, ascii_only=ascii_only), Content("")]
    return lines


def notes(view: StageView, width: int, *, ascii_only: bool = False) -> list[Content]:
    """How the lines are read, and what holds for every metric."""
    if not any(as_float(value) is not None for metric in view.metrics for value in metric.values):
        return []
    one, other, here, bad = "oc@." if ascii_only else "●○◆╌"
    legend = f"{one} a repeat that counts, a digit for several; {other} one that does not; {here} the chosen one; "
    lines = _wrapped(f"{legend}{bad} what would fail once it is written", width, _MUTED, 0)
    for text in view.shared:
        lines += _wrapped(f"every metric: {safe(text)}", width, _MUTED, 0)
    return lines


def metric_block(
    view: StageView, metric: MetricDetail, width: int, chosen: int | None, *, ascii_only: bool = False
) -> list[Content]:
    """One metric: values, worst and spread, the line with the dots, what would be written, and how good that is."""
    planned = metric.row
    lines = [_title(metric, planned, width, ascii_only), *_values(view, metric, width, chosen, ascii_only)]
    spread = _spread(metric, planned)
    if spread is not None:
        lines.append(row(width, " " * _INDENT, *spread))
    lines += _dots(view, metric, width, chosen, ascii_only)
    if planned is not None:
        lines += _threshold(view, planned, width, ascii_only)
    lines += _estimate(view, metric, width)
    return lines


def _title(metric: MetricDetail, planned: PlanRow | None, width: int, ascii_only: bool) -> Content:
    label = safe(metric.metric.display.label)
    there = sum(as_float(value) is not None for value in metric.values)
    bars = sparkline(metric.values, ascii_only=ascii_only).rstrip() if there > 1 else ""
    bound = ("a lower bound" if metric.metric.worst == "min" else "an upper bound") if metric.metric.source else ""
    tail, style = "", ""
    if planned is not None:
        look = MOVES[planned.direction]
        said = direction_text(planned.worst_op, planned.current_raw, planned.write_value)
        tail = f"{look.sign(ascii_only)} {look.word}{said.removeprefix(planned.direction)}"
        style = f"bold $text-{look.style}"
    label = shorten(label, max(8, width - painted(tail) - 2))
    room = width - painted(label) - painted(tail)
    middle: list[Span] = []
    for text, tone in ((bars, ""), (bound, _MUTED)):
        if text and painted(text) + 4 <= room:
            middle += ["  ", (text, tone)]
            room -= painted(text) + 2
    return row(width, (label, _KEY), *middle, " " * max(1, room), (tail, style))


def _values(view: StageView, metric: MetricDetail, width: int, chosen: int | None, ascii_only: bool) -> list[Content]:
    """A cell for each repeat, in columns that keep their place."""
    texts = [number(value, metric.metric) for value in metric.values]
    if ascii_only:
        texts = [text.replace("—", "-") for text in texts]
    signs = [f"{repeat.cell.run}{mark_look(repeat).sign(ascii_only)}" for repeat in view.repeats]
    wide, sign_wide = max(map(len, texts), default=1), max(map(len, signs), default=2)
    each = wide + sign_wide + 3
    fit = max(1, (width - _INDENT + 2) // each)
    lines = []
    for start in range(0, len(texts), fit):
        spans: list[Span] = [" " * _INDENT]
        for place in range(start, min(len(texts), start + fit)):
            repeat, text = view.repeats[place], texts[place]
            counts = repeat.cell.mark is Mark.STRICT
            style = f"$text-{mark_look(repeat).style}" if mark_look(repeat).style else ""
            tone = "" if counts else _MUTED
            if repeat.cell.run == chosen:
                style, tone = f"{style} reverse", "bold"
            spans += [(signs[place].rjust(sign_wide), style), " ", (text.rjust(wide), tone), "  "]
        lines.append(row(width, *spans))
    return lines


def _spread(metric: MetricDetail, planned: PlanRow | None) -> list[Span] | None:
    if planned is None:
        return None
    unit = unit_of_label(safe(metric.metric.display.label))
    named = f" {unit}" if unit else ""
    ordered = sorted(planned.per_run_raw)
    wide = float(ordered[-1]) - float(ordered[0])
    centre = middle(list(planned.per_run_raw))
    part = share(wide, centre) if as_float(wide) is not None else ""
    spread = f"{number(wide, metric.metric)}{named}" + (f" = {part}" if part else "")
    return [
        ("worst ", _MUTED), (f"{number(planned.worst_raw, metric.metric)}{named}", "bold"),
        ("  median ", _MUTED), number(centre, metric.metric),
        ("  spread ", _MUTED), spread,
    ]  # fmt: skip


def _dots(view: StageView, metric: MetricDetail, width: int, chosen: int | None, ascii_only: bool) -> list[Content]:
    dots = [
        Dot(repeat.cell.run, value, repeat.cell.mark is Mark.STRICT)
        for repeat, value in zip(view.repeats, metric.values, strict=True)
        if value is not None and as_float(value) is not None
    ]
    if not dots:
        return []
    planned = metric.row
    room = min(_LONGEST_LINE, width - _INDENT - 2 * (_ENDS + 1))
    drawn = draw_dots(
        dots, room, metric.metric.worst,
        planned.current_raw if planned is not None else None, planned.write_value if planned is not None else None,
        chosen=chosen, margin=_ENDS + 1, ascii_only=ascii_only,
    )  # fmt: skip
    ends = [("" if end is None else number(end, metric.metric)) for end in (drawn.low, drawn.high)]
    line = Content(drawn.line)
    if drawn.chosen is not None:
        line = line.stylize("bold $text-accent", drawn.chosen, drawn.chosen + 1)
    lead = Content.styled(f"{' ' * _INDENT}{ends[0][:_ENDS].rjust(_ENDS)} ", _MUTED)
    lines = [Content.assemble(lead, line, (f" {ends[1][:_ENDS]}", _MUTED))]
    if drawn.below.strip():
        lines.append(Content(f"{' ' * _INDENT}{drawn.below}".rstrip()))
    return lines


def _threshold(view: StageView, planned: PlanRow, width: int, ascii_only: bool) -> list[Content]:
    """What stands in the file, and what would."""
    arrow = "->" if ascii_only else "→"
    place = safe(f"{planned.resolved_source} in {planned.file}")
    if planned.current_text is not None and planned.current_text == planned.write_text:
        stands = (safe(planned.current_text), "bold")
        return [_filled(width, [("in the file ", _MUTED), stands, (", which stays  ", _MUTED)], place)]
    if planned.current_text is not None:
        head: list[Span] = [
            ("in the file ", _MUTED), (safe(planned.current_text), "bold"), f"  {arrow}  ",
            (safe(planned.write_text), "bold"), (" would be written  ", _MUTED),
        ]  # fmt: skip
        return [_filled(width, head, place)]
    why = planned.problem or (f"{planned.file} was not found" if view.sources.facts is not None else "")
    head = [
        ("in the file ", _MUTED), ("unknown", f"bold {_WARN}"), f"  {arrow}  ",
        (safe(planned.write_text), "bold"), (" would be written  ", _MUTED),
    ]  # fmt: skip
    return [_filled(width, head, place), *(_wrapped(f"unknown: {safe(why)}", width, _WARN) if why else [])]


def _filled(width: int, head: Sequence[Span], place: str) -> Content:
    """A line whose last part gives way."""
    made = Content.assemble(" " * _INDENT, *head)
    room = width - made.cell_length
    return made if room < 12 else Content.assemble(made, (shorten(place, room), _MUTED))


def _estimate(view: StageView, metric: MetricDetail, width: int) -> list[Content]:
    found = metric.estimate
    if found is None:
        return []
    like = "of the same session" if found.sessions is not None else "like these"
    parts = [f"a healthy run {like} fails it at most {one_in(found.promise)}"]
    if found.promise_new_session is not None:
        parts.append(f"one of another session {one_in(found.promise_new_session)}")
    if found.left_out is not None:
        slack = ""
        if found.slack is not None and found.left_out_slack is not None:
            slack = f", with slack x{found.slack:g} {found.left_out_slack}"
        parts.append(f"against the others {found.left_out} would have failed{slack}")
    if found.smallest is not None:
        slack = f", with slack {percents(found.smallest_slack)}" if found.slack is not None else ""
        parts.append(f"notices a change of {percents(found.smallest)}{slack}")
    lines = _wrapped("; ".join(parts), width, "")
    for note in view.own_notes(metric):
        lines += _wrapped(f"note: {safe(note)}", width, _MUTED)
    return lines


def _wrapped(text: str, width: int, style: str, indent: int = _INDENT) -> list[Content]:
    found = textwrap.wrap(text, max(20, width - indent)) or [""]
    return [row(width, " " * indent, (line, style)) for line in found]


# Repeats.


def mark_look(repeat: Repeat) -> Look:
    """How a repeat's mark is shown."""
    if repeat.unseen and repeat.mark == "running":
        return LAST_SEEN
    return CELLS.get(repeat.mark) or Look("?", "?", "not judged", "warning")


def repeat_heads(width: int) -> Content:
    """What stands above the repeats."""
    return row(width, ("  repeat   samples        took  tries  why", _MUTED))


def repeat_line(repeat: Repeat, width: int, now: float, *, chosen: bool, ascii_only: bool = False) -> Content:
    """One repeat in one line."""
    look, cell, record = mark_look(repeat), repeat.cell, repeat.cell.record
    pointer = (">" if ascii_only else "▌") if chosen else " "
    samples = (
        "" if record is None or (record.ok is None and record.total is None) else _samples(record.ok, record.total)
    )
    took = lasted(repeat.duration_s) if record is not None else ""
    tries = str(record.attempts) if record is not None and record.attempts is not None else ""
    tries = tries or (str(len(repeat.attempts)) if repeat.attempts else "")
    why = safe(faulty("", cell.reason, cell.path)[1] or (record.reason if record is not None else ""))
    if repeat.unseen:
        why = LAST_SEEN.word
    elif repeat.running:
        why = "runs now" + (f", for {words.age(now - repeat.since)}" if repeat.since is not None else "")
    if ascii_only:
        took = took.replace("—", "-")
    style = f"$text-{look.style}" if look.style else ""
    return row(
        width,
        (pointer, "$text-accent"),
        (f"{cell.run:>4} ", "bold" if chosen else ""),
        (look.sign(ascii_only), style),
        f"  {samples:>10}  {took:>10}  {tries:>5}  ",
        (why, "" if chosen else _MUTED),
    )


def _samples(ok: int | None, total: int | None) -> str:
    left, right = ("?" if value is None else str(value) for value in (ok, total))
    text = f"{left}/{right}"
    return text if len(text) <= 10 else f"{text[:9]}…"


def about_repeat(repeat: Repeat | None, width: int, most: int, *, ascii_only: bool = False) -> list[Content]:
    """The chosen repeat in a few lines: what it is, where its log is, how it was come by, its attempts."""
    if repeat is None:
        return []
    look, record = mark_look(repeat), repeat.cell.record
    style = f"bold $text-{look.style}" if look.style else "bold"
    word, why = faulty(look.word, repeat.cell.reason, repeat.cell.path)
    why = safe(why or (record.reason if record is not None else ""))
    said = f"{look.sign(ascii_only)} {word}"
    lead = f"repeat {repeat.cell.run}  {said}  "
    folded = fold(lead + why, width, _MOST_WHY, "..." if ascii_only else "…")
    first = folded[0][len(lead) :] if folded else ""
    lines = [row(width, ("repeat ", _MUTED), (f"{repeat.cell.run}  ", "bold"), (said, style), f"  {first}".rstrip())]
    lines += [row(width, text) for text in folded[1:]]
    most += len(lines) - 1  # why it does not count is more than what else is known
    if repeat.log is None:
        lines.append(row(width, ("log ", _MUTED), ("none yet" if repeat.mark == "—" else "not known", _MUTED)))
    else:
        size = "" if repeat.size is None else f"  {words.size(repeat.size)}"
        shows = ("  Enter shows it" if ascii_only else "  ↵ shows it") if repeat.size is not None else "  not there"
        room = width - len(size) - len(shows) - 4
        path = shorten(safe(repeat.log), max(8, room))
        lines.append(row(width, ("log ", _MUTED), path, (size, _MUTED), (shows, "$text-accent")))
    if record is not None:
        facts = [f"recorded {safe(record.recorded_at)}"] if record.recorded_at else []
        facts += [f"commit {safe(record.git_sha)[:12]}"] if record.git_sha else []
        facts += [f"GPU {','.join(map(str, record.gpu_indices))}"] if record.gpu_indices else []
        facts += [f"pytest exit {record.pytest_rc}"] if record.pytest_rc is not None else []
        if facts:
            lines.append(row(width, (", ".join(facts), _MUTED)))
    tries = [
        row(
            width,
            (f"attempt {one.number}  ", _MUTED),
            f"{safe(one.outcome) or '?'}  {lasted(one.duration_s) if one.duration_s is not None else ''}  ",
            (safe(one.reason), _MUTED),
        )
        for one in repeat.attempts
        if len(repeat.attempts) > 1 or one.reason
    ]
    room = most - len(lines)
    if len(tries) > room > 0:
        tries = [Content.styled(f"{len(tries) - room + 1} earlier attempts", _MUTED), *tries[len(tries) - room + 1 :]]
    return [*lines, *tries][: max(1, most)]


def sentence(view: StageView) -> tuple[str, str]:
    """How the stage stands, in one sentence, and its tone: success, warning, muted."""
    detail = view.detail
    if detail is None:
        return "This run has no such stage.", "warning"
    planned = detail.repeats
    of = f" of {planned}" if planned is not None else ""
    bad = [repeat for repeat in view.repeats if repeat.cell.mark not in (Mark.STRICT, Mark.ABSENT, Mark.UNKNOWN)]
    unjudged = sum(repeat.cell.mark is Mark.UNKNOWN for repeat in view.repeats)
    verb = "is" if view.strict == 1 else "are"
    said = [f"{view.strict}{of} {'repeat' if (planned or view.strict) == 1 else 'repeats'} {verb} strictly complete"]
    if bad:
        said.append(f"{len(bad)} {'does' if len(bad) == 1 else 'do'} not count")
    if unjudged:
        said.append(f"{unjudged} cannot be judged")
    text = ", ".join(said) + "."
    rows = [metric.row for metric in view.metrics if metric.row is not None]
    if rows:
        moves = {name: sum(one.direction == name for one in rows) for name in MOVES}
        counted = [f"{count} {_moved(name, count)}" for name, count in moves.items() if count]
        thresholds = "threshold" if len(rows) == 1 else "thresholds"
        if view.sources.facts is None and moves["unknown"] == len(rows):
            text += f" What stands in the {'file' if len(rows) == 1 else 'files'} now is not known."
        else:
            text += f" Of {len(rows)} {thresholds} written now, {', '.join(counted)}."
    whole = planned is not None and view.strict >= planned
    return text, "success" if whole and not bad else "warning" if bad or detail.stage is None else "muted"


def _moved(name: str, count: int) -> str:
    one, many = {
        "tightens": ("tightens", "tighten"),
        "loosens": ("loosens", "loosen"),
        "equal": ("stays", "stay"),
        "unknown": ("is unknown", "are unknown"),
    }[name]
    return one if count == 1 else many

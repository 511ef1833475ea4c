"""The pages of the apply prompt: what each step says, for one width and one set of glyphs."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from gates.calibration.modes import APPLY, FULL, KEEP, REPORT, SMART, Answer, Custom, Decisions
from gates.calibration.rows import PlanRow
from gates.calibration.values import direction_text
from jobs.calibration.offering import Change, CutOff, Ready
from tui.screens.prompt_flow import Flow, Judged
from tui.screens.prompt_page import Choice, Page, direction, folded, natural, plain, safe, table, wrapped
from tui.screens.stage_dots import Dot, draw_dots
from tui.words import counted

NUMBER, YES, NO, CLOSE = "number", "yes", "no", "close"
FINISH, ROLL_BACK = "finish", "roll back"
_MUTED = "$text-muted"
_STRONG = "bold"
_MARGIN = 6
_WIDEST_LINE = 100
_BESIDE = 14  # rows that a question takes besides what is said of it: frame, line, repeats, answers
_BELOW = 2  # rows for what is said of what is typed
_HEADERS = 2  # rows of a unified diff before its first hunk: the names of the file
_HEADER = "bold $text-secondary"
_DIFF = {"-": "$text-error", "+": "$text-success", "@": "$text-secondary"}


def preparing(said: Sequence[str], width: int, ascii_only: bool) -> Page:
    """What was done so far, and what is done now."""
    tick, dot = ("+", "*") if ascii_only else ("✓", "●")
    rows = [row for one in said[:-1] for row in wrapped(f"{tick} {safe(one)}", width, _MUTED)]
    rows += [row for one in said[-1:] for row in wrapped(f"{dot} {safe(one)}…", width, "$text-primary")]
    return Page("getting ready", (*wrapped("Nothing is changed by this.", width, _MUTED), *rows))


def modes(ready: Ready, width: int) -> Page:
    """What each of the three modes would do."""
    plan = ready.plan
    files = len({row.file for row in plan.rows})
    told = (
        f"Every stage is strictly complete. Worst of {plan.repeats} repeats, "
        f"{counted(len(plan.rows), 'threshold')} in {counted(files, 'file')} of {safe(ready.repo)}."
    )
    effects = {mode: _effect(decisions) for mode, decisions in ready.modes.items()}
    choices = (
        Choice(REPORT, "report", "touch nothing: show what could be written"),
        Choice(SMART, "smart", effects[SMART]),
        Choice(FULL, "full", effects[FULL]),
    )
    ask = (
        Content(""),
        *wrapped(
            "smart writes accuracy, wer, similarity, utmos and what tightens, and asks about the rest; full writes "
            "every metric. Both show the exact change and ask before anything is written.",
            width,
            _MUTED,
        ),
        Content(""),
    )
    return Page("what should be done?", wrapped(told, width), ask, choices)


def report(ready: Ready, width: int, ascii_only: bool) -> Page:
    """The whole plan; nothing is written by it."""
    head = wrapped("Mode report: nothing was changed. This is what the worst of the repeats comes to.", width)
    rows: list[Content] = []
    lines: list[Sequence[Content | str]] = [_heads("  constant", "now", "new", "direction")]
    names: dict[int, str] = {}
    stage = None
    for row in ready.plan.rows:
        if row.stage_key != stage:
            names[len(lines)] = stage = row.stage_key
        lines.append(_plan_row(row, ascii_only))
    for at, line in enumerate(table(lines, width)):
        if at in names:
            rows.extend(folded(safe(names[at]), width, _STRONG, 2))
        rows.append(line)
        problem = ready.plan.rows[at - 1].problem if at else None
        if problem:
            rows.extend(folded(f"    {safe(problem)}", width, "$text-warning", 4))
    return Page("the plan", (*head, Content(""), *rows), (Content(""),), (Choice(CLOSE, "close"),), back=True)


def question(flow: Flow, width: int, height: int, ascii_only: bool, judged: Judged | None = None) -> Page:
    """One value that a person has to decide on.

    Args:
        height: Rows that there are; the line with the repeats is left out where there are few.
        judged: What is being typed, drawn as the new threshold; None while nobody types.
    """
    asked = flow.question
    assert asked is not None  # the flow has one as long as this page is shown
    row = asked.row
    now, new = row.current_text or "?", row.write_text
    bound = "lower bound, more is better" if row.worst_op == "min" else "upper bound, less is better"
    effect = direction_text(row.worst_op, row.current_raw, row.write_value)
    head = [
        *folded(safe(row.stage_key), width, _STRONG, 2),
        *folded(safe(row.resolved_source), width, "", 2),
        *folded(f"{safe(row.file)}, {bound}", width, _MUTED, 2),
        Content(""),
        *Content.assemble(f"now {safe(now)}, worst of {counted(len(row.runs), 'repeat')} {safe(new)}   ")
        .append(direction(effect, ascii_only))
        .wrap(width),
        *wrapped(f"asked because {safe(asked.reason)}", width, _MUTED),
        Content(""),
    ]
    if height >= len(head) + _BESIDE:
        head += _drawn(row, width, ascii_only, judged.answer if judged is not None else None)
    values = "  ".join(f"{run}: {value:.6g}" for run, value in zip(row.runs, row.per_run_raw, strict=True))
    head += [*wrapped(f"repeats  {values}", width), Content("")]
    choices = (
        Choice(KEEP, "keep", f"leave {safe(now)} as it is"),
        Choice(APPLY, "apply", f"write {safe(new)}, the worst that was measured", danger=True),
        Choice(NUMBER, "number", _typed_before(flow.given), danger=True),
    )
    given = flow.given
    at = 2 if isinstance(given, Custom) else 1 if given == APPLY else 0
    below = () if judged is None else _said(judged, width, ascii_only)
    return Page(
        f"question {flow.at + 1} of {len(flow.questions)}", tuple(head), (), choices, at, below=below, back=True
    )


def change(made: Change, warnings: Sequence[str], repo: str, host: str, width: int, ascii_only: bool) -> Page:
    """The exact change, and the question whether to write it."""
    rows: list[Content] = []
    sign = "!" if ascii_only else "△"
    for warning in warnings:
        rows.extend(wrapped(f"{sign} {safe(warning)}", width, "$text-warning"))
    rows += [Content("")] if warnings else []
    for diff in made.diffs:
        for at, line in enumerate(diff):
            style = _HEADER if at < _HEADERS else _DIFF.get(line[:1], "")
            rows.extend(folded(safe(line, 16384), width, style, 2))
    rows += [Content(""), *_written(made.decisions, width, ascii_only), *_left(made.decisions, width)]
    lines = sum(line.startswith("+") for diff in made.diffs for line in diff[_HEADERS:])
    asked = f"Write these {counted(lines, 'line')} in {counted(len(made.files), 'file')} on {safe(host)}?"
    where = f"In {safe(repo)}; nothing is committed or pushed."
    if warnings:
        where = f"{counted(len(warnings), 'warning')} above the change. {where}"
    ask = (Content(""), *wrapped(asked, width, _STRONG), *wrapped(where, width, _MUTED))
    choices = (Choice(NO, "No, change nothing"), Choice(YES, "Yes, write", danger=True))
    return Page("the exact change", tuple(rows), ask, choices, flat=True, back=True)


def waiting(title: str, text: str, width: int) -> Page:
    """Something is at work and nothing can be decided."""
    return Page(title, wrapped(text, width))


def cut_off(found: CutOff, host: str, width: int) -> Page:
    """An apply that was interrupted, file by file, and what can be done about it."""
    who = f" by {safe(found.who)}" if found.who else ""
    told = f"The apply{who} of {safe(found.at)} was cut off: {safe(found.line)}, in {safe(found.repo)} on "
    words = {"old": "not written yet", "new": "written", "other": "changed by somebody else since", "gone": "gone"}
    rows = table([(f"  {words.get(holds, safe(holds))}", safe(path)) for path, holds in found.files], width, 1)
    finish = Choice(FINISH, "finish", "write the files that are not written yet", danger=True)
    choices = (
        Choice(NO, "leave it", "change nothing now"),
        *(() if found.spoiled else (finish,)),
        Choice(ROLL_BACK, "roll back", "put back what was written; what others changed stays", danger=True),
    )
    head = (*wrapped(f"{told}{safe(host)}.", width), *wrapped(safe(found.why), width, "$text-warning"), Content(""))
    spoiled = "It cannot be finished: a file was changed by somebody else since." if found.spoiled else ""
    ask = (Content(""), *wrapped(spoiled, width, "$text-warning"))
    return Page("an interrupted apply", (*head, *rows), ask, choices)


def over(title: str, lines: Sequence[str], style: str, width: int) -> Page:
    """How it ended: the first line says it, the others say what may be done."""
    rows = [
        row
        for at, line in enumerate(lines)
        for row in wrapped(safe(line[:1].upper() + line[1:], 1000), width, "" if at else style)
    ]
    return Page(title, tuple(rows), (Content(""),), (Choice(CLOSE, "close"),))


def _effect(decisions: Decisions) -> str:
    parts = [f"write {counted(len(decisions.written), 'threshold')}"]
    if decisions.asked:
        parts.append(f"ask {counted(len(decisions.asked), 'question')}")
    if decisions.skipped:
        parts.append(f"leave {len(decisions.skipped)}")
    looser = sum(edit.direction == "loosens" for edit in decisions.written)
    if looser:
        parts[0] += f" ({looser} of them looser)"
    return ", ".join(parts)


def _heads(*names: str) -> list[Content]:
    return [plain(name, _MUTED) for name in names]


def _plan_row(row: PlanRow, ascii_only: bool) -> list[Content | str]:
    effect = direction_text(row.worst_op, row.current_raw, row.write_value)
    current = safe(row.current_text) if row.current_text else "?"
    return [f"  {safe(row.resolved_source)}", current, safe(row.write_text), direction(effect, ascii_only)]


def _drawn(row: PlanRow, width: int, ascii_only: bool, typed: Answer | None) -> list[Content]:
    dots = [Dot(run, value, counts=True) for run, value in zip(row.runs, row.per_run_raw, strict=True)]
    new = typed.value if isinstance(typed, Custom) else row.current_raw if typed == KEEP else row.write_value
    room = min(width, _WIDEST_LINE) - 2 * _MARGIN
    drawn = draw_dots(dots, room, row.worst_op, row.current_raw, new, margin=_MARGIN, ascii_only=ascii_only)
    line = plain(" " * _MARGIN + drawn.line, "$text-primary")
    return [line, plain(drawn.below.rstrip(), "$text-accent"), Content("")]


def _said(judged: Judged, width: int, ascii_only: bool) -> tuple[Content, ...]:
    """What Enter would make of what is typed; two rows, so that nothing jumps."""
    said = Content("")
    if judged.error:
        said = plain(safe(judged.error), "$text-error")
    elif judged.effect:
        said = direction(judged.effect, ascii_only)
    if judged.caution:
        said = said.append(plain(f"   {'!' if ascii_only else '△'} {safe(judged.caution)}", "$text-warning"))
    rows = said.wrap(max(1, width - 2))[:_BELOW]
    return (*rows, *[Content("")] * (_BELOW - len(rows)))


def _typed_before(given: Answer | None) -> str:
    return f"{safe(given.text)}, or another one" if isinstance(given, Custom) else "type another one"


def _written(decisions: Decisions, width: int, ascii_only: bool) -> list[Content]:
    rows: list[Sequence[Content | str]] = [_heads("what changes", "old", "new", "direction")]
    for edit in decisions.written:
        key = safe(f"{edit.row.stage_key}/{edit.row.resolved_source}")
        current = safe(edit.row.current_text or "?")
        rows.append([key, current, safe(edit.text), direction(edit.direction_text, ascii_only)])
    return table(rows, width)


def _left(decisions: Decisions, width: int) -> list[Content]:
    left = (*decisions.kept, *decisions.skipped)
    if not left:
        return []
    rows = [_heads("what stays", "value", "why")]
    for one in left:
        key = safe(f"{one.row.stage_key}/{one.row.resolved_source}")
        value = safe(one.row.current_text or "?")
        rows.append([Content(key), Content(value), plain(safe(one.reason), _MUTED)])
    if sum(natural(rows)) + 4 <= width:
        return [Content(""), *table(rows, width)]
    # No room beside: each reason stands in a row of its own
    found = [Content("")]
    for at, line in enumerate(table([row[:2] for row in rows], width)):
        found.append(line)
        found.extend(folded(f"  {rows[at][2].plain}", width, _MUTED, 2) if at else [])
    return found

"""The work behind `calibrate plan` and `calibrate apply`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from gates.calibration.cautions import cautions
from gates.calibration.modes import Answer, AnswersError, Decisions, Question, decide, parse_answer, parse_answers
from gates.calibration.plan import PlanRefused, plan_json
from gates.calibration.values import direction_text, percent_text
from hosts.errors import InputError, RefusedError
from hosts.host import HostActor, HostReader, Json
from hosts.local import strictjson
from jobs.calibration.apply import FileChange, Prepared, changes, check_head, finish, prepare, status
from jobs.calibration.locate import Watched, find_run
from jobs.calibration.offering import Ready, carry_out, check_again, held
from jobs.calibration.site import Site, find_site
from jobs.calibration.watch import look, missing_manifest
from jobs.connect import open_actor, open_reader
from tui import console
from tui.cli.asking import connects
from tui.cli.calibration_find import in_time
from tui.exits import ExitCode
from tui.sanitise import confirmable

_ANSWERS_MIB = 1  # a run has some hundred questions at most


async def show_plan(args: argparse.Namespace) -> int:
    """Print the plan; 1 with the reasons when the run is not ready."""
    return await _refused_in_json(args, _show_plan)


async def apply_run(args: argparse.Namespace) -> int:
    """Decide, show the exact change, ask, and write it."""
    return await _refused_in_json(args, _apply_run)


async def _refused_in_json(args: argparse.Namespace, command: Callable[[argparse.Namespace], Awaitable[int]]) -> int:
    """Run a command; with --json its refusal is a document too, for whoever reads stdout."""
    try:
        return await command(args)
    except RefusedError as refusal:
        if not args.json:
            raise
        console.print_json({"error": "refused", "reasons": [str(refusal)]})
        return refusal.code


async def _show_plan(args: argparse.Namespace) -> int:
    watched, site = await in_time(args.run_dir, partial(_where, args))
    reader = await asyncio.to_thread(open_reader, watched.profile if not watched.local else None, connects())
    try:
        prepared = await _prepared(args, reader, watched, site)
    finally:
        await reader.close()
    if prepared is None:
        return ExitCode.SAYS_NO
    if args.json:
        console.print_json(plan_json(prepared.plan, watched.run_dir))
    else:
        _print_plan(prepared)
    return ExitCode.OK


async def _apply_run(args: argparse.Namespace) -> int:
    if args.finish and args.roll_back:
        raise InputError("--finish and --roll-back exclude each other")
    if args.mode is None and not (args.finish or args.roll_back):
        raise InputError("--mode is needed: report, smart or full")
    watched, site = await in_time(args.run_dir, partial(_where, args))
    profile = watched.profile if not watched.local else None
    if args.mode == "report":
        reader = await asyncio.to_thread(open_reader, profile, connects())
        try:
            return await _report_only(args, reader, watched, site)
        finally:
            await reader.close()
    actor = await asyncio.to_thread(open_actor, profile, args.read_only, connects())
    try:
        if args.finish or args.roll_back:
            return await _take_up(args, actor, watched)
        return await _apply(args, actor, watched, site)
    finally:
        await actor.close()


async def _report_only(args: argparse.Namespace, reader: HostReader, watched: Watched, site: Site) -> int:
    prepared = await _prepared(args, reader, watched, site)
    if prepared is None:
        return ExitCode.SAYS_NO
    decisions = decide(prepared.plan, "report")
    if args.json:
        console.print_json(_document(decisions, watched.run_dir, [], "report", "nothing changed"))
    else:
        _print_plan(prepared)
        console.print_text("mode report: nothing changed")
    return ExitCode.OK


async def _apply(args: argparse.Namespace, actor: HostActor, watched: Watched, site: Site) -> int:
    before = await status(actor, watched.run_dir)
    if before.get("state") in ("interrupted", "running"):
        raise RefusedError(f"{before.get('line')}; complete it with --finish, or undo it with --roll-back")
    prepared = await _prepared(args, actor, watched, site)
    if prepared is None:
        return ExitCode.SAYS_NO
    basis = held(prepared, before)
    await check_head(actor, prepared)
    decisions = _decided(args, prepared)
    files = await asyncio.to_thread(changes, prepared, decisions)
    if not files:
        return _nothing(args, decisions, watched)
    count = sum(len(file.planned.edits) for file in files)
    where = f"{_counted(count, 'literal')} in {_counted(len(files), 'file')} of {site.repo} on {actor.name}"
    if not args.yes and not _is_terminal():
        raise InputError(_unasked(where, decisions))
    for line in cautions(decisions):
        console.warn(line)
    if not args.json:
        _print_decisions(decisions)
    for file in files:
        for line in file.diff():
            (console.milestone if args.json else console.print_text)(confirmable(line))
    if not args.yes and not _confirmed(f"write {where}?"):
        if args.json:
            console.print_json(_document(decisions, watched.run_dir, [], args.mode, "declined, nothing changed"))
        else:
            console.print_text("nothing changed")
        return ExitCode.OK
    if not args.yes:  # a question may stand for hours, and what it showed is what was consented to
        await _still_so(actor, basis)
    written = await carry_out(actor, prepared, files, args.mode, getpass.getuser(), args.repo)
    if written.problem:
        console.warn(written.problem)
    if args.json:
        console.print_json(_document(decisions, watched.run_dir, files, args.mode, "applied"))
    else:
        console.print_text(f"wrote {where}; nothing was committed")
        console.print_text(*([f"report: {written.report}"] if written.report else []))
    return ExitCode.OK


async def _still_so(actor: HostActor, basis: Ready) -> None:
    """Refuse where the run, its newest apply or the code is not what the question was made from."""
    try:
        await check_again(actor, basis, lambda _: "")
    except RefusedError as error:
        raise RefusedError(f"{error}; nothing was written: apply again to see what would be now") from error


async def _take_up(args: argparse.Namespace, actor: HostActor, watched: Watched) -> int:
    answer = await finish(actor, watched.run_dir, roll_back=args.roll_back)
    if args.json:
        console.print_json(answer)
    else:
        console.print_text("the interrupted apply was " + ("rolled back" if args.roll_back else "completed"))
    return ExitCode.OK


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _where(args: argparse.Namespace) -> tuple[Watched, Site]:
    watched = find_run(args.run_dir, args.root, args.repo, args.host, args.model)
    near = Path(watched.run_dir) if watched.local else None
    far = watched.profile if not watched.local else None
    return watched, find_site(args.root, args.repo, args.host, near, far=far)


async def _prepared(args: argparse.Namespace, reader: HostReader, watched: Watched, site: Site) -> Prepared | None:
    """The plan, or None once its refusal has been said."""
    found = await look(reader, watched)
    missing = missing_manifest(watched, found)
    if missing is not None:
        raise InputError(missing)
    try:
        return await prepare(reader, watched, site, found)
    except PlanRefused as refusal:
        if args.json:
            console.print_json(plan_json(refusal))
        else:
            console.error("the run is not ready: " + "; ".join(refusal.reasons))
        return None


def _decided(args: argparse.Namespace, prepared: Prepared) -> Decisions:
    """What is written: by the mode, by the answers given, and by those asked for on the terminal."""
    answers: dict[str, Answer] = {}
    try:
        if args.answers is not None:
            answers = parse_answers(_answers_document(args.answers))
        decisions = decide(prepared.plan, args.mode, answers)
        if decisions.asked and sys.stdin.isatty() and args.answers is None and not args.yes:
            answers.update(_ask_all(decisions.asked))
            decisions = decide(prepared.plan, args.mode, answers)
    except AnswersError as error:
        raise InputError(str(error)) from error
    return decisions


def _unasked(where: str, decisions: Decisions) -> str:
    """The one error of an apply that has nobody to ask; what it would do, `plan` shows."""
    asked = len(decisions.asked)
    answers = f" and --answers FILE answers {_counted(asked, 'question')}" if asked else ""
    return f"there is no terminal to ask on, so nothing was changed: --yes writes {where}{answers}"


def _answers_document(path: str) -> Json:
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
            data = file.read(_ANSWERS_MIB * (1 << 20) + 1)
    except OSError as error:
        raise InputError(f"--answers {path}: {error.strerror or error}") from error
    if len(data) > _ANSWERS_MIB * (1 << 20):
        raise InputError(f"--answers {path}: larger than {_ANSWERS_MIB} MiB")
    return strictjson.loads(data, "answers" if path == "-" else path)


def _ask_all(questions: Sequence[Question]) -> dict[str, Answer]:
    given: dict[str, Answer] = {}
    for number, question in enumerate(questions, 1):
        row = question.row
        change = "" if row.current_raw is None else f" ({percent_text(row.current_raw, row.write_value)})"
        console.milestone(f"[{number}/{len(questions)}] {question.key}")
        console.milestone(f"  {question.reason}{change}")
        console.milestone(f"  repeats {', '.join(f'{value:.6g}' for value in row.per_run_raw)}")
        console.milestone(f"  now {row.current_text}, worst of N {row.write_text}")
        while True:
            console.milestone("  keep, apply, or a number [keep]:")
            line = sys.stdin.readline()
            if not line.strip():
                given[question.key] = "keep"
                break
            try:
                given[question.key] = parse_answer(line)
            except AnswersError as error:
                console.error(str(error))
                continue
            break
    return given


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _confirmed(question: str) -> bool:
    console.milestone(f"{question} [y/N]:")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _nothing(args: argparse.Namespace, decisions: Decisions, watched: Watched) -> int:
    for line in cautions(decisions):
        console.warn(line)
    if args.json:
        console.print_json(_document(decisions, watched.run_dir, [], args.mode, "nothing to write"))
    else:
        _print_decisions(decisions)
        console.print_text("nothing to write")
    return ExitCode.OK


def _print_plan(prepared: Prepared) -> None:
    rows = [
        (
            row.stage_key,
            row.resolved_source,
            row.current_text or "?",
            row.write_text,
            direction_text(row.worst_op, row.current_raw, row.write_value),
            row.problem or "",
        )
        for row in prepared.plan.rows
    ]
    _print_grouped(("STAGE, CONSTANT", "NOW", "NEW", "DIRECTION", ""), rows)


def _print_decisions(decisions: Decisions) -> None:
    """What changes, and then what stays and why."""
    written = [
        (
            edit.row.stage_key,
            edit.row.resolved_source,
            edit.row.current_text or "?",
            edit.text,
            edit.direction_text,
        )
        for edit in decisions.written
    ]
    _print_grouped(("STAGE, CONSTANT", "OLD", "NEW", "DIRECTION"), written)
    left = [
        (one.row.stage_key, one.row.resolved_source, one.row.current_text or "?", one.reason)
        for one in (*decisions.kept, *decisions.skipped)
    ]
    if left:
        console.print_text("")
        _print_grouped(("KEPT", "VALUE", "WHY"), left)


def _print_grouped(heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    """A table whose first cell, the stage, stands above the rows that have it."""
    shown: list[tuple[str, ...]] = []
    stage = ""
    for name, constant, *rest in rows:
        if name != stage:
            shown.append((name, *[""] * (len(heads) - 1)))
        stage = name
        shown.append((f"  {constant}", *rest))
    console.print_table(heads, shown, whole=("NOW", "OLD", "NEW", "VALUE", "DIRECTION"))


def _document(
    decisions: Decisions, run_dir: str, files: Sequence[FileChange], mode: str, outcome: str
) -> dict[str, Json]:
    return {
        "run_dir": run_dir,
        "mode": mode,
        "outcome": outcome,
        "applied": [{**edit.about} for file in files for edit in file.planned.edits],
        "would_write": [
            {
                "stage": edit.row.stage_key,
                "source": edit.row.resolved_source,
                "old": edit.row.current_raw,
                "new": edit.value,
            }
            for edit in decisions.written
        ],
        "asked": [question.key for question in decisions.asked],
        "kept": [{"key": left.row.answer_key, "reason": left.reason} for left in (*decisions.kept, *decisions.skipped)],
    }

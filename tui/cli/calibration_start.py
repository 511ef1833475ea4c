"""The work behind `calibrate run` and `calibrate stop`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from gates.calibration.audit import audit_lines
from gates.calibration.layout import RUN_LOG
from gates.calibration.select import SelectionError, select_stages
from hosts.errors import InputError, RefusedError, UnreachableError, VerbError
from hosts.host import HostActor
from hosts.target import parse_target
from jobs.calibration.checkout import Checkout, choose_model, load_manifest
from jobs.calibration.control import Started, patiently, stop
from jobs.calibration.example import example_folder, set_up_example
from jobs.calibration.locate import Watched
from jobs.calibration.request import RunOptions
from jobs.calibration.site import Site, find_site
from jobs.calibration.starting import begin, make_ready
from jobs.calibration.watch import look, make_monitor
from jobs.connect import open_actor
from monitors.snapshot import State
from tui import console
from tui.cli.asking import connects
from tui.cli.calibration_advice import advice, command, look_again
from tui.cli.calibration_ask import ask_missing
from tui.cli.calibration_find import find
from tui.cli.calibration_follow import OVER, Left, ended_with_a_word, follow_run, size_of
from tui.cli.calibration_show import audit_code, audit_document, fault_lines
from tui.exits import ExitCode


async def run_calibration(args: argparse.Namespace) -> int:
    """Start a calibration, and watch it unless it is to be left alone at once."""
    near = Path(args.output_dir) if args.resume and args.output_dir else None
    site = await asyncio.to_thread(find_site, args.root, args.repo, args.host, near)
    options = _options(args, site)
    actor = await asyncio.to_thread(open_actor, site.profile, args.read_only, connects())
    try:
        ready = await make_ready(site, options, actor)
        request, checked = ready.request, ready.checked
        for warning in ready.warnings:
            console.warn(warning)
        for item in ready.faults:
            console.error(f"{item.mark} {item.name}: {item.detail}" + (f"; mend: {item.mend}" if item.mend else ""))
        if ready.faults:
            return ExitCode.SAYS_NO
        seen = await size_of(actor, f"{request.run_dir}/{RUN_LOG}")
        watched = Watched(request.run_dir, site.profile, site.local, site.checkout, request.model)
        with ended_with_a_word():
            console.milestone(
                f"Running {request.model}: {request.asked}, {request.repeats} repeats on commit {checked.git_sha}, "
                f"run-dir {request.run_dir}"
            )
            with _known("the run may have been started", watched):
                started = await begin(actor, ready)
            watched = replace(watched, run_dir=started.run_dir)
            if args.detach:
                _say_started(args, started, watched)
                return ExitCode.OK
            return await watch_run(args.json, actor, watched, seen)
    finally:
        await actor.close()


async def watch_run(as_json: bool, actor: HostActor, watched: Watched, seen: int = 0) -> int:
    """Follow a run to its end, and give its audit as the answer.

    Args:
        seen: Bytes of run.log that were there before and are not shown again.
    """
    advise = partial(advice, watched)
    with _known("the run was started", watched):
        monitor = await patiently(lambda: make_monitor(actor, watched))
    with _known("the run is left as it is", watched):
        left, last = await follow_run(actor, monitor, watched.run_dir, watched.local, seen, advise)
    if left is Left.LEAVE:
        stands = last is not None and last.state in (State.STALLED, State.UNKNOWN)
        fate = "the run is left as it is" if stands else "the run goes on"
        console.milestone(f"{fate}; look at it with: {look_again(watched)}")
        return ExitCode.INTERRUPTED
    if left is Left.END:
        console.milestone("ending it …")
        try:
            with _known("the run may go on", watched, f"end it with: {command('stop', watched)}"):
                await stop(actor, watched.run_dir)
        except RefusedError as error:
            console.milestone(str(error))
            with _known("the run may go on", watched):
                last = (await patiently(lambda: look(actor, watched))).snapshot
            if last.state not in OVER:
                for line in (f"it is not ended; look at it with: {look_again(watched)}", *advice(watched, last)):
                    console.milestone(line)
                return ExitCode.INTERRUPTED
        else:
            with _known("it was asked to end", watched):
                seen = await patiently(lambda: size_of(actor, f"{watched.run_dir}/{RUN_LOG}"))
                left, last = await follow_run(actor, monitor, watched.run_dir, watched.local, seen, advise)
            if left is not Left.OVER:
                console.milestone(f"it is still ending; look at it with: {look_again(watched)}")
                return ExitCode.INTERRUPTED
        offers = last.offers if last is not None else ()
        console.milestone("; ".join(["ended", *(f"continue with: {offer.change}" for offer in offers)]))
        return ExitCode.INTERRUPTED
    with _known("the run has ended", watched):
        found = await patiently(lambda: look(actor, watched))
    result = found.snapshot.body.audit
    assert result is not None  # a look has an audit
    if found.snapshot.error:
        console.error(found.snapshot.error)
    if as_json:
        console.print_json(
            {**audit_document(result, watched.run_dir, found.model), "state": found.snapshot.state.value}
        )
    else:
        console.print_text(*audit_lines(result), f"run-dir: {watched.run_dir}")
        for line in fault_lines(result):
            console.milestone(line)
    for line in advice(watched, found.snapshot):
        console.milestone(line)
    return audit_code(result, found.snapshot.state)


def set_up_demo(stages: str) -> Path:
    """Set up the example in a temporary folder, and say where; nothing is left behind for stages that it has not.

    Raises:
        InputError: It has no such stages, or cannot be set up.
    """
    example = Checkout(example_folder())
    try:
        select_stages(load_manifest(example, choose_model(example, None)), (stages,))
    except SelectionError as error:
        raise InputError(f"--stages: {error}") from error
    folder = Path(tempfile.mkdtemp(prefix="gatewatch-demo-")) / "tiny-lab"
    set_up_example(folder)
    console.milestone(f"the example project is in {folder}")
    return folder


async def run_demo(args: argparse.Namespace) -> int:
    """Set up the example in a temporary folder and calibrate it there, with the Python that runs us."""
    folder = await asyncio.to_thread(set_up_demo, args.stages)
    words = {"root": str(folder), "repo": str(folder), "model": None, "host": None, "venv_python": sys.executable}
    run_words = {
        "stages": [args.stages],
        "repeats": args.repeats,
        "output_dir": None,
        "resume": False,
        "max_passes": 10,
    }
    rest = {"detach": False, "take_over": False, "read_only": False, "json": args.json}
    code = await run_calibration(argparse.Namespace(**words, **run_words, **rest))
    if code != ExitCode.OK or not args.apply:
        return code
    from tui.cli.calibration_write import apply_run  # the editor is for those who asked for it

    found = {
        **words,
        "run_dir": None,
        "mode": "smart",
        "answers": None,
        "yes": True,
        "finish": False,
        "roll_back": False,
    }
    return await apply_run(argparse.Namespace(**found, read_only=False, json=args.json))


async def stop_calibration(args: argparse.Namespace) -> int:
    """Ask a run's runner to end."""
    if args.read_only:
        raise InputError("read-only: this would stop a run; leave --read-only out")
    watched = await find(args, args.run_dir)
    profile = watched.profile if not watched.local else None
    actor = await asyncio.to_thread(open_actor, profile, args.read_only, connects())
    try:
        await stop(actor, watched.run_dir)
    finally:
        await actor.close()
    if args.json:
        console.print_json({"run_dir": watched.run_dir, "asked": True})
    else:
        console.print_text(f"asked the runner of {watched.run_dir} to end; --resume continues")
    return ExitCode.OK


def _options(args: argparse.Namespace, site: Site) -> RunOptions:
    stages = tuple(name for group in args.stages or () for name in group.split(",") if name)
    output = args.output_dir
    if output is not None and site.local:
        target = parse_target(output)
        if target.host is not None:
            raise InputError("--output-dir is a path on the host that --host names, without HOST:")
        output = str(Path(target.path).expanduser().absolute())
    options = RunOptions(
        model=args.model,
        stages=stages,
        repeats=args.repeats,
        output_dir=output,
        resume=args.resume,
        max_passes=args.max_passes,
        repo=args.repo,
        venv_python=args.venv_python,
        take_over=args.take_over,
    )
    return options if args.resume else ask_missing(options, site.checkout)


def _say_started(args: argparse.Namespace, started: Started, watched: Watched) -> None:
    if args.json:
        document = {"run_dir": started.run_dir, "model": watched.model, "git_sha": started.git_sha}
        console.print_json({**document, "runner": started.holder})
        return
    console.print_text(f"started; look at it with: {look_again(watched)}")


@contextlib.contextmanager
def _known(fate: str, watched: Watched, *more: str) -> Iterator[None]:
    """Say what became of a run, and how to go on, where its host is waited for no longer: a signal, or a lost link."""
    try:
        yield
    except (asyncio.CancelledError, UnreachableError, VerbError):
        for line in (f"{fate}; look at it with: {look_again(watched)}", *more):
            console.milestone(line)
        raise

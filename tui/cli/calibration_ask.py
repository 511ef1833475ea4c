"""What `calibrate run` still has to know, asked once and in one form; without a terminal it is an error."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace

from gates.calibration.select import bases
from hosts.errors import InputError
from jobs.calibration.checkout import Checkout, choose_model, load_manifest
from jobs.calibration.request import DEFAULT_REPEATS, REPEATS, RunOptions
from tui import console


def ask_missing(options: RunOptions, checkout: Checkout) -> RunOptions:
    """Fill in model, stages and repeats.

    A model is only asked for when there are several. Nothing is asked after this until a run has ended.

    Raises:
        InputError: Something is missing and there is no terminal to ask on, or the answer is not usable.
    """
    models = checkout.models()
    missing = [
        name
        for name, given in (
            ("--model", options.model or len(models) == 1),
            ("--stages", options.stages),
            ("--repeats", options.repeats),
        )
        if not given
    ]
    if not missing:
        return options
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        usual = [
            f"{name} {words}"
            for name, words in (
                ("--model", " or ".join(models)),
                ("--stages", "ALL"),
                ("--repeats", str(DEFAULT_REPEATS)),
            )
            if name in missing
        ]
        raise InputError(f"{', '.join(missing)} missing, and there is no terminal to ask on; try {' '.join(usual)}")
    model = options.model or (
        models[0] if len(models) == 1 else _ask(f"model ({', '.join(models)})", models[0] if models else "")
    )
    model = choose_model(checkout, model)
    stages, repeats = options.stages, options.repeats
    if not stages:
        console.milestone(f"what can be calibrated of {model}:")
        table = [
            (base.name, " ".join(base.groups), " ".join(base.tests)) for base in bases(load_manifest(checkout, model))
        ]
        console.print_table(("BASE", "GROUPS", "TEST"), table, sys.stderr)
        stages = tuple(name for name in _ask("stages (names from above, @group, or ALL)", "ALL").split(",") if name)
    if repeats is None:
        answer = _ask(f"repeats ({', '.join(map(str, REPEATS))}; 1 is a smoke test)", str(DEFAULT_REPEATS))
        if not answer.isdecimal() or not 1 <= int(answer) <= 1000:
            raise InputError(f"repeats: expected a whole number from 1 to 1000, got {answer!r}")
        repeats = int(answer)
    return replace(options, model=model, stages=stages, repeats=repeats)


def _ask(question: str, default: str) -> str:
    console.prompt(f"{question} [{default}]:")
    # The event loop's own handler waits for an await, which a person at this prompt would wait for in vain.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
    if not answer:
        raise InputError("no answer; nothing was started")
    return answer.strip() or default

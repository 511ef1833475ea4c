"""The work behind `calibrate discover`: what was found is shown, and written unless it is only to be checked."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import os
from collections.abc import Iterator
from typing import Any

from gates.calibration.candidates import Noted
from gates.calibration.discover import Discovery, Gap
from jobs.calibration.discover import Found, discover_stages
from jobs.calibration.site import find_site
from jobs.calibration.stages_text import yaml_text
from jobs.connect import open_reader
from tui import console
from tui.cli.asking import connects
from tui.exits import ExitCode

_NONE = "—"
_DIFF_LINES = 200


async def run_discover(args: argparse.Namespace) -> int:
    """Find the stages of one model, and put them into its stages.yaml."""
    site = await asyncio.to_thread(find_site, args.root, args.repo, args.host)
    reader = await asyncio.to_thread(open_reader, site.profile, connects())
    try:
        found = await discover_stages(site, reader, args.model, args.venv_python, os.environ)
    finally:
        await reader.close()
    for warning in found.warnings:
        console.warn(warning)
    writes = found.changed and not (args.check or args.read_only)
    if writes:
        await asyncio.to_thread(found.write)
    if args.json:
        console.print_json(document_of(found, writes))
    elif found.stale or not args.check:
        _show(found)
    if not found.changed:
        console.milestone(f"{found.path}: unchanged")
    elif not writes and not found.stale:
        console.milestone(f"{found.path}: up to date but for the hashes of applied thresholds")
    elif writes:
        console.milestone(f"{found.path}: written")
    else:
        console.milestone(f"{found.path}: not up to date; nothing was written")
    return ExitCode.SAYS_NO if args.check and found.stale else ExitCode.OK


def document_of(found: Found, written: bool) -> dict[str, Any]:
    """What was found, as one JSON document."""
    discovery = found.discovery
    return {
        "model": found.model,
        "stages_yaml": str(found.path),
        "changed": found.changed,
        "written": written,
        "tests": list(found.tests),
        "stages": discovery.document,
        "unmatched": [_noted(one) for one in discovery.unmatched],
        "ignored": [_noted(one) for one in discovery.ignored],
        "dropped": [
            {"stage": one.stage, "metric": one.metric, "kept": one.kept, "dropped": one.dropped}
            for one in discovery.dropped
        ],
        "needs_config": [
            {"stage": one.stage, "test": one.test, "variant": one.variant, "key": one.key}
            for one in discovery.open_ends
        ],
        "suggestion": discovery.suggestion,
        "preset_gaps": [
            {
                "test": gap.test,
                "variant": gap.variant,
                "group": gap.group,
                "present": list(gap.present),
                "missing": list(gap.missing),
            }
            for gap in discovery.gaps
        ],
        "notes": list(discovery.notes),
    }


def _noted(one: Noted) -> dict[str, Any]:
    return {"path": one.path, "line": one.line, "source": one.source, "why": one.why}


def _show(found: Found) -> None:
    console.print_text(f"{found.model}: {len(found.discovery.document)} stages from {len(found.tests)} test files", "")
    console.print_table(("STAGE", "METRICS", "SAMPLES", "TEST"), _rows(found.discovery))
    for title, lines in _sections(found.discovery):
        console.print_text("", title, *(f"  {line}" for line in lines))
    if found.changed and found.old is not None:
        shown = list(
            difflib.unified_diff(
                found.old.splitlines(),
                found.text.splitlines(),
                "stages.yaml now",
                "stages.yaml discovered",
                lineterm="",
            )
        )
        console.print_text("", *shown[:_DIFF_LINES])
        if len(shown) > _DIFF_LINES:
            console.print_text(f"… and {len(shown) - _DIFF_LINES} more lines")


def _rows(discovery: Discovery) -> Iterator[tuple[str, ...]]:
    for key, stage in discovery.document.items():
        assert isinstance(stage, dict)
        metrics = stage["metrics"]
        named = " ".join(metrics) if isinstance(metrics, dict) else ""
        yield key, named or _NONE, str(stage.get("expected_samples", _NONE)), str(stage["test"])


def _sections(discovery: Discovery) -> Iterator[tuple[str, list[str]]]:
    if discovery.open_ends:
        lines = [f"{one.stage}: {one.key}" for one in discovery.open_ends]
        yield "NEEDS_CONFIG (run refuses these stages):", lines
        yield "A config.yaml that says where they are:", yaml_text(discovery.suggestion).splitlines()
    if discovery.unmatched:
        yield "Look like thresholds, and are not calibrated:", [_line(one) for one in discovery.unmatched]
    if discovery.dropped:
        yield (
            "Dropped for another constant of the same metric:",
            [f"{one.stage}.{one.metric}: {one.dropped} (kept: {one.kept})" for one in discovery.dropped],
        )
    if discovery.gaps:
        yield "Groups that some presets have and others lack:", [_gap(gap) for gap in discovery.gaps]
    if discovery.ignored:
        yield "Left out:", [_line(one) for one in discovery.ignored]
    if discovery.notes:
        yield "Worth a look:", list(discovery.notes)


def _line(one: Noted) -> str:
    return f"{one.path}:{one.line}: {one.source}: {one.why}"


def _gap(gap: Gap) -> str:
    variant = f" {gap.variant}" if gap.variant else ""
    return f"{gap.test}{variant} {gap.group}: {', '.join(gap.present)} has it, {', '.join(gap.missing)} lacks it"

"""`gatewatch calibrate precheck` and `gatewatch hosts check`: does a host have what a run needs? Read-only."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.calibration_options import add_site, add_venv
from tui.cli.commands import add_json

if TYPE_CHECKING:
    from gates.calibration.precheck import Item, PrecheckResult
    from hosts.host import HostReader
    from jobs.calibration.site import Site


class Precheck:
    """Looks at everything that the selected stages need, item by item, and says what mends what is missing."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_site(parser)
        add_venv(parser)
        parser.add_argument(
            "--stages",
            metavar="NAME",
            action="append",
            help="stages, bases, @groups or ALL; several with commas (default: every configured asset)",
        )
        parser.add_argument(
            "--output-dir",
            "--run-dir",
            metavar="DIR",
            help="keep precheck.json and environment-fingerprint.json in this fresh run directory",
        )
        parser.add_argument("--read-only", action="store_true", help="refuse to keep anything")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        return asyncio.run(check_model(args))


async def check_model(args: argparse.Namespace) -> int:
    """Precheck one model's stages, and keep the answer where that was asked for."""
    from hosts.errors import InputError
    from jobs.calibration.checkout import choose_model
    from jobs.calibration.precheck import keep
    from jobs.calibration.site import find_site
    from jobs.connect import open_actor, open_reader
    from tui import console
    from tui.cli.asking import connects
    from tui.exits import ExitCode

    site = await asyncio.to_thread(find_site, args.root, args.repo, args.host)
    model = await asyncio.to_thread(choose_model, site.checkout, args.model)
    run_dir = await asyncio.to_thread(_run_dir, args.output_dir, site)
    if run_dir is not None and args.read_only:
        raise InputError("read-only: this would write precheck.json; leave --output-dir or --read-only out")
    if run_dir is None:
        reader = await asyncio.to_thread(open_reader, site.profile, connects())
        try:
            result = await _precheck(args, reader, site, model, args.stages, None)
        finally:
            await reader.close()
        kept: tuple[str, ...] = ()
    else:
        actor = await asyncio.to_thread(open_actor, site.profile, False, connects())
        try:
            result = await _precheck(args, actor, site, model, args.stages, run_dir)
            kept = await keep(actor, site, result, run_dir)
        finally:
            await actor.close()
    if args.json:
        console.print_json({"model": model, **result.to_json(), "fingerprint": result.fingerprint, "kept": list(kept)})
    else:
        _print(result, _there(site))
        console.print_text(*(f"kept {path}" for path in kept))
    return ExitCode.OK if result.ok else ExitCode.SAYS_NO


async def check_host(args: argparse.Namespace) -> int:
    """Precheck every model, or the one that was named; the exit code is 0 when all of them could run."""
    from jobs.calibration.checkout import choose_model
    from jobs.calibration.site import find_site
    from jobs.connect import open_reader
    from tui import console
    from tui.cli.asking import connects
    from tui.exits import ExitCode

    site = await asyncio.to_thread(find_site, args.root, args.repo, args.host)
    if args.model is not None:
        models: tuple[str, ...] = (await asyncio.to_thread(choose_model, site.checkout, args.model),)
    else:
        models = await asyncio.to_thread(site.checkout.models)
    results: dict[str, PrecheckResult] = {}
    reader = await asyncio.to_thread(open_reader, site.profile, connects())
    try:
        for model in models:
            results[model] = await _precheck(args, reader, site, model, None, None)
    finally:
        await reader.close()
    name = site.profile.name if site.profile is not None else None
    if args.json:
        console.print_json({"host": name, "models": {model: found.to_json() for model, found in results.items()}})
    else:
        shown: set[Item] = set()
        for model, found in results.items():
            console.print_text(f"{model} on {name or 'this machine'}:" if len(results) > 1 or name else f"{model}:")
            fresh = [item for item in found.items if item not in shown]
            _print(found, _there(site), fresh)
            shown.update(found.items)
    return ExitCode.OK if results and all(found.ok for found in results.values()) else ExitCode.SAYS_NO


async def _precheck(
    args: argparse.Namespace, reader: HostReader, site: Site, model: str, stages: list[str] | None, run_dir: str | None
) -> PrecheckResult:
    from gates.calibration.schema import Manifest
    from gates.calibration.select import SelectionError, select_stages
    from hosts.errors import InputError
    from jobs.calibration.checkout import load_config, load_manifest
    from jobs.calibration.precheck import precheck
    from tui import console

    loaded = await asyncio.to_thread(load_config, site.checkout, model)
    for warning in (*site.warnings, *loaded.warnings):
        console.warn(warning)
    manifest: Manifest | None = None
    there = await asyncio.to_thread(site.checkout.manifest_path(model).is_file)
    if stages or there:
        manifest = await asyncio.to_thread(load_manifest, site.checkout, model)
    chosen: tuple[str, ...] = ()
    if stages and manifest is not None:
        try:
            chosen = select_stages(manifest, stages)
        except SelectionError as error:
            raise InputError(f"--stages: {error}") from error
    return await precheck(
        reader,
        site,
        loaded.value,
        chosen,
        manifest=manifest,
        model=model,
        venv_python=args.venv_python,
        environ=os.environ,
        run_dir=run_dir,
    )


def _there(site: Site) -> str:
    """Where a command is to be run, said where that is not here."""
    return "" if site.local or site.profile is None else f" (on {site.profile.name})"


def _run_dir(asked: str | None, site: Site) -> str | None:
    from hosts.errors import InputError
    from hosts.target import parse_target

    if asked is None:
        return None
    target = parse_target(asked)
    if target.host is not None:
        raise InputError("--output-dir is a path on the host that --host names, without HOST:")
    return str(Path(target.path).expanduser().absolute()) if site.local else target.path


def _print(result: PrecheckResult, there: str, items: list[Item] | None = None) -> None:
    from tui import console

    for item in result.items:
        if items is not None and item not in items:
            continue
        console.print_text(f"{item.mark} {item.name}: {item.detail}")
        if item.mend is not None:
            where = "" if item.mend.startswith("gatewatch ") else there
            console.print_text(f"    mend{where}: {item.mend}")
    faults = len(result.faults)
    console.print_text(f"{len(result.items) - faults} of {len(result.items)} items ✓")


PRECHECK = Precheck()

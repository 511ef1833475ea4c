"""Starting a calibration: the place, every check, and the start, for whoever asks on a screen or on a command line.

Nothing here is changed on a host before `begin`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.audit import Audit
from gates.calibration.layout import PLAN
from gates.calibration.precheck import FREE_GPUS, Item, PrecheckResult
from gates.calibration.schema import Manifest
from gates.calibration.units import units_of
from hosts.errors import InputError, RefusedError, VerbError
from hosts.host import HostActor, HostReader, Json
from hosts.local.observe import NotThereError
from hosts.local.pasting import pasted
from hosts.profiles import profile_paths, read_profile, select_profile
from jobs.calibration.checkout import Checkout
from jobs.calibration.control import Checked, Started, check, patiently, start
from jobs.calibration.discover import stale_constants
from jobs.calibration.locate import Watched
from jobs.calibration.precheck import precheck
from jobs.calibration.request import Request, RunOptions, make_request
from jobs.calibration.site import Site, find_site


@dataclass(frozen=True)
class Wanted:
    """A start as one command line says it.

    Attributes:
        root, host: What `--root` and `--host` say; None leaves them out.
        options: The rest.
    """

    root: str | None
    host: str | None
    options: RunOptions

    def argv(self) -> tuple[str, ...]:
        """The command that this equals."""
        options = self.options
        words = ["gatewatch", "calibrate", "run"]
        for name, value in (("--root", self.root), ("--model", options.model), ("--host", self.host)):
            words += [name, value] if value is not None else []
        if options.stages:
            words += ["--stages", ",".join(options.stages)]
        words += ["--repeats", str(options.repeats)] if options.repeats is not None else []
        words += ["--venv-python", options.venv_python] if options.venv_python is not None else []
        words += ["--resume"] if options.resume else []
        words += ["--output-dir", options.output_dir] if options.output_dir is not None else []
        return (*words, "--detach")

    def line(self) -> str:
        """The same as one line for a shell."""
        return pasted(self.argv())

    def site(self, environ: Mapping[str, str] = os.environ) -> Site:
        """Where it would run; reads files of the checkout.

        Raises:
            InputError: Something named does not exist, or a profile is wrong.
        """
        near = Path(self.options.output_dir) if self.options.resume and self.options.output_dir else None
        return find_site(self.root, self.options.repo, self.host, near, environ)


@dataclass(frozen=True)
class Ready:
    """What the host says of a start before anything is changed.

    Attributes:
        faults: What stops it, one item each.
        warnings: What stops nothing and should be known, one sentence each.
    """

    request: Request
    checked: Checked
    precheck: PrecheckResult
    faults: tuple[Item, ...]
    warnings: tuple[str, ...]


async def make_ready(
    site: Site, options: RunOptions, reader: HostReader, environ: Mapping[str, str] = os.environ
) -> Ready:
    """Ask the host all that is asked before a start; a reader is enough.

    Raises:
        InputError: Something asked for is not right; RefusedError: a gate says no; UnreachableError: no answer.
    """
    request = await make_request(site, options, reader, environ)
    checked = await check(reader, request)
    result = await precheck(
        reader,
        request.site,
        request.config,
        request.stages,
        manifest=request.schema,
        model=request.model,
        venv=request.venv,
        run_dir=request.run_dir,
    )
    # GPUs that others use are waited for by the gate before each launch, which names the holder too.
    waited = [item for item in result.faults if item.name == FREE_GPUS]
    faults = tuple(item for item in result.faults if item not in waited)
    warnings = [*request.warnings, *(f"{item.name}: {item.detail}; the run waits for them" for item in waited)]
    if not faults:
        moved = await stale_constants(reader, request.venv.path, request.site.repo, request.manifest)
        warnings += [f"{one}; refresh stages.yaml with: gatewatch calibrate discover" for one in moved]
    if checked.dirty:
        warnings.append("the working tree has local changes; tracked ones are kept in workspace.diff")
    return Ready(request, checked, result, faults, tuple(warnings))


async def begin(actor: HostActor, ready: Ready) -> Started:
    """Start it, once, whatever happens to the link.

    Raises:
        InputError, RefusedError: Nothing was started: the host refused, or it failed before there was a plan.
        UnreachableError, VerbError: It may have been started; the run directory says so.
    """
    profile = ready.request.site.profile
    kept: dict[str, Json] = {**ready.precheck.to_json(), "host": profile.name if profile is not None else None}
    try:
        return await start(actor, ready.request, precheck=kept)
    except VerbError as error:
        if error.kind == "not-yet":
            raise
        try:
            await patiently(lambda: actor.read(f"{ready.request.run_dir}/{PLAN}", 0, 0))
        except NotThereError:
            raise RefusedError(f"the run was not started: {error}") from None
        except InputError:  # it is there, or its disk has failed
            pass
        raise VerbError("not-yet", str(error)) from None


def resumed(watched: Watched, known: Mapping[str, Json]) -> Wanted:
    """The resume of a run, as an offer of it says.

    Args:
        known: The run's plan.json.
    """
    root, host = (value if isinstance(value := known.get(name), str) else None for name in ("root", "host"))
    return Wanted(root, host, RunOptions(output_dir=watched.run_dir, resume=True))


@dataclass(frozen=True)
class Places:
    """Where a new run of a checkout can go; reads of files, made in a thread.

    Attributes:
        models: Their names.
        hosts: Names of profiles.
        here: The profile that this machine gets where no host is named, None for none.
    """

    models: tuple[str, ...]
    hosts: tuple[str, ...]
    here: str | None


def places_of(checkout: Checkout, environ: Mapping[str, str] = os.environ) -> Places:
    """What a new run can choose from.

    Raises:
        InputError: The checkout cannot be read.
    """
    hosts = tuple(map(_name_in, profile_paths(checkout.hosts_folder)))
    try:
        selected = select_profile(checkout.hosts_folder, None, environ)
    except InputError:
        selected = None  # likewise, and another host can still be chosen
    return Places(checkout.models(), hosts, selected.file.profile.name if selected is not None else None)


def _name_in(path: Path) -> str:
    try:
        return read_profile(path).profile.name
    except InputError:
        return path.stem  # what is wrong with it is told to whoever chooses it


@dataclass(frozen=True)
class Expected:
    """How long a run should take.

    Attributes:
        seconds: None where nothing is known.
        unseen: Tests of which no repeat was ever seen; they are taken for as long as the others.
        tests: How many tests there are.
    """

    seconds: float | None
    unseen: int
    tests: int


def expected(manifest: Manifest, stages: tuple[str, ...], repeats: int, seen: Audit | None) -> Expected:
    """How long these stages should take so often, from the repeats of another run of the same model."""
    units = units_of(manifest, stages)
    lasted: list[float] = []
    for unit in units:
        times = [
            cell.record.duration_s
            for key in unit.stages
            for stage in [seen.get(key) if seen is not None else None]
            for cell in (stage.cells if stage is not None else ())
            if cell.record is not None and cell.record.duration_s is not None
        ]
        if times:
            lasted.append(sum(times) / len(times))
    unseen = len(units) - len(lasted)
    if not lasted:
        return Expected(None, unseen, len(units))
    return Expected((sum(lasted) + unseen * sum(lasted) / len(lasted)) * repeats, unseen, len(units))

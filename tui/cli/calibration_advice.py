"""What a person can do about a calibration, as commands to be pasted: the same words whoever tells how it stands."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from hosts.local.pasting import pasted
from hosts.target import parse_target
from jobs.calibration.locate import Watched
from monitors.calibration import Calibration
from monitors.calibration.state import resume_command, unjudged
from monitors.snapshot import Snapshot, State


def advice(watched: Watched, snapshot: Snapshot[Calibration]) -> tuple[str, ...]:
    """What can be done about how it stands, one line each; nothing of a run that is out of sight."""
    if snapshot.state is State.BLIND:
        return ()
    told = [f"to continue: {offer.change}" for offer in snapshot.offers]
    body, known = snapshot.body, snapshot.body.run
    # Where the processes could not be looked at, the next look may well tell.
    held = snapshot.state is State.UNKNOWN and snapshot.error == unjudged(body)
    if held and known is not None and known.plan is not None and body.audit is not None and body.audit.incomplete:
        taken = resume_command(watched.run_dir, known.plan.raw, "--take-over")
        told.append(f"if it is gone for certain: {taken}")
    if snapshot.state is State.STALLED:
        logs = [item.log for item in snapshot.active if item.log is not None]
        told += [f"its log: {pasted(['gatewatch', 'tail', _within(watched, log)])}" for log in logs]
        stands = body.holder is not None and body.holder.ref in body.stopped  # and so would read no request
        if body.runner == "alive" and not stands:
            told.append(f"to end it, so that --resume continues: {command('stop', watched)}")
    return tuple(told)


def look_again(watched: Watched) -> str:
    """The command that says how this run stands."""
    return command("status", watched)


def command(verb: str, watched: Watched) -> str:
    """A word of `calibrate` for this run."""
    return pasted(["gatewatch", "calibrate", verb, "--run-dir", watched.place])


def _within(watched: Watched, name: str) -> str:
    """A file that the run names, as a person does."""
    place = parse_target(watched.place)
    return str(replace(place, path=posixpath.join(place.path, name)))

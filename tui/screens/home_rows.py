"""What Home says of each run: its state, what it wants of a person, and in which order the rows stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from gates.verdict import Decision
from hosts.connection import without_wait
from monitors.snapshot import Now, State
from tui.marks import STATES, Look
from tui.sanitise import clean_inline, redact
from tui.screens.home_strip import is_troubled
from tui.screens.prompt_state import APPLIED, closed_reason
from tui.screens.run_header import STALE_AFTER_S
from tui.screens.run_words import hour, seen
from tui.words import counted

if TYPE_CHECKING:
    from hosts.connection import Connection
    from monitors.calibration import Calibration
    from monitors.host import HostBody
    from monitors.snapshot import Snapshot
    from tui.dashboard_runs import Entry

NOTHING = "–"
_STAMPED = re.compile(r"(\d{8}T\d{6}Z)_(.+)_r(\d+)")
ASKS = Look("?", "?", "asks", "accent")
_LOOKING = Look("◔", "w", "looking", "muted")
_NOT_READY = Look("■", "#", "not ready", "warning")
_APPLIED = Look("✓", "+", "applied", "success")
_ENDED = STATES["ended"]
_BLIND = STATES["blind"]

_ORDER = ("asks", "dead", "halted", "not ready", "unknown", "stalled", "blind", "slow start", "waiting", "looking")
_OVER = (State.ENDED, State.DEAD, State.HALTED, State.UNKNOWN)


@dataclass(frozen=True)
class HomeRow:
    """One run in a few words, all of them safe to show.

    Attributes:
        watch: Which run.
        look: Glyph, word and colour of its state.
        remark: What stands behind the state's word, as the age of a blind run's last look, or "".
        title, where: What it is called, and its host.
        done, total: Repeats; None where unknown.
        sure: Whether `done` is what stands there now.
        eta: When it will be done, "done", or a dash.
        wants: What it wants of a person, or a dash.
        now: What runs right now, or "".
        why: The evidence for the state, or where it lies.
        key: What it is a run of; of several of one key the newest counts.
        began: When it was started, as its plan says, or "".
        past: A newer run of the same took its place.
    """

    watch: str
    look: Look
    remark: str
    title: str
    where: str
    done: int | None
    total: int | None
    sure: bool
    eta: str
    wants: str
    now: str
    why: str
    key: tuple[str, ...] = ()
    began: str = ""
    past: bool = False

    @property
    def calm(self) -> bool:
        """Whether nobody need look at it."""
        return self.past or self.look.word in ("ended", "applied")

    @property
    def wanting(self) -> bool:
        """Whether it wants something of a person."""
        return self.wants != NOTHING and not self.past

    @property
    def order(self) -> tuple[int, str, str]:
        """Worst first."""
        word = self.look.word
        rank = len(_ORDER) + 2 if self.calm else _ORDER.index(word) if word in _ORDER else len(_ORDER)
        return rank, self.title, self.watch


def rows_of(entries: Sequence[Entry], now: float, zone: tzinfo | None) -> tuple[HomeRow, ...]:
    """A row for each run, worst first."""
    apart = _apart(entries)
    rows = [_row(entry, now, zone) for entry in entries]
    rows = [replace(row, title=f"{row.title} ({more})") if (more := apart.get(row.watch)) else row for row in rows]
    newest: dict[tuple[str, ...], str] = {}
    for row in rows:
        if row.key and row.began:
            newest[row.key] = max(newest.get(row.key, ""), row.began)
    over = {entry.watch for entry in entries if entry.look is not None and entry.look.snapshot.state in _OVER}
    kept = (
        replace(row, past=True) if row.watch in over and row.began and row.began < newest.get(row.key, "") else row
        for row in rows
    )
    return tuple(sorted(kept, key=lambda row: row.order))


def out_of_sight(hosts: Iterable[Snapshot[HostBody]], ways: Mapping[str, Connection]) -> tuple[frozenset[str], int]:
    """Which hosts cannot be seen now, whether or not a look has failed since, and how many were not seen yet.

    Args:
        ways: How the way to each host stands, by name; one without needs none.
    """
    dark, unseen = set(), 0
    for host in hosts:
        if is_troubled(host, ways.get(host.watch)):
            dark.add(_safe(host.watch))
        elif host.state is State.UNKNOWN:
            unseen += 1
    return frozenset(dark), unseen


def sentence(rows: Sequence[HomeRow], dark: Collection[str], unseen: int = 0) -> tuple[str, str]:
    """The one plain sentence that answers "is it fine?", and its colour; what cannot be seen is never fine.

    Args:
        dark: The hosts that cannot be seen now.
        unseen: How many hosts were not seen yet.
    """
    wanting = sum(row.wanting for row in rows)
    shown = [row for row in rows if row.where not in dark]
    seen_now = [row for row in shown if not row.wanting and row.look not in (_LOOKING, _BLIND)]
    parts_of = [
        f"{counted(wanting, 'thing wants', 'things want')} you" if wanting else "",
        f"{counted(len(dark), 'host is', 'hosts are')} dark" if dark else "",
    ]
    lost = sum(row.look == _BLIND and not row.wanting for row in shown)
    if lost:
        parts_of.append(f"{counted(lost, 'run is', 'runs are')} out of sight")
    wrong = any(parts_of)
    parts_of.append(_unseen_words(sum(row.look == _LOOKING for row in shown), unseen))
    told = ", ".join(part for part in parts_of if part)
    if wrong:
        rest = f" {counted(len(seen_now), 'run is', 'runs are')} fine." if seen_now else ""
        return f"{told}.{rest}", "warning"
    running = [row for row in seen_now if row.look.word == "running"]
    others = len(seen_now) - len(running)
    calm = [f"{counted(len(running), 'run is', 'runs are')} running"] if running else []
    if len(running) == 1 and running[0].eta != NOTHING:
        calm[0] += f", done about {running[0].eta}"
    calm += [f"{counted(others, 'run is', 'runs are')} fine"] if others else []
    end = f" {'; '.join(calm)}." if calm else ""
    return (f"{told}.{end}", "") if told else (f"Nothing is wrong.{end}", "success")


def _unseen_words(runs: int, hosts: int) -> str:
    parts_of = [counted(runs, "run")] if runs else []
    parts_of += [counted(hosts, "host")] if hosts else []
    return f"{' and '.join(parts_of)} {'is' if runs + hosts == 1 else 'are'} not seen yet" if parts_of else ""


def folded(rows: Sequence[HomeRow], unfolded: bool, room: int) -> tuple[tuple[HomeRow, ...], tuple[HomeRow, ...]]:
    """The rows that are shown one by one, and those that are folded into one."""
    calm = tuple(row for row in rows if row.calm)
    others = tuple(row for row in rows if not row.calm)
    if unfolded or len(calm) < 2 or (not others and len(rows) <= room):
        return tuple(rows), ()
    if len(others) + 1 > room:  # those that run as they should give way to those that do not
        running = tuple(row for row in others if row.look.word == "running")
        if len(running) > 1:
            return tuple(row for row in others if row not in running), (*running, *calm)
    return others, calm


def calm_words(rows: Sequence[HomeRow], ascii_only: bool) -> str:
    """What the folded ones are: `6 ✓ ended · 3 older`."""
    older = sum(row.past for row in rows)
    counts: dict[Look, int] = {}
    for row in rows:
        if not row.past:
            counts[row.look] = counts.get(row.look, 0) + 1
    parts = [f"{count} {look.sign(ascii_only)} {look.word}" for look, count in counts.items()]
    parts += [f"{older} older"] if older else []
    return (" - " if ascii_only else " · ").join(parts)


def _apart(entries: Sequence[Entry]) -> dict[str, str]:
    """For runs that are called the same on one host: of each path the nearest folder that tells them apart."""
    same: dict[tuple[str, str], list[tuple[str, list[str]]]] = {}
    for entry in entries:
        if entry.place is not None:
            folders = entry.place.run_dir.split("/")[::-1]
            same.setdefault((entry.title, entry.where), []).append((entry.watch, folders))
    found: dict[str, str] = {}
    for group in same.values():
        if len(group) > 1:
            for parts in zip(*(folders for _, folders in group), strict=False):
                if len(set(parts)) > 1:
                    found.update((watch, _safe(part)) for (watch, _), part in zip(group, parts, strict=True))
                    break
    return found


def _row(entry: Entry, now: float, zone: tzinfo | None) -> HomeRow:
    title, where = titled(_safe(entry.title), zone), _safe(entry.where)
    if entry.look is None:
        look = STATES["unknown"] if entry.problem else _LOOKING
        wants = "look" if entry.problem else NOTHING
        why = _safe(entry.problem) or (_safe(entry.place.run_dir) if entry.place is not None else "")
        return HomeRow(entry.watch, look, "", title, where, None, None, True, NOTHING, wants, "", why)
    snapshot = entry.look.snapshot
    age = snapshot.seen.age(Now(now))
    if age is not None and age >= STALE_AFTER_S:  # however it stood then
        snapshot = replace(snapshot, state=State.BLIND)
    look, wants = _state(entry, snapshot)
    blind = snapshot.state is State.BLIND
    run = snapshot.body.run
    plan = run.plan if run is not None else None
    folder = entry.place.run_dir.rpartition("/")[0] if entry.place is not None else ""
    told = without_wait(snapshot.error or "") or entry.problem
    told = told or (entry.place.run_dir if entry.place is not None else "")
    return HomeRow(
        entry.watch,
        look,
        seen(age) if blind and age is not None else "",
        title,
        where,
        snapshot.progress.done,
        snapshot.progress.total,
        not blind,
        _eta(snapshot, now, zone),
        wants,
        "" if blind else ", ".join(_safe(item.name) for item in snapshot.active),
        _safe(told),
        (entry.where, folder, plan.model) if plan is not None else (),
        plan.timestamp or "" if plan is not None else "",
    )


def titled(name: str, zone: tzinfo | None) -> str:
    """A name that our own runner made up, as a person would say it: `model r5, 25 May 02:43`; any other stays."""
    found = _STAMPED.fullmatch(name)
    if found is None:
        return name
    try:
        at = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(zone)
    except ValueError:
        return name
    return f"{found[2]} r{found[3]}, {at.day} {at:%b %H:%M}"


def _state(entry: Entry, snapshot: Snapshot[Calibration]) -> tuple[Look, str]:
    assert entry.look is not None  # only asked once there is one
    state = snapshot.state
    resume = any(offer.action == "resume" for offer in snapshot.offers)
    if state in (State.DEAD, State.HALTED):
        return STATES[state.value], "Resume…" if resume else "read"
    if resume and state in (State.RUNNING, State.STALLED):  # its runner is gone
        return STATES[state.value], "Resume…"
    if state in (State.UNKNOWN, State.STALLED):
        return STATES[state.value], "look"
    if state is State.BLIND:
        host = entry.look.host  # one that is dark is counted once, as a host
        dark = host is not None and host.state is State.BLIND
        return _BLIND, "look" if entry.look.snapshot.state is State.BLIND and not dark else NOTHING
    if state is not State.ENDED:
        audit = snapshot.body.audit
        wrong = audit is not None and Decision.FAIL in (audit.provenance.decision, audit.environment.decision)
        return STATES[state.value], "look" if wrong else NOTHING
    closed = closed_reason(entry.look)
    if closed in ("", APPLIED):
        return (_APPLIED, NOTHING) if closed else (ASKS, "Apply…")
    audit = snapshot.body.audit
    if audit is not None and audit.verdict.decision is Decision.PASS:
        return _ENDED, NOTHING
    return _NOT_READY, "read"


def _eta(snapshot: Snapshot[Calibration], now: float, zone: tzinfo | None) -> str:
    if snapshot.state is State.ENDED:
        return "done"
    if snapshot.eta is None or snapshot.eta.at is None or snapshot.state is State.BLIND:
        return NOTHING
    return hour(snapshot.seen.ours(snapshot.eta.at), now, zone)


def _safe(text: str) -> str:
    return clean_inline(redact(text), limit=400)

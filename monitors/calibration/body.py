"""What is known of a calibration's run directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gates.calibration.assemble import Run
from gates.calibration.audit import Audit
from gates.calibration.schema import Manifest
from gates.documents import Document, Json
from gates.journal import Journal
from hosts.host import ProcRef, ProcSeen, PytestSeen
from hosts.local.locks import Holder

LOCK = ".gatewatch/lock"
LAST_WORDS = ".gatewatch/last-words"
RUN_MARK = "GATEWATCH_RUN"
APPLY_NONCE = "apply-"  # how an apply marks the run's lock while it holds it
_EMPTY: Mapping[str, Document] = MappingProxyType({})


@dataclass(frozen=True)
class LogSeen:
    """One of the run's pytest logs: its size, when it was last written (far clock, s), and when it was last longer.

    Attributes:
        grew: Far clock of the look that first saw this size, seconds since the epoch.
    """

    size: int
    written: float
    grew: float = field(compare=False)


@dataclass(frozen=True)
class Supervision:
    """The log of what runs right now, or of what ran last, and how that is known.

    Attributes:
        how: journal: our runner said so. process: a pytest of this run lives. last: nothing runs, and this log is the
            newest. none: there is no log yet.
        log: Its path: relative to the run directory where it lies in there; None where nothing is known.
        name: What runs, as `test_a run 2`, or "".
        since: When it began, far clock, seconds since the epoch, or None.
    """

    how: str = "none"
    log: str | None = None
    name: str = ""
    since: float | None = None


@dataclass(frozen=True)
class Calibration:
    """A calibration as it stands on the disk.

    Attributes:
        documents: Every record by path relative to the run directory.
        sums: sha256 (hex) of their bytes.
        journal: The run's journal, as far as it could be read.
        written: The bytes that it was read from, so that only what is added to them has to be read.
        holder: Who holds the run's lock, or held it last.
        runner: alive | dead | none | unknown.
        processes: Live processes that carry the run's mark: runner, shim, pytest and their children.
        stopped: The runner and pytests of this run that a signal has stopped (state T).
        words: What the runner left as the reason of its end, or "".
        times: When each file that is there was last written, far clock, seconds since the epoch, by path.
        unread: Why the lock, the journal or the last words could not be read, by path; then the last good one stands.
        logs: The run's pytest logs by path relative to the run directory.
        pytests: The pytests that write below this run, whoever started them; None where that was not seen.
        supervision: The log of what runs now.
        node: The host's own name, "" where it was not told.
        manifest, reference: What the monitor was given to judge by.
        run, audit: What follows from all that; None only before the first look.
    """

    documents: Mapping[str, Document] = field(default_factory=lambda: _EMPTY)
    sums: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    journal: Journal = field(default_factory=lambda: Journal(()))
    written: bytes = field(default=b"", repr=False)
    holder: Holder | None = None
    runner: str = "unknown"
    processes: tuple[ProcSeen, ...] = ()
    stopped: tuple[ProcRef, ...] = ()
    words: str = ""
    times: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    unread: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    logs: Mapping[str, LogSeen] = field(default_factory=lambda: MappingProxyType({}))
    pytests: tuple[PytestSeen, ...] | None = None
    supervision: Supervision = Supervision()
    node: str = ""
    manifest: Manifest | None = None
    reference: Json = None
    run: Run | None = None
    audit: Audit | None = None

    @property
    def run_id(self) -> str | None:
        """The id that the run's processes carry in their environment, None for another program's run."""
        plan = self.run.plan if self.run is not None else None
        value = plan.raw.get("run_id") if plan is not None else None
        return value if isinstance(value, str) else None

    @property
    def pytest_active(self) -> bool:
        """True while something other than the runner itself carries the run's mark, or a pytest writes below it."""
        runner = None if self.holder is None else self.holder.ref
        return any(process.ref != runner for process in self.processes) or bool(self.pytests)

    @property
    def last_write(self) -> float | None:
        """When the newest of the run's logs and records was written, far clock, seconds since the epoch."""
        logs = max((log.written for log in self.logs.values()), default=None)
        records = max(self.times.values(), default=None)
        return max((one for one in (logs, records) if one is not None), default=None)

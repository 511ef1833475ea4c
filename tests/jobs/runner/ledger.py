"""What must hold of a run that was killed: what was whole stays, nothing runs twice, nothing runs beside another."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from gates.calibration.cells import Mark, judge_cell
from gates.calibration.schema import parse_manifest
from gates.journal import Journal, decode_journal
from hosts.local import strictjson
from tests.jobs.runner.fast import FastRun


class Ledger:
    """Remembers what was recorded when, and compares.

    Attributes:
        deaths: When a pytest was killed, by pid, monotonic: its own witness writes no end.
    """

    def __init__(self, run: FastRun) -> None:
        self.run = run
        self.deaths: dict[int, float] = {}
        self._whole: dict[Path, tuple[float, bytes]] = {}
        self._manifest = parse_manifest(strictjson.loads(json.dumps(run.payload()["manifest"]), "manifest"))

    def remember(self) -> None:
        """Keep every cell that is whole now: it must be the very same at the end."""
        for path, stage, repeat in self._cells():
            if path in self._whole:
                continue
            with contextlib.suppress(FileNotFoundError):
                data = path.read_bytes()
                known = self._manifest.get(stage)
                assert known is not None
                # Read strictly: a cell that can be seen at all is a whole file.
                if judge_cell(known, repeat, strictjson.loads(data, str(path))).mark is Mark.STRICT:
                    self._whole[path] = (time.monotonic(), data)

    def check(self, audit: list[str]) -> None:
        """Everything that must hold at the end; `audit` is that of an undisturbed run."""
        assert self.run.processes() == []
        assert self.run.audit(torn=True) == audit
        journal = self.run.journal()
        assert [line for line in journal.findings if "not a JSON object" not in line] == []
        numbers = [event.seq for event in journal.events]
        assert numbers == sorted(set(numbers))
        self._check_prefixes(journal)
        for path, (_, data) in self._whole.items():
            assert path.read_bytes() == data, f"{path} was whole at a kill and is another one now"
        self._check_journal()
        self._check_launches()

    def _check_prefixes(self, whole: Journal) -> None:
        """Whatever lay there at any instant can be read: here around every line's end, elsewhere at every byte."""
        data = self.run.places.journal.read_bytes()
        for end in (at for at, byte in enumerate(data) if byte == ord("\n")):
            for cut in (end - 1, end, end + 1):
                part = decode_journal(data[:cut])
                assert part.events == whole.events[: len(part.events)]
                assert part.findings == whole.findings[: len(part.findings)]

    def _check_journal(self) -> None:
        """The journal's last word on every cell is the one that lies there."""
        recorded = {(data["stage"], data["run"]): data["token"] for data in self.run.events("cell.recorded")}
        for path, stage, repeat in self._cells():
            token = json.loads(path.read_bytes())["attempt_token"]
            assert recorded.get((stage, repeat)) == token, f"the journal does not know of {path}"

    def _check_launches(self) -> None:
        seen = self.run.project.witnessed()
        spans = [(one.start, one.end or self.deaths.get(one.pid), one) for one in seen]
        spans.sort(key=lambda span: span[0])
        for _, end, one in spans:
            assert end is not None, f"{one} has no end and was not killed here"
        for (_, end, one), (start, _, other) in pairwise(spans):
            assert end is not None
            assert end <= start, f"{one} and {other} lived at the same time"
        for unit, repeat, path in self.run.cells():
            name = f"{unit}:{repeat}"
            token = json.loads(path.read_bytes())["attempt_token"]
            mine = [one for one in seen if one.name == name]
            assert [one.token for one in mine].count(token) == 1, f"{path} does not come from one launch"
            # Of one repeat nothing is started after the launch that was recorded: that one was whole.
            assert mine[-1].token == token, f"{name} was started again after {token} had measured it"
            if path in self._whole:
                assert mine[-1].start < self._whole[path][0], f"{name} was started again after {path} was recorded"

    def _cells(self) -> Iterator[tuple[Path, str, int]]:
        for _, repeat, path in self.run.cells():
            yield path, path.parent.name, repeat

"""What a log pane costs that nobody sees, beside one that is seen and beside the counting alone.

    python bench/logs_hidden.py [--rate 100000] [--seconds 5] [--json]

The panes are in an app without a terminal, of 120x40; the log grows in a process of its own meanwhile. A filter is set
in both of them, and every line passes it: `filtered` is how much of what was written it looked at. Processor time
is that of this process and of the one that counts, per second of writing. Nothing is asserted by time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.logs_pty import process_time
from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.scanning import Scanner
from monitors.logs.types import Query
from tui.cli.tail_open import open_early
from tui.logs.filterpart import Chosen, Words
from tui.logs.screen import TailApp

_WRITER = str(Path(__file__).resolve().parent / "logs_write.py")
_PATIENCE_S = 20.0
_BEFORE = b"2026-05-25 02:43:01,000 INFO before\n" * 1000


class _Log:
    """A log with somebody who counts it, and perhaps a pane."""

    def __init__(self, model: LogModel, scanner: Scanner, app: TailApp | None) -> None:
        self._model, self._scanner, self._app = model, scanner, app

    @property
    def lines(self) -> int | None:
        return self._model.state.lines

    def cpu(self) -> float:
        pid = self._scanner.pid
        return time.process_time() + (process_time(pid) if pid is not None else 0.0)

    def filtered(self) -> int:
        """Bytes that the filter has looked at."""
        passing = self._model.state.filter
        return passing.scanned if passing is not None else 0

    def painted(self) -> tuple[int, int]:
        """Rows painted so far, and times that lines were read to be shown."""
        view = self._app.log_pane.view if self._app is not None else None
        return (view.painted, view.reader.loads) if view is not None and view.reader is not None else (0, 0)


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=100_000, help="lines a second")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    kinds = {"counting alone": _counting, "pane nobody sees": _hidden, "pane on the screen": _shown}
    figures = {name: asyncio.run(_measure(make, args.rate, args.seconds)) for name, make in kinds.items()}
    print(json.dumps(figures, indent=2)) if args.json else show(figures)
    return 0


async def _measure(make: Any, rate: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as folder:
        path = Path(folder) / "growing.log"
        path.write_bytes(_BEFORE)
        opened: AbstractAsyncContextManager[_Log] = make(path)
        async with opened as log:
            await _until(log, 1000)
            argv = [sys.executable, "-I", "-S", _WRITER, str(path), str(rate), str(seconds), "hidden"]
            cpu, (rows, loads), filtered = log.cpu(), log.painted(), log.filtered()
            writer = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
            told = json.loads((await writer.communicate())[0])
            right = await _until(log, 1000 + told["lines"])
            after = log.painted()
            return {
                "cpu": (log.cpu() - cpu) / told["took"],
                "rows": after[0] - rows,
                "loads": after[1] - loads,
                "filtered": log.filtered() - filtered,
                "right": right,
                "load": os.getloadavg()[0],
            }


async def _until(log: _Log, lines: int) -> bool:
    end = time.monotonic() + _PATIENCE_S
    while log.lines != lines and time.monotonic() < end:  # noqa: ASYNC110 - who counts is another process
        await asyncio.sleep(0.05)
    return log.lines == lines


@asynccontextmanager
async def _model(path: Path) -> AsyncIterator[tuple[LogModel, Scanner]]:
    scanner = Scanner(small=0)  # the same worker from the first line on, whoever looks
    model = await open_early(Target(None, str(path)), scanner)
    try:
        yield model, scanner
    finally:
        await model.close()


@asynccontextmanager
async def _counting(path: Path) -> AsyncIterator[_Log]:
    async with _model(path) as (model, scanner):
        model.visible(False)
        yield _Log(model, scanner, None)


@asynccontextmanager
async def _shown(path: Path) -> AsyncIterator[_Log]:
    async with _model(path) as (model, scanner):

        async def opened() -> LogModel:
            return model

        app = TailApp(opened)
        async with app.run_test(size=(120, 40)):
            while app.log_pane.model is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            app.log_pane.choose(Chosen(words=(Words(Query("never written"), out=True),)))
            while model.state.filter is None or not model.state.filter.done:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            yield _Log(model, scanner, app)


@asynccontextmanager
async def _hidden(path: Path) -> AsyncIterator[_Log]:
    async with _shown(path) as log:
        assert log._app is not None
        log._app.log_pane.display = False
        while log._app.log_pane.view.reader is None or log._app.log_pane.view.reader.shown:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        yield log


def show(figures: dict[str, Any]) -> None:
    """A table for a person."""
    print(f"{'':<22}{'of one core':>12}{'rows painted':>14}{'reads':>8}{'filtered':>12}{'lines right':>13}{'load':>7}")
    for name, one in figures.items():
        right = "yes" if one["right"] else "NO"
        amounts = f"{one['cpu']:>12.1%}{one['rows']:>14,}{one['loads']:>8,}{one['filtered'] / 1e6:>9.1f} MB"
        print(f"{name:<22}{amounts}{right:>13}{one['load']:>7.1f}")


if __name__ == "__main__":
    sys.exit(main())

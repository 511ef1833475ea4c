"""A log in a folder of its own, whoever writes it, and a looker whose clock is the test's."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

from monitors.logs.local_files import Files
from monitors.logs.local_look import Looker
from monitors.logs.record import ShapeRecorder
from monitors.logs.types import Generation, Mark, MarkKind


class Log:
    """One file that is written to, and what somebody who looks at it has of it."""

    def __init__(self, folder: Path, name: str = "app.log", kept: int = 16, files: Files | None = None) -> None:
        self.path = folder / name
        self.folder = folder
        self.time = 1000.0
        self.record = ShapeRecorder(str(self.path), kept=kept)
        self.looker = Looker(str(self.path), self.record, files or Files(), lambda: self.time)
        self._lines = itertools.count()

    # What a writer does

    def lines(self, count: int = 1, width: int = 0) -> bytes:
        """Lines as nobody wrote before."""
        return b"".join(b"%08d %s\n" % (next(self._lines), b"x" * width) for _ in range(count))

    def append(self, data: bytes | str | None = None, path: Path | None = None) -> bytes:
        written = self.lines() if data is None else data.encode() if isinstance(data, str) else data
        with (path or self.path).open("ab") as file:
            file.write(written)
        return written

    def beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    def rotate(self, copies: int = 9) -> None:
        """Rename as log rotation does: the oldest is thrown away."""
        self.beside(f".{copies}").unlink(missing_ok=True)
        for number in range(copies - 1, 0, -1):
            if self.beside(f".{number}").exists():
                self.beside(f".{number}").rename(self.beside(f".{number + 1}"))
        if self.path.exists():
            self.path.rename(self.beside(".1"))

    def copytruncate(self, ending: str = ".1") -> None:
        shutil.copyfile(self.path, self.beside(ending))
        os.truncate(self.path, 0)

    # What a reader has

    def look(self, seconds: float = 0.04) -> None:
        self.time += seconds
        while self.looker.look():
            pass

    def settle(self) -> None:
        """Look until whatever waits for its turn has had it."""
        for _ in range(12):
            self.look(0.25)

    @property
    def generations(self) -> tuple[Generation, ...]:
        return self.record.shape.generations

    @property
    def marks(self) -> list[Mark]:
        return list(self.record.shape.marks)

    @property
    def kinds(self) -> list[MarkKind]:
        return [mark.kind for mark in self.marks]

    def contents(self) -> list[bytes]:
        """What can be read of every generation; read twice, in one piece and in small ones."""
        found = []
        for one in self.generations:
            data = self.looker.read(one.number, one.first, one.size)
            assert len(data) == one.size - one.first
            pieces = [self.looker.read(one.number, at, 700) for at in range(one.first, one.size, 700)]
            assert b"".join(pieces) == data
            found.append(data)
        return found

    def everything(self) -> bytes:
        return b"".join(self.contents())

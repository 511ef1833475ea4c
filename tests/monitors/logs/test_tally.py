"""The number of lines, whatever happens to the files that hold them."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitors.logs.local import LocalSource
from monitors.logs.model import LogModel
from monitors.logs.scanning import Scanner
from tests.monitors.logs.looks import Log
from tests.monitors.logs.test_model import reached


@pytest.mark.parametrize("small", [0, 1 << 20])
@pytest.mark.parametrize("how", ["truncate", "copytruncate"])
async def test_an_unfinished_line_still_counts_once_its_bytes_lie_elsewhere(
    tmp_path: Path, how: str, small: int
) -> None:
    log = Log(tmp_path)
    log.append(b"line\n" * 100 + b"unfinished")
    scanner = Scanner(small=small)
    model = LogModel(LocalSource(str(log.path)), scanner=scanner)
    await model.start()
    await reached(model, lambda: model.state.lines == 101)
    if how == "copytruncate":
        log.copytruncate()
    else:
        log.path.write_bytes(b"")
    log.append(b"new\n")
    await reached(model, lambda: len(model.shape.generations) == 2 and model.state.lines == 102)
    await model.close()
    await scanner.close()

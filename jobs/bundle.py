"""The runner as one file: a zip of exactly the modules that travel, the same bytes on every machine.

What travels is named here once; the import contract and the tests of the travelling modules read it from
here. Members are stored uncompressed, sorted and with a fixed date, so that the same sources give the same
bytes under every Python and zlib.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

from gates.systems import SYSTEMS
from hosts.bootstrap import RunnerImage

TRAVELLING: tuple[str, ...] = (
    "gates/**/*.py",
    "hosts/__init__.py",
    "hosts/errors.py",
    "hosts/host.py",
    "hosts/machine.py",
    "hosts/target.py",
    "hosts/local/**/*.py",
    "jobs/__init__.py",
    "jobs/runner/**/*.py",
    "monitors/__init__.py",
    "monitors/codec.py",
    "monitors/snapshot.py",
    "monitors/documents.py",
    *(f"monitors/{system}/**/*.py" for system in SYSTEMS),
)

_MAIN = b"import sys\n\nfrom jobs.runner.main import main\n\nsys.exit(main(sys.argv[1:]))\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def travelling_files() -> tuple[Path, ...]:
    """Paths of all travelling sources, relative to the folder that holds the rooms, sorted."""
    house = _house()
    found = {path.relative_to(house) for pattern in TRAVELLING for path in house.glob(pattern)}
    return tuple(sorted(found, key=lambda path: path.as_posix()))


def travelling_modules() -> tuple[str, ...]:
    """Dotted names of all travelling modules."""
    names = (path.with_suffix("").as_posix().replace("/", ".") for path in travelling_files())
    return tuple(sorted(name.removesuffix(".__init__") for name in names))


@cache
def build_image() -> RunnerImage:
    """The runner's zip and its sha256; built once, since hundreds of hosts are sent the same."""
    house = _house()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", _MAIN)
        for path in travelling_files():
            _add(archive, path.as_posix(), (house / path).read_bytes())
    data = buffer.getvalue()
    return RunnerImage(data, hashlib.sha256(data).hexdigest())


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.external_attr = 0o644 << 16
    member.create_system = 3
    archive.writestr(member, data)


def _house() -> Path:
    return Path(__file__).resolve().parent.parent

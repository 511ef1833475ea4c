"""What somebody saw of a run when he last looked, kept below our own state folder and nowhere else."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from hosts.errors import GatewatchError
from hosts.local import strictjson
from hosts.local.files import ReadError, read_bytes_limited, write_atomic
from hosts.local.wire import from_wire, to_wire
from hosts.paths import Paths
from monitors.calibration.glance import Glance
from tui.screens.subject import RunPlace

FOLDER = "glances"
_VERSION = 1
_LIMIT = 8 << 20


class GlanceStore:
    """Reads and writes glances, one small file a run. Its calls block: they belong into a thread.

    Args:
        paths: Where our folders are; None where there is nowhere to keep anything.
    """

    def __init__(self, paths: Paths | None) -> None:
        self._paths = paths

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> GlanceStore:
        """Below the state folder of this user; one that keeps nothing where there is no home folder."""
        try:
            return cls(Paths.from_environment(environ))
        except GatewatchError:
            return cls(None)

    def path(self, place: RunPlace) -> Path | None:
        """Where the glance at a run is kept; the name tells nobody which run it is."""
        if self._paths is None:
            return None
        name = hashlib.sha256(f"{place.host}\0{place.run_dir}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return self._paths.state / FOLDER / f"{name}.json"

    def read(self, place: RunPlace) -> Glance | None:
        """The last glance; None where there is none, or what lies there is not one of ours."""
        path = self.path(place)
        if path is None:
            return None
        try:
            body = strictjson.loads(read_bytes_limited(path, _LIMIT), str(path))
            if not isinstance(body, dict) or body.get("v") != _VERSION:
                return None
            return from_wire(Glance, body.get("glance"))
        except (ReadError, GatewatchError, ValueError, TypeError, KeyError):
            return None

    def write(self, place: RunPlace, glance: Glance) -> str:
        """Keep a glance; says in one line why it could not be kept, "" where it was."""
        path = self.path(place)
        if path is None or self._paths is None:
            return ""
        data = json.dumps({"v": _VERSION, "glance": to_wire(glance)}).encode() + b"\n"
        try:
            self._paths.ensure(path.parent)
            write_atomic(path, data, 0o600)
        except GatewatchError as error:
            return str(error)
        return ""

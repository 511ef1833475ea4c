"""Importing our modules from a zip that is only in memory, so that nothing is written on a host that is looked at.

The boot code of hosts/bootstrap.py runs this file's text out of the zip, before anything of ours can be
imported; hence it needs nothing but the standard library, and `install` is its entry. Afterwards the zip stays
at hand as the module `__gatewatch_image__`, for the verb that copies it into a run directory.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import io
import sys
import types
import zipfile
from collections.abc import Sequence

_IMAGE = "__gatewatch_image__"


class _Importer(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads the modules of one zip; it also gives their source, so that tracebacks show lines."""

    def __init__(self, data: bytes) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(data))
        self._names = frozenset(self._archive.namelist())

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        name = self._file(fullname)
        if name is None:
            return None
        package = name.endswith("/__init__.py")
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=f"<gatewatch>/{name}", is_package=package)
        if package:
            spec.submodule_search_locations = []
        spec.has_location = True
        return spec

    def get_source(self, fullname: str) -> str:
        name = self._file(fullname)
        if name is None:
            raise ImportError(f"{fullname} is not in the image", name=fullname)
        return self._archive.read(name).decode("utf-8")

    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self.get_source(fullname), f"<gatewatch>/{self._file(fullname)}", "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return (self._file(fullname) or "").endswith("/__init__.py")

    def _file(self, fullname: str) -> str | None:
        base = fullname.replace(".", "/")
        for name in (f"{base}/__init__.py", f"{base}.py"):
            if name in self._names:
                return name
        return None


def install(data: bytes) -> None:
    """Make the modules in a zip importable, before any others of the same names, and keep the zip at hand."""
    image = types.ModuleType(_IMAGE, "The zip that this process was started from: `data`, and its `sha256` in hex.")
    vars(image).update(data=data, sha256=hashlib.sha256(data).hexdigest())
    sys.modules[_IMAGE] = image
    sys.meta_path.insert(0, _Importer(data))


def image_bytes() -> bytes | None:
    """The zip that this process runs from, or None where it was started in another way."""
    data = getattr(sys.modules.get(_IMAGE), "data", None)
    return data if isinstance(data, bytes) else None

"""From observed bytes to documents: the one place where a file that cannot be read becomes `Broken`."""

from __future__ import annotations

from gates.documents import Broken, Document
from hosts.errors import InputError
from hosts.host import FileSeen
from hosts.local import strictjson


def document(seen: FileSeen) -> Document:
    """The JSON document of one observed file; never None, which would mean that there is no file."""
    if seen.error is not None:
        return Broken(f"{seen.path}: {seen.error}")
    if seen.data is None:
        return Broken(f"{seen.path}: {seen.size} bytes are too many for a record")
    try:
        found = strictjson.loads(seen.data, seen.path)
    except InputError as error:
        return Broken(str(error))
    return Broken(f"{seen.path}: null is not a document") if found is None else found

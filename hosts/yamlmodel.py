"""A file that a person wrote, checked against a pydantic model: every complaint names file, line and key.

Two rules hold for all such files. An unknown key is a warning, never an error: the file may be newer than we
are. A text is what stands in the file: a version `1.10` does not become 1.1, and `no` does not become False.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from hosts.errors import InputError
from hosts.host import Json
from hosts.local.files import ReadError, read_bytes_limited
from hosts.yamldoc import YamlDocument, dotted, load

M = TypeVar("M", bound="FileModel")
V = TypeVar("V")
Key = Union[str, int]

_LIMIT = 8 << 20  # of what a person wrote; none comes near it
_EXPECTED = {
    "string_type": "expected a text",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "missing": "this key is missing",
    "string_too_short": "expected a text",
}


class FileModel(BaseModel):
    """Base of everything that is read from a person's YAML: strict types, unknown keys kept aside for a warning."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, data: Any) -> Any:
        # `extra_env:` with nothing below it is how people leave a section for later.
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


def _nothing_is_empty(value: object) -> object:
    return {} if value is None else value


def _for_every(value: object) -> object:
    return {} if value is None else value if isinstance(value, dict) else {EVERY: value}


EVERY = "*"
Items = Annotated[tuple[V, ...], Strict(False)]
"""A list in the file, a tuple in the program."""
Table = Annotated[dict[str, V], BeforeValidator(_nothing_is_empty)]
"""A mapping in the file; a key with nothing behind it is an empty one."""
ByName = Annotated[dict[str, V], BeforeValidator(_for_every)]
"""A mapping in the file, or one value that then stands under `EVERY`."""


@dataclass(frozen=True)
class Loaded(Generic[M]):
    """A checked file and what looked wrong in it; each warning is one line with file and line number."""

    value: M
    warnings: tuple[str, ...]


def read_model(model: type[M], path: Path) -> Loaded[M]:
    """Read the YAML file at `path` as a `model`.

    Raises:
        InputError: The file cannot be read, is not YAML, or holds a wrong type; one line with its place.
    """
    try:
        data = read_bytes_limited(path, _LIMIT)
    except ReadError as error:
        raise InputError(str(error)) from error
    return parse_model(model, data, str(path))


def parse_model(model: type[M], data: bytes, where: str) -> Loaded[M]:
    """Read YAML bytes as a `model`; `where` is the file's name in every complaint.

    Raises:
        InputError: It is not YAML, not a mapping, or holds a wrong type.
    """
    document = load(data, where)
    if not isinstance(document.value, dict):
        raise document.error((), f"expected a mapping of keys, found {_described(document.value)}")
    value = _validated(model, document.value, document)
    warnings = tuple(
        f"{where}:{document.line_of(path)}: unknown key {dotted(path)}{near} is ignored"
        for path, near in _unknown(value, ())
    )
    return Loaded(value, warnings)


def _validated(model: type[M], raw: dict[str, Json], document: YamlDocument) -> M:
    data: Any = raw
    while True:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            # A scalar that YAML made a number, a bool or a date, where the model wants the text as typed.
            texts = [fault["loc"] for fault in faults if _is_text_in_disguise(fault, document)]
            if not texts:
                raise _complaint(faults, document) from error
            for path in texts:
                data = _replaced(data, path, document.text(path) or "")


def _is_text_in_disguise(fault: ErrorDetails, document: YamlDocument) -> bool:
    if fault["type"] != "string_type" or isinstance(fault["input"], (dict, list, str)):
        return False
    typed = document.text(fault["loc"])
    return typed is not None and (fault["input"] is not None or typed == "")


def _replaced(data: Any, path: tuple[Key, ...], text: str) -> Any:
    if not path:
        return text
    head, rest = path[0], path[1:]
    if isinstance(data, list):
        return [_replaced(item, rest, text) if at == head else item for at, item in enumerate(data)]
    return {key: _replaced(item, rest, text) if key == head else item for key, item in data.items()}


def _complaint(faults: list[ErrorDetails], document: YamlDocument) -> InputError:
    fault = faults[0]
    path = fault["loc"]
    # One value for everything stands in the file without the name that it got here.
    if path[-1:] == (EVERY,) and document.position(path) == document.position(path[:-1]):
        path = path[:-1]
    if fault["type"] == "value_error":
        what = str(fault.get("ctx", {})["error"])
    else:
        what = _EXPECTED.get(fault["type"], fault["msg"][:1].lower() + fault["msg"][1:])
        if fault["type"] != "missing":
            what += f", found {_described(fault['input'])}"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return document.error(path, what + more)


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(value: object, path: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], str]]:
    if isinstance(value, FileModel):
        known = list(type(value).model_fields)
        for key in value.model_extra or {}:
            near = difflib.get_close_matches(key, known, n=1)
            yield (*path, key), f" (did you mean {near[0]}?)" if near else ""
        for name in known:
            yield from _unknown(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unknown(item, (*path, key))
    elif isinstance(value, tuple):
        for at, item in enumerate(value):
            yield from _unknown(item, (*path, at))

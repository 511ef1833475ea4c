"""The dataclasses of hosts/host.py as JSON, and back with every type checked: what a host sends is not trusted.

A dataclass becomes an object, a tuple an array, bytes base64. One encoder and one decoder is made per class
from its annotations and kept, since a first look at a run directory holds thousands of files.
"""

from __future__ import annotations

import base64
import binascii
import collections.abc
import functools
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from hosts.errors import InputError
from hosts.host import Json

T = TypeVar("T")
_Encode = Callable[[Any], Json]
_Decode = Callable[[Any, str], Any]


class WireError(InputError):
    """Data that should be one of our types is not; the message names the key."""


def to_wire(value: object) -> Json:
    """JSON data for a dataclass of hosts/host.py."""
    kind: Any = type(value)
    return _encoder(kind)(value)


def from_wire(cls: type[T], value: Json, where: str = "") -> T:
    """The dataclass `cls` out of JSON data; keys that are not known are passed over.

    Raises:
        WireError: A key is missing, or a value has the wrong type.
    """
    kind: Any = cls
    return cast(T, _decoder(kind)(value, where or cls.__name__))


@functools.cache
def _encoder(kind: Any) -> _Encode:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        parts = [(item.name, _encoder(hints[item.name])) for item in fields(kind)]
        return lambda value: {name: encode(getattr(value, name)) for name, encode in parts}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = _encoder(_only(arguments))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            item = _encoder(arguments[0])
            return lambda value: [item(part) for part in value]
        each = [_encoder(argument) for argument in arguments]
        return lambda value: [encode(part) for encode, part in zip(each, value, strict=True)]
    if origin in (dict, Mapping, collections.abc.Mapping):
        entry = _encoder(arguments[1])
        return lambda value: {key: entry(part) for key, part in value.items()}
    if kind is bytes:
        return lambda value: binascii.b2a_base64(value, newline=False).decode("ascii")
    return lambda value: value


@functools.cache
def _decoder(kind: Any) -> _Decode:
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_decoder(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = _decoder(_only(arguments))
        return lambda value, where: None if value is None else inner(value, where)
    if origin is tuple:
        return _tuple_decoder(arguments)
    if origin in (dict, Mapping, collections.abc.Mapping):
        return _mapping_decoder(_decoder(arguments[1]))
    if kind is bytes:
        return _bytes
    if kind is float:
        return _float
    return _plain(kind)


def _dataclass_decoder(kind: Any) -> _Decode:
    hints = get_type_hints(kind)
    parts = [
        (item.name, _decoder(hints[item.name]), item.default is MISSING and item.default_factory is MISSING)
        for item in fields(kind)
    ]

    def decode(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise WireError(f"{where}: expected an object")
        found = {}
        for name, part, needed in parts:
            if name in value:
                found[name] = part(value[name], name)
            elif needed:
                raise WireError(f"{where}: {name} is missing")
        return kind(**found)

    return decode


def _tuple_decoder(arguments: tuple[Any, ...]) -> _Decode:
    if arguments[-1] is Ellipsis:
        item = _decoder(arguments[0])
        return lambda value, where: tuple([item(part, where) for part in _list(value, where)])
    each = [_decoder(argument) for argument in arguments]

    def decode(value: Any, where: str) -> Any:
        if len(_list(value, where)) != len(each):
            raise WireError(f"{where}: expected {len(each)} items")
        return tuple([part(item, where) for part, item in zip(each, value, strict=True)])

    return decode


def _mapping_decoder(entry: _Decode) -> _Decode:
    def decode(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise WireError(f"{where}: expected an object")
        return {key: entry(part, where) for key, part in value.items()}

    return decode


def _only(arguments: tuple[Any, ...]) -> Any:
    (kind,) = [argument for argument in arguments if argument is not type(None)]
    return kind


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise WireError(f"{where}: expected an array")
    return value


def _bytes(value: Any, where: str) -> bytes:
    if not isinstance(value, str):
        raise WireError(f"{where}: expected base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise WireError(f"{where}: expected base64 text") from None


def _float(value: Any, where: str) -> float:
    if type(value) not in (int, float):
        raise WireError(f"{where}: expected a number")
    try:
        return float(value)
    except OverflowError:
        raise WireError(f"{where}: number out of range") from None


def _plain(kind: type) -> _Decode:
    def decode(value: Any, where: str) -> Any:
        if type(value) is not kind:  # not isinstance: True is no size
            raise WireError(f"{where}: expected {kind.__name__}, found {type(value).__name__}")
        return value

    return decode

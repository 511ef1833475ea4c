"""Values with the way to them, so that every error in a manifest names its key path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gates.documents import Json


class SchemaError(ValueError):
    """A manifest that cannot be used; the message names the file, the key path and what would be right."""


@dataclass(frozen=True)
class Place:
    """A value and the way to it, so that every error can name its key path."""

    value: Json
    where: str
    path: tuple[str, ...]

    def error(self, message: str) -> SchemaError:
        place = ".".join(_shown(part) for part in self.path)
        return SchemaError(f"{self.where}: {place}: {message}" if place else f"{self.where}: {message}")

    def wrong(self, expected: str) -> SchemaError:
        return self.error(f"expected {expected}, got {_shown_value(self.value)}")

    def items(self, what: str) -> Iterator[tuple[str, Place]]:
        if not isinstance(self.value, dict):
            raise self.wrong(f"a mapping of {what}")
        for key, value in self.value.items():
            if not isinstance(key, str):  # YAML has keys that are numbers, dates or null
                raise self.error(f"the key {key!r} is not text; quote it")
            yield key, Place(value, self.where, (*self.path, key))

    def at(self, key: str) -> Place:
        if not isinstance(self.value, dict):
            raise self.wrong("a mapping")
        return Place(self.value.get(key), self.where, (*self.path, key))

    @property
    def absent(self) -> bool:
        return self.value is None

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.wrong("text")
        return self.value

    def text_or_none(self) -> str | None:
        return None if self.absent else self.text()

    def texts(self) -> tuple[str, ...]:
        if self.absent:
            return ()
        if isinstance(self.value, str):
            return (self.value,)
        if not isinstance(self.value, list):
            raise self.wrong("a list of texts")
        return tuple(
            Place(item, self.where, (*self.path[:-1], f"{self.path[-1]}[{n}]")).text()
            for n, item in enumerate(self.value)
        )

    def whole(self, least: int) -> int | None:
        if self.absent:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < least:
            raise self.wrong(f"a whole number of at least {least}")
        return self.value

    def relative_path(self) -> str:
        path = self.text()
        if path.startswith(("/", "~", "-")) or "\\" in path or "\0" in path or ".." in path.split("/"):
            raise self.wrong("a relative path without '..'")
        return path


def _shown(part: str) -> str:
    return part if part and part.isprintable() and len(part) <= 80 else repr(part)[:80]


def _shown_value(value: Json) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."

"""Versions and what is required of them, as PEP 440 has them, as far as it takes to judge an installed version.

The calibration host's Python need not have `packaging`, and the Python of the tests may not either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union

_VERSION = re.compile(
    r"""\s*v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(?P<pre_l>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>[0-9]+)?)?
    (?:-(?P<post_implicit>[0-9]+)|[-_.]?(?P<post_l>post|rev|r)[-_.]?(?P<post_n>[0-9]+)?)?
    (?:[-_.]?(?P<dev_l>dev)[-_.]?(?P<dev_n>[0-9]+)?)?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*\Z""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SPECIFIER = re.compile(r"\s*(===|==|~=|!=|<=|>=|<|>)\s*([^\s,;]+)\s*\Z")
_LETTERS = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_RANKS = {"a": -3, "b": -2, "rc": -1}
_LONGEST = 256

_Local = tuple[tuple[int, Union[int, str]], ...]
_Key = tuple[int, tuple[int, ...], tuple[int, int], int, float, _Local]


class VersionError(ValueError):
    """Text that is no version, or no requirement on one."""


@dataclass(frozen=True)
class Version:
    """One version; `pre` is ("a" | "b" | "rc", number), `local` the part behind "+" in lower case."""

    epoch: int
    release: tuple[int, ...]
    pre: tuple[str, int] | None
    post: int | None
    dev: int | None
    local: str | None

    @property
    def public(self) -> Version:
        """The same without its local part."""
        return Version(self.epoch, self.release, self.pre, self.post, self.dev, None)

    @property
    def key(self) -> _Key:
        """Sorts as PEP 440 does."""
        if self.pre is not None:
            pre = (_RANKS[self.pre[0]], self.pre[1])
        else:
            # 1.0.dev1 comes before 1.0a1, which comes before 1.0
            pre = (-4, 0) if self.post is None and self.dev is not None else (0, 0)
        local: _Local = tuple(
            (1, int(part)) if part.isdecimal() else (0, part) for part in (self.local or "").split(".") if part
        )
        dev = float("inf") if self.dev is None else float(self.dev)
        return self.epoch, _stripped(self.release), pre, -1 if self.post is None else self.post, dev, local


def parse_version(text: str) -> Version:
    """Read a version.

    Raises:
        VersionError: It is none.
    """
    found = _VERSION.match(text) if len(text) <= _LONGEST else None
    if found is None:
        raise VersionError(f"{text[:80]!r} is not a version")
    letter = found["pre_l"]
    post = found["post_implicit"] or found["post_n"]
    return Version(
        epoch=int(found["epoch"] or 0),
        release=tuple(int(part) for part in found["release"].split(".")),
        pre=None if letter is None else (_LETTERS.get(letter.lower(), letter.lower()), int(found["pre_n"] or 0)),
        post=int(post or 0) if post is not None or found["post_l"] else None,
        dev=int(found["dev_n"] or 0) if found["dev_l"] else None,
        local=None if found["local"] is None else re.sub("[-_]", ".", found["local"].lower()),
    )


def fulfils(found: str, wanted: str) -> bool:
    """Whether an installed version is one that is wanted; pre-releases and local versions are.

    Args:
        wanted: Specifiers with commas between, such as `>=2.9,<3`; a bare version means exactly that one.

    Raises:
        VersionError: One of the two cannot be read.
    """
    parts = [part for part in wanted.split(",") if part.strip()]
    return all(_fulfils(found, part) for part in parts)


def _fulfils(found: str, part: str) -> bool:
    matched = _SPECIFIER.match(part)
    if matched is None and re.match(r"\s*v?[0-9]", part):
        matched = _SPECIFIER.match(f"=={part.strip()}")
    if matched is None:
        raise VersionError(f"{part.strip()[:80]!r} is not a version specifier")
    operator, text = matched[1], matched[2]
    if operator == "===":
        return found.strip().lower() == text.lower()
    if text.endswith(".*"):
        if operator not in ("==", "!="):
            raise VersionError(f"{part.strip()[:80]!r}: a star goes with == and != alone")
        return _has_prefix(parse_version(found), parse_version(text[:-2])) is (operator == "==")
    return _compares(parse_version(found), operator, parse_version(text))


def _compares(found: Version, operator: str, wanted: Version) -> bool:
    if operator in ("==", "!="):
        same = (found if wanted.local is not None else found.public).key == wanted.key
        return same is (operator == "==")
    if operator == "~=":
        if len(wanted.release) < 2:
            raise VersionError("~= needs a version with two parts")
        prefix = Version(wanted.epoch, wanted.release[:-1], None, None, None, None)
        return found.public.key >= wanted.key and _has_prefix(found, prefix)
    if operator == "<=":
        return found.public.key <= wanted.key
    if operator == ">=":
        return found.public.key >= wanted.key
    if operator == "<":
        # 1.0rc1 is not "before 1.0", nor is 1.0.post1.dev1 "before 1.0.post1"
        early = found.pre is not None or found.dev is not None
        wanted_early = wanted.pre is not None or wanted.dev is not None
        whole = Version(found.epoch, found.release, None, found.post if found.pre is None else None, None, None)
        return found.key < wanted.key and not (early and not wanted_early and whole.key == wanted.key)
    # Neither a local version of 1.0 nor a post-release of it is "after 1.0"
    before_post = Version(found.epoch, found.release, found.pre, None, None, None)
    late = found.post is not None and wanted.post is None and before_post.key == wanted.key
    return found.public.key > wanted.key and not late


def _has_prefix(found: Version, prefix: Version) -> bool:
    size = len(prefix.release)
    padded = found.release + (0,) * max(0, size - len(found.release))
    if found.epoch != prefix.epoch:
        return False
    if prefix.pre is None and prefix.post is None and prefix.dev is None:
        return padded[:size] == prefix.release
    return found.public.key == prefix.key


def _stripped(release: tuple[int, ...]) -> tuple[int, ...]:
    size = len(release)
    while size > 1 and release[size - 1] == 0:
        size -= 1
    return release[:size]

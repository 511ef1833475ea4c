"""What the `ssh` program says when it could not get to a host, as an error that a person is told of."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from hosts.errors import GatewatchError, UnreachableError
from hosts.local.pasting import quoted
from hosts.ssh_spec import KNOWN_HOSTS, SshSpec
from hosts.ssh_text import plain_line
from hosts.standing import KeyChangedError, LoginRefusedError, marks_of

_OFFENDING = re.compile(r"^Offending (\S+) key in (.+):(\d+)\s*$", re.MULTILINE)
_NOBODY = re.compile(r"(kex_exchange_identification|ssh_exchange_identification|banner exchange): ")
_UNFORWARDED = "stdio forwarding failed"
_AFTERMATH = re.compile(rf"{_NOBODY.pattern}|{_UNFORWARDED}$|Connection (closed|reset) by UNKNOWN port ")
_OFFERED = re.compile(r"\b(SHA256:[A-Za-z0-9+/]{43})")
_NEW = re.compile(r"^No \S+ host key is known for ", re.MULTILINE)
_AWAY = re.compile(r"^ssh: (connect to host|Could not resolve hostname) ", re.MULTILINE)
_SILENT = re.compile(r"^Connection timed out during banner exchange\s*$", re.MULTILINE)
_TAKEN = re.compile(r"^debug1: SSH2_MSG_NEWKEYS received\s*$", re.MULTILINE)
_SHOWN = re.compile(r"^debug1: Server host key: (\S+ SHA256:[A-Za-z0-9+/]{43})\s*$", re.MULTILINE)


@dataclass(frozen=True)
class NewKey:
    """The key of a host that has none in the files.

    Attributes:
        files: The known_hosts files, as they were named.
        offer: Its kind and fingerprint.
    """

    files: str
    offer: str


def is_new_key(errors: bytes) -> bool:
    """Whether ssh ended because a host has no key in the files."""
    return bool(_NEW.search(_text(errors)))


def offered(errors: bytes) -> str | None:
    """The kind and fingerprint of such a host's key, from all that ssh tells at LogLevel DEBUG1."""
    text = _text(errors)
    end = _NEW.search(text)
    # Behind a host on the way, that one's key comes first
    found: list[str] = _SHOWN.findall(text[: end.start()]) if end else []
    return plain_line(found[-1]) if found else None


def showed_none(way: tuple[SshSpec, ...], stop: Hashable, errors: bytes) -> bool:
    """Whether one of the hosts on the way cannot have shown a key, because it or the first was not there to do so."""
    text = _text(errors)
    # Behind a host that is silent all are, and each of their `ssh` says so: of the last alone that is sure
    silent = bool(_SILENT.search(text)) or _UNFORWARDED in text.splitlines()
    return bool(_AWAY.search(text)) or (stop == way[-1] and silent)


def says_nobody(way: tuple[SshSpec, ...], errors: bytes) -> bool:
    """Whether all that was said is that nobody is there to talk to, and that not by every host's `ssh`."""
    lines = _text(errors).splitlines()
    after = sum(bool(_NOBODY.match(line)) for line in lines)
    return 0 < after < len(way) and _UNFORWARDED not in lines and all(map(_AFTERMATH.match, lines))


def is_taken(errors: bytes) -> bool:
    """Whether a host's key is the right one, from all that ssh tells of it at LogLevel DEBUG1."""
    return bool(_TAKEN.search(_text(errors)))


def explained(way: tuple[SshSpec, ...], errors: bytes, new: NewKey | None = None) -> GatewatchError:
    """What ssh said when it could not get to the last of these hosts, or lost the way.

    Args:
        way: The hosts that it goes through, in their order, and the host itself.
        errors: What it wrote to stderr.
        new: The key of the host that this is about, where that is what is wrong.
    """
    text = _text(errors)
    number = whose(way, errors)
    host = way[-1].title if number == len(way) - 1 else f"{way[-1].title}: on the way there, {way[number].title}"
    if "HOST IDENTIFICATION HAS CHANGED" in text:
        key = _OFFERED.search(text)
        offer = f"the host offers {key[1]}" if key else "the host offers another"
        known = _OFFENDING.search(text)
        stands = f"{plain_line(known[2])}:{known[3]} has another {_known(known)}, " if known else ""
        mend = f"; if that is right, remove the old one: {_mend(text, known[2])}" if known else ""
        files = [way[number].known_hosts or KNOWN_HOSTS, *([known[2]] if known else [])]
        why = f"{host}: its host key has changed, so nothing was sent: {stands}{offer}{mend}"
        return KeyChangedError(why, marks_of(files), way[number], _remains(known) if known else lambda: True)
    if new is not None:
        return LoginRefusedError(
            f"{host}: its host key is unknown: {plain_line(new.files)} has no key for it, the host offers {new.offer}; "
            "compare that on the host itself and add it to the file",
            marks_of((new.files, *new.files.split())),
        )
    if "Host key verification failed" in text:
        said = plain_line(text.strip().splitlines()[0])
        return LoginRefusedError(f"{host}: its host key is unknown: {said}")
    last = next((line for line in reversed(text.strip().splitlines()) if not _AFTERMATH.match(line)), "")
    last = plain_line(last) or last_line(errors)
    if _UNFORWARDED in text.splitlines():
        last = "it cannot be reached from the host before it"
    if "Permission denied" in last or "Too many authentication failures" in last:
        return LoginRefusedError(f"{host}: login refused: {last}")
    return UnreachableError(f"{host}: {last or 'ssh lost the connection'}")


def whose(way: tuple[SshSpec, ...], errors: bytes) -> int:
    """The number of the host that this is about.

    The `ssh` of each host after that one says that nobody is there to talk to.
    """
    lines = _text(errors).splitlines()
    after = sum(bool(_NOBODY.match(line)) for line in lines)
    if _UNFORWARDED in lines:  # said by the one before it
        after -= 1
    return len(way) - 1 - (after if 0 < after < len(way) else 0)


def last_line(errors: bytes) -> str:
    """The last that was said."""
    return plain_line(_text(errors).strip().rpartition("\n")[2])


def _known(offending: re.Match[str]) -> str:
    """The key on a line of a known_hosts file, with its fingerprint where that can be read."""
    kind = f"{plain_line(offending[1])} key"
    try:
        with open(offending[2], encoding="utf-8", errors="replace") as file:
            line = file.read().splitlines()[int(offending[3]) - 1]
        blob = next(base64.b64decode(word, validate=True) for word in line.split() if word.startswith("AAAA"))
    except (OSError, IndexError, StopIteration, binascii.Error):
        return kind
    return f"{kind} SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode('ascii').rstrip('=')}"


def _remains(offending: re.Match[str]) -> Callable[[], bool]:
    """What tells whether a line of a known_hosts file is still there, wherever in it."""
    path = offending[2]

    def lines() -> list[str]:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()
        except OSError:
            return []

    line = lines()[int(offending[3]) - 1 : int(offending[3])]
    return lambda: bool(line) and line[0] in lines()


def _mend(text: str, file: str) -> str:
    name = re.search(r"^Host key for (\S+) has changed", text, re.MULTILINE)
    return f"ssh-keygen -R {quoted(plain_line(name[1]))} -f {quoted(file)}" if name else f"edit {file}"


def _text(errors: bytes) -> str:
    return errors.decode("utf-8", "replace").replace("\r", "")

"""What a login needs from disk: the keys of hosts, the keys that are named for us, and what the configuration says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import asyncssh

from hosts.aside import aside
from hosts.connects import Connects
from hosts.errors import InputError, UnreachableError
from hosts.ssh_keys import Keys, read_keys
from hosts.ssh_names import Direct
from hosts.ssh_proxy import Proxy
from hosts.ssh_shim import known_hosts_named
from hosts.ssh_spec import KNOWN_HOSTS, SshSpec
from hosts.ssh_text import plain
from hosts.standing import Marks, marks_of

_MOST_HOPS = 9
_READ_CONFIG = 5.0
# What asyncssh tries where nothing is named, and ends at one that is none
_USUAL = tuple(f"~/.ssh/id_{kind}" for kind in ("ed25519_sk", "ecdsa_sk", "ed448", "ed25519", "ecdsa", "rsa", "dsa"))
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"


@dataclass(frozen=True)
class Files:
    """What a login needs from disk.

    Attributes:
        known: The keys of hosts.
        names: The known_hosts files that there are, the person's own first.
        own: Where a new key is added, whether it is there or not.
        trusted: What messages call the person's own.
        marks: What tells the known_hosts files from what they are after a change, taken before they were read.
        alias: What the configuration calls the host's key (HostKeyAlias), or "".
        identities: The private keys that are named for this host; none for the usual ones.
        keys: Those that can be offered, and those that open with a passphrase; None for all of the usual ones.
        certificates: The certificates that are named for it and are some.
        first: The public halves of those that an agent offers before its others, as ssh has it.
        of_agent: The public halves of those that an agent may offer, where not all of its keys may; else None.
        useless: What is wrong with the others, which ssh passes over too.
        where: Where it is connected to, as messages say it.
        settings: The ssh configuration as it was read for the host, for one login or several: to read it runs programs
            (`Match exec`). None where there is none.
        jumps: The hosts to go through, `[user@]host[:port]` with commas, or None.
        direct: Connects where none is gone through.
        program: The name of the program that the configuration has for that, or "".
    """

    known: Keys
    names: list[str]
    own: str
    trusted: str
    marks: Marks = ()
    alias: str = ""
    identities: tuple[str, ...] = ()
    keys: tuple[str, ...] | None = None
    certificates: tuple[str, ...] = ()
    first: tuple[bytes, ...] = ()
    of_agent: tuple[bytes, ...] | None = None
    useless: tuple[str, ...] = ()
    where: str = ""
    settings: asyncssh.SSHClientConnectionOptions | None = None
    jumps: str | None = None
    direct: Direct | Proxy = field(default_factory=Direct)
    program: str = ""


async def find_files(spec: SshSpec, connects: Connects) -> Files:
    """Read what a login needs from disk, and name what is missing before anybody is connected to.

    Raises:
        InputError: A file is missing or cannot be understood.
        UnreachableError: The configuration cannot be read in time.
    """
    config = await asyncio.to_thread(_config, spec)
    if config is None:
        return await asyncio.to_thread(_read, spec, connects, [])
    # No keys here: those that the configuration names are looked at one by one, so that a bad one costs no others
    asked: dict[str, Any] = {"host": spec.host, "port": spec.port, "username": spec.user, "config": [config]}
    asked = {name: value for name, value in asked.items() if value is not None}
    try:
        # A program that it runs (`Match exec`) may never end
        async with asyncio.timeout(_READ_CONFIG):
            options = await aside(lambda: _options(asked), "ssh config")
        trusted = known_hosts_named(options.config, spec.host)
    except TimeoutError:
        said = f"reading {config} takes longer than {_READ_CONFIG:g} s; does a `Match exec` in it hang?"
        raise UnreachableError(f"{spec.title}: {said}") from None
    except RecursionError:
        raise InputError(f"{config}: its Include goes in circles") from None
    except (asyncssh.Error, OSError, ValueError) as error:
        raise InputError(f"{config}: {plain(error)}") from None
    files = await asyncio.to_thread(_read, spec, connects, trusted)
    tunnel: object = options.tunnel
    configured = spec.jumps_beyond(tunnel) if isinstance(tunnel, str) else None
    settings: Any = options.config
    named = {what: tuple(settings.get(what, ())) for what in ("IdentityFile", "CertificateFile")}
    files = replace(
        files,
        alias=options.host_key_alias or "",
        where=f"{options.host} port {options.port}",
        settings=options,
        jumps=configured if spec.proxy_jump is None else spec.proxy_jump,
        direct=Proxy(_command(settings)) if options.proxy_command else Direct(options.family, options.local_addr),
        program=_command(settings).partition(" ")[0] if options.proxy_command else "",
    )
    only = bool(settings.get("IdentitiesOnly"))
    return await asyncio.to_thread(_with_named, files, connects, named, only)


async def with_keys(spec: SshSpec, files: Files, connects: Connects) -> Files:
    """The same with the keys of hosts as they are by now.

    Raises:
        InputError: They cannot be read.
    """
    looked_at = list(dict.fromkeys((files.own, *files.names)))

    def read() -> Files:
        marks = marks_of(looked_at)
        names = list(filter(os.path.isfile, looked_at))
        return replace(files, names=names, marks=marks, known=_known(spec, connects, names))

    return await asyncio.to_thread(read)


async def find_way(spec: SshSpec, connects: Connects) -> list[tuple[SshSpec, Files]]:
    """The hosts to log in to, one through the other, the host itself last.

    Raises:
        InputError: A file is missing or cannot be understood, or the configuration goes in circles.
        UnreachableError: The configuration cannot be read in time.
    """
    files = await find_files(spec, connects)
    way = [(spec, files)]
    while hops := spec.hops(files.jumps):
        found = [(hop, await find_files(hop, connects)) for hop in hops]
        way = found + way
        if len(way) > _MOST_HOPS:
            raise InputError(
                f"{way[-1][0].host}: more than {_MOST_HOPS - 1} hosts to jump over; does ProxyJump circle?"
            )
        spec, files = found[0]
    return way


def _config(spec: SshSpec) -> str | None:
    name = os.path.expanduser(spec.config_file) if spec.config_file is not None else ""
    return name if name and os.path.isfile(name) else None


def _options(asked: dict[str, Any]) -> asyncssh.SSHClientConnectionOptions:
    return asyncssh.SSHClientConnectionOptions(**asked, client_keys=None, client_certs=[])


def _command(settings: Any) -> str:
    """The command line of the program to connect with."""
    return str(settings.get("ProxyCommand"))


def _read(spec: SshSpec, connects: Connects, trusted: list[str]) -> Files:
    # What names no file turns the check off in ssh (/dev/null, none); here the usual one counts then
    trusted = [name for name in trusted if name != os.devnull] or [KNOWN_HOSTS]
    if spec.known_hosts is not None:
        trusted = [spec.known_hosts]
    shown = ", ".join(trusted)
    own = [os.path.expanduser(name) for name in trusted]
    names = [name for name in (*own, _SYSTEM_KNOWN_HOSTS) if os.path.isfile(name)]
    missing = [name for name in own if name not in names]
    # A file that is none (a folder, a device) is of no use, however new hosts are held; the usual one comes with the
    # first key, and a host that nobody knows is told as that
    named = spec.known_hosts is not None and spec.host_keys == "strict"
    if missing == own and (named or any(map(os.path.exists, missing))):
        raise InputError(f"{spec.title}: there is no known_hosts file {shown}, so its host key cannot be checked")
    marks = marks_of((own[0], *names))
    known = _known(spec, connects, names)
    identity = (os.path.expanduser(spec.identity_file),) if spec.identity_file is not None else ()
    for name in identity:
        wrong = _wrong(name, connects, _load_key)
        if wrong:
            raise InputError(f"{spec.title}: cannot use the identity file {spec.identity_file}: {wrong}")
    where = f"{spec.host} port {spec.port or asyncssh.DEFAULT_PORT}"
    first = _halves(identity, connects)
    files = Files(
        known, names, own[0], shown, marks, identities=identity, first=first, where=where, jumps=spec.proxy_jump
    )
    if identity:
        return replace(files, keys=identity)
    usual = [name for name in _expanded(_USUAL) if os.path.exists(name)]
    keys, useless = _sorted_out(usual, connects, _load_key, "key")
    return replace(files, keys=tuple(keys), useless=tuple(useless)) if useless else files


def _known(spec: SshSpec, connects: Connects, names: list[str]) -> Keys:
    try:
        # With hundreds of hosts in it, reading it for each of them would be most of what connecting costs. A file can
        # be shut and open again with no mark of it: what it takes back must not be lost for good
        shut = frozenset(filter(_is_shut, names))
        known = connects.once(tuple(names), (shut, *map(_mark, names)), lambda: read_keys(names))
        return known if known.unread.keys() == shut else read_keys(names)
    except OSError as error:
        shown = ", ".join(names)
        raise InputError(f"{spec.title}: cannot read the known_hosts file {shown}: {plain(error).lower()}") from None


def _with_named(files: Files, connects: Connects, named: dict[str, tuple[str, ...]], only: bool) -> Files:
    """With those of the files which the configuration names that are of use."""
    certificates, useless = _sorted_out(
        _expanded(named["CertificateFile"]), connects, asyncssh.load_certificates, "certificate"
    )
    files = replace(files, certificates=tuple(certificates), useless=(*files.useless, *useless))
    identities = _expanded(named["IdentityFile"])
    files = replace(files, first=_halves(files.identities or identities, connects, certificates))
    if only:
        files = replace(files, of_agent=files.first)
    if files.identities or not identities:
        return files
    # With `IdentitiesOnly`, the public half of a key says which one of the agent's is meant
    keys, bad = _sorted_out(identities, connects, _load_any if only else _load_key, "key")
    return replace(files, identities=tuple(identities), keys=tuple(keys), useless=(*bad, *useless))


def _sorted_out(
    names: list[str], connects: Connects, load: Callable[[str], object], kind: str
) -> tuple[list[str], list[str]]:
    """Those of the files that are of use, and what is wrong with the others."""
    wrong = {name: _wrong(name, connects, load) for name in names}
    return [name for name in names if not wrong[name]], [
        f"the {kind} {name}: {wrong[name]}" for name in names if wrong[name]
    ]


def _halves(identities: Iterable[str], connects: Connects, certificates: Iterable[str] = ()) -> tuple[bytes, ...]:
    """What an agent would call all of these."""
    return tuple(half for name in (*(identities or _expanded(_USUAL)), *certificates) for half in _kept(name, connects))


def _kept(name: str, connects: Connects) -> tuple[bytes, ...]:
    # With hundreds of hosts they would be read for each of them
    mark = tuple(_mark(file) for file in (name, f"{name}.pub", f"{name}-cert.pub"))
    return connects.once((_public_halves, name), mark, lambda: tuple(_public_halves(name)))


def _is_shut(name: str) -> bool:
    try:
        os.close(os.open(name, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        return True
    except OSError:
        pass  # whoever reads it says so
    return False


def _mark(name: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _public_halves(name: str) -> Iterator[bytes]:
    """What an agent would call the keys of an identity file: itself, its public half or its certificate beside it."""
    reads: tuple[Callable[[str], Any], ...] = (asyncssh.read_certificate, asyncssh.read_public_key)
    for file in (name, f"{name}.pub", f"{name}-cert.pub"):
        for read in (*reads, asyncssh.read_private_key) if file == name else reads:
            with contextlib.suppress(asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError, ValueError):
                yield bytes(read(file).public_data)
                break


def _expanded(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(map(os.path.expanduser, names)))


def _load_key(name: str) -> object:
    return asyncssh.load_keypairs([name], ignore_encrypted=True)


def _load_any(name: str) -> object:
    return asyncssh.load_keypairs([name], skip_public=True, ignore_encrypted=True)


def _wrong(name: str, connects: Connects, load: Callable[[str], object]) -> str:
    """Why a key or certificate file is of no use; "" where it is."""

    def look() -> str:
        try:
            load(name)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError, ValueError) as error:
            return plain(error).lower() if isinstance(error, OSError) else plain(error)
        return ""

    try:
        found = os.stat(name)
    except OSError as error:
        return plain(error).lower()
    if not stat.S_ISREG(found.st_mode):
        return "not a file"
    mark = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
    # A fleet has one key for all of it
    return connects.once((load, name), mark, look)

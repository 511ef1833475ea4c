"""One login to one host: what the host may ask, and what a failure means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import asyncssh

from hosts.connects import Connects
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.local.pasting import quoted
from hosts.ssh_client import Client
from hosts.ssh_files import Files, with_keys
from hosts.ssh_keys import KnownKey, NamedKeys, Offer, known_keys, remember
from hosts.ssh_proxy import ProxyError
from hosts.ssh_shim import NoKeys
from hosts.ssh_spec import SshSpec
from hosts.ssh_text import plain
from hosts.standing import KeyChangedError, LoginRefusedError

# The fastest one first: with it a megabyte costs half of what the default costs
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
# "+": the kinds that the file has come first. The others are taken too, because a host that has none of the first
# would hang up without a word, and then nobody could say that its key has changed.
_HOST_KEYS = "+ssh-ed25519,ecdsa-sha2-nistp*,rsa-sha2-*"

# To try again at once would have some hosts shut us out for long
_MANY = "Too many authentication failures"
_NAME_IT = "of an agent with many keys, name the one for this host (IdentityFile, IdentitiesOnly yes)"


async def log_in(
    spec: SshSpec,
    files: Files,
    through: asyncssh.SSHClientConnection | None,
    connects: Connects,
    deadline: float,
    on_lost: Callable[[str], None],
    on_ask: Callable[[], None],
) -> asyncssh.SSHClientConnection:
    """Connect, check the host's key, and log in.

    Args:
        spec: How the host is reached.
        files: What hosts/ssh_files.py found for it.
        through: The connection that this one is to go through.
        connects: What all connections share.
        deadline: Seconds that all of it may take, without the time that a person takes to answer.
        on_lost: Told why, when the connection ends.
        on_ask: Told when a person is about to be asked.

    Raises:
        UnreachableError: The host cannot be reached, its key is unknown or another, or it refuses us.
        InputError: A file that the login needs is wrong.
    """
    if files.settings is not None and not files.settings.kex_algs:
        # Seen from the host's side first, it would be a connection that was lost
        none = "the ssh configuration names no KexAlgorithms that are known here"
        other = "with `transport: openssh` in the profile ssh itself connects"
        raise InputError(f"{spec.title}: no common way to encrypt: {none}; {other}")
    for _ in range(2):
        of_keys = (files.identities, files.certificates, files.first)
        client = Client(spec, *of_keys, connects, deadline, on_lost, on_ask)
        try:
            return await _attempt(spec, files, through, client)
        except Exception as error:
            # Whatever a server sends, it must not look like a mistake of ours, nor be tried again at once
            if not client.met and not isinstance(error, (asyncssh.Error, OSError, ValueError)):
                raise
            failure = await asyncio.to_thread(_explained, spec, files, client, error)
        if failure is not None:
            raise failure from None
        # The key is in the file now; had it been trusted before, a secret might have gone to a host nobody can name
        files = await with_keys(spec, files, connects)
    raise UnreachableError(f"{spec.title}: its host key is another at each look")


async def _attempt(
    spec: SshSpec, files: Files, through: asyncssh.SSHClientConnection | None, client: Client
) -> asyncssh.SSHClientConnection:
    options: dict[str, Any] = {
        "known_hosts": NamedKeys(files.known, files.alias),
        "config": None,
        "tunnel": files.direct if through is None else through,
        "client_certs": list(files.certificates),
        "agent_forwarding": False,
        # What is alive is seen in hosts/ssh_lane.py, which also tells how long an answer takes
        "keepalive_interval": 0,
        "connect_timeout": None,
        "login_timeout": 0,
        "encryption_algs": _CIPHERS,
        "server_host_key_algs": _HOST_KEYS,
        "client_factory": lambda: client,
    }
    # Where keys are named and none is of use, ssh does not take the usual ones for them either
    keys = (list(files.keys) or NoKeys()) if files.keys is not None else None
    if files.of_agent is not None:
        # asyncssh takes an empty list, which it makes itself of private keys, for all of the agent's (2.24)
        options["agent_identities"] = list(files.of_agent) or [b"none"]
    # An encrypted key is left to the client, which asks for its passphrase once nothing else has let us in
    options["ignore_encrypted"] = True
    chosen = {"port": spec.port, "username": spec.user, "client_keys": keys}
    if files.settings is not None:  # with which there are to be no keys at all
        options |= {"options": files.settings, "client_keys": ()}
    options.update({name: value for name, value in chosen.items() if value is not None})
    async with client.deadline():
        return await asyncssh.connect(spec.host, **options)


def _explained(spec: SshSpec, files: Files, client: Client, error: Exception) -> GatewatchError | None:
    """What a failure means for a person; None where it was a host's key that is in the file by now."""
    if client.offer is not None:
        return _key_failure(spec, files, client)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return LoginRefusedError(f"{spec.title}: its host key cannot be trusted ({files.trusted}): {plain(error)}")
    many = _MANY in plain(error)
    if many or isinstance(error, asyncssh.PermissionDenied):
        who = f" for {client.user}" if client.user else ""
        said = "; ".join([plain(error), *([_NAME_IT] if many else []), *client.unasked, *files.useless])
        return LoginRefusedError(f"{spec.title}: login refused{who}: {said}")
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return UnreachableError(f"{spec.title}: no common way to encrypt: {plain(error)}")
    if isinstance(error, ProxyError):
        cannot = f"{spec.title}: cannot run its ProxyCommand {files.program!r}: {error}"
        return InputError(cannot) if error.unrun else UnreachableError(f"{spec.title}: {plain(error)}")
    if not client.met and isinstance(error, (asyncssh.KeyImportError, asyncssh.KeyEncryptionError)):
        return InputError(
            f"{spec.title}: cannot use the identity file {spec.identity_file or '(default)'}: {plain(error)}"
        )
    called = "" if spec.title == spec.host else f" ({files.where})"  # what may be wrong in the profile
    if isinstance(error, TimeoutError):
        return UnreachableError(f"{spec.title}: no login within {client.patience:g} s{called}")
    if not client.met and isinstance(error, (OSError, asyncssh.ChannelOpenError)) and "refused" in plain(error).lower():
        return UnreachableError(f"{spec.title}: {plain(error).lower()} ({files.where})")
    if isinstance(error, asyncssh.ConnectionLost):
        return UnreachableError(f"{spec.title}: the connection was lost")
    if client.met:
        return UnreachableError(f"{spec.title}: {plain(error)}")
    if isinstance(error, (asyncssh.Error, OSError)):
        return UnreachableError(f"{spec.title}: {plain(error)}{called}")
    return InputError(f"{spec.title}: {plain(error)}")


def _key_failure(spec: SshSpec, files: Files, client: Client) -> GatewatchError | None:
    offer = client.offer
    assert offer is not None
    if offer.host == files.alias:
        offer = replace(offer, port=None)
    marks, names = files.marks, tuple(dict.fromkeys((files.own, *files.names)))
    known = known_keys(names, offer)
    if any(_speaks_for(key, offer) for key in known):  # somebody has added it meanwhile
        return None
    unread = files.known.unread
    # What cannot be read may have another key for it
    if not known and spec.host_keys == "accept-new" and not unread:
        try:
            remember(files.own, offer)
        except InputError as error:
            return LoginRefusedError(f"{spec.title}: its host key is new, and {error}")
        return None
    if not known:
        return LoginRefusedError(
            f"{spec.title}: its host key is unknown: {files.trusted} has no key for it, the host offers {offer}; "
            + "".join(f"{name} cannot be read: {why}; " for name, why in unread.items())
            + "compare that on the host itself and add it to the file",
            marks,
        )
    if all(key.marker for key in known):
        return LoginRefusedError(
            f"{spec.title}: its host key cannot be trusted: {', '.join(map(str, known))}, the host offers {offer}",
            marks,
        )
    files_named = dict.fromkeys(key.file for key in known)
    mend = "; ".join(f"ssh-keygen -R {quoted(offer.name)} -f {quoted(name)}" for name in files_named)
    return KeyChangedError(
        f"{spec.title}: its host key has changed, so nothing was sent: {', '.join(map(str, known))}, "
        f"the host offers {offer}; if that is right, remove the old one: {mend}",
        marks,
        spec,
        lambda: _speaks_against(names, offer),
    )


def _speaks_for(key: KnownKey, offer: Offer) -> bool:
    return not key.marker and key.shown == str(offer)


def _speaks_against(names: Iterable[str], offer: Offer) -> bool:
    """Whether files have another key for the host, and not this one."""
    known = known_keys(names, offer)
    return any(not key.marker for key in known) and not any(_speaks_for(key, offer) for key in known)

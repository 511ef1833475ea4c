"""Our side of one login: which host keys it takes, whom it asks for a secret, and how long it may take."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncssh

from hosts.connects import Connects, Turn
from hosts.ssh_keys import Offer
from hosts.ssh_shim import named_first
from hosts.ssh_spec import SshSpec
from hosts.ssh_text import plain, plain_line
from hosts.standing import right_keys

_TRIES = 3
_ROUNDS = 8
_PROMPTS = 4
# What OpenSSH tries where nothing is named
_USUAL = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


class Client(asyncssh.SSHClient):
    """Refuses every key that is not known, and asks a person only when nothing else has let us in.

    What a person answers is used once and kept nowhere; a key that it has opened stays so for other logins.

    Args:
        spec: How the host is reached.
        identities: The private keys that are named for it.
        certificates: The certificates that are named for it.
        first: The public halves of the keys that an agent is to offer before its others.
        connects: What all connections share.
        patience: Seconds that the login may take, without those that a person takes to answer.
        on_lost: Told why, when the connection ends.
        on_ask: Told when a person is about to be asked.

    Attributes:
        met: Whether there was anything to talk to; what goes wrong from then on is the other side's doing.
        offer: The host key that was refused, if one was.
        user: As whom we log in.
        unasked: What nobody could be asked for, or was answered in vain.
    """

    def __init__(
        self,
        spec: SshSpec,
        identities: tuple[str, ...],
        certificates: tuple[str, ...],
        first: tuple[bytes, ...],
        connects: Connects,
        patience: float,
        on_lost: Callable[[str], None],
        on_ask: Callable[[], None],
    ) -> None:
        self.met = False
        self.offer: Offer | None = None
        self.user = spec.user or ""
        self.unasked: list[str] = []
        self.patience = patience
        self._spec = spec
        self._identities = identities
        self._certificates = certificates
        self._first = first
        self._connects = connects
        self._on_lost = on_lost
        self._on_ask = on_ask
        self._limit: asyncio.Timeout | None = None
        self._turn: Turn | None = None
        self._locked: list[str] | None = None
        self._tries = 0
        self._rounds = 0
        self._idle_try = False

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Wait for a turn to log in, and hold what then happens to the deadline.

        Raises:
            TimeoutError: It took longer.
        """
        async with (
            self._connects.turn(f"{self._spec.host}:{self._spec.port}") as self._turn,
            asyncio.timeout(self.patience) as self._limit,
        ):
            yield
        self._limit = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offer = Offer(host, port, key)
        return False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.met = True
        named_first(conn, self._first)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost("" if exc is None else plain(exc))

    def begin_auth(self, username: str) -> None:
        self.user = username
        right_keys(self._connects)[self._spec] += 1  # else it would not have come so far

    async def public_key_auth_requested(self) -> list[Any] | None:  # of keys, or of each with its certificate
        """The next encrypted key; the others and those of the agent have all been tried."""
        if self._locked is None:
            self._locked = await asyncio.to_thread(_locked, self._identities or _USUAL)
        while self._locked:
            name = self._locked.pop(0)
            key = await self._unlock(name)
            if key is not None:
                certificate = await asyncio.to_thread(_certificate, key, (f"{name}-cert.pub", *self._certificates))
                return [key if certificate is None else (key, certificate)]
        return None

    async def password_auth_requested(self) -> str | None:
        if self._tries >= _TRIES:
            return None
        self._tries += 1
        answer = await self._ask("password", f"password of {plain_line(self.user)}")
        return answer or None

    async def kbdint_auth_requested(self) -> str | None:
        # A server may offer this and then ask for nothing
        if self._tries >= _TRIES or self._idle_try:
            return None
        if not self._connects.can_ask:
            self._miss("password")
            return None
        self._idle_try = True
        self._rounds = 0
        return ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        del name, instructions, lang
        self._rounds += 1
        if self._rounds > _ROUNDS or len(prompts) > _PROMPTS:
            return None
        if prompts and self._idle_try:
            self._idle_try = False
            self._tries += 1
        answers = []
        for prompt, _shown in prompts:
            # In the server's words, which might be those in which we ask for a key's passphrase
            asked = plain_line(prompt).rstrip(" :") or "password"
            answer = await self._ask("password", f"answer to: {asked}")
            if not answer:
                self._tries = _TRIES
                return None
            answers.append(answer)
        return answers

    async def _unlock(self, name: str) -> asyncssh.SSHKey | None:
        if not await asyncio.to_thread(_openable, name):
            self.unasked.append(f"{name} opens only with the Python package bcrypt, or in an agent (ssh-add {name})")
            return None
        what = f"passphrase of {name}"
        asked = False

        async def unlock() -> asyncssh.SSHKey | None:
            nonlocal asked
            asked = True
            for _ in range(_TRIES):
                answer = await self._ask(what, what)
                if not answer:  # nobody is there, or has no use for this key
                    return None
                try:
                    return await asyncio.to_thread(asyncssh.read_private_key, name, answer)
                except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError):
                    continue
            self.unasked.append(f"what was given does not open the key: the {what}")
            return None

        if not self._connects.can_ask:
            self._miss(what)
            return None
        with self._waiting(), self._connects.waits_for(self._spec.called, what):
            key: asyncssh.SSHKey | None = await self._connects.opened.get(name, unlock)
        if key is None and not asked:
            self.unasked.append(f"the {what} was asked for another host, in vain")
        return key

    async def _ask(self, kind: str, what: str) -> str | None:
        with self._waiting():
            answer = await self._connects.ask(self._spec.called, what)
        if not answer:
            self._miss(kind)
        return answer

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """A person is slow: neither the deadline nor the hosts that wait for their turn are held up by that."""
        if self._connects.can_ask:
            self._on_ask()
        if self._turn is not None:
            self._turn.give_back()
        if self._limit is not None:
            self._limit.reschedule(None)
        yield
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self.patience)

    def _miss(self, what: str) -> None:
        said = f"nobody can be asked here for a {what}"
        if self._connects.can_ask:
            said = f"the {what} was not given, and is asked for again when you try again"
        if said not in self.unasked:
            self.unasked.append(said)


def _locked(names: Iterable[str]) -> list[str]:
    """Those of the key files that open with a passphrase only."""
    found = []
    for name in map(os.path.expanduser, names):
        try:
            asyncssh.read_private_key(name)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            if "passphrase" in str(error).lower():
                found.append(name)
        except OSError:
            continue
    return found


def _openable(name: str) -> bool:
    """Whether a passphrase would do: OpenSSH's own format takes a package that asyncssh does not bring along."""
    try:
        with open(name, "rb") as file:
            return b"OPENSSH" not in file.readline() or importlib.util.find_spec("bcrypt") is not None
    except OSError:
        return False


def _certificate(key: asyncssh.SSHKey, names: Iterable[str]) -> asyncssh.SSHCertificate | None:
    """The certificate of a key, if one of the files holds it."""
    for name in names:
        try:
            certificate = asyncssh.read_certificate(name)
        except (asyncssh.KeyImportError, OSError):
            continue
        if certificate.key.public_data == key.public_data:
            return certificate
    return None

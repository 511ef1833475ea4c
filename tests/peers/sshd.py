"""A real SSH server on loopback, run as whoever runs the tests: OpenSSH's sshd, else asyncssh's own server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
NAME = "sshd" if SSHD else "asyncssh-server"


class Soonest(random.Random):
    """The chance by which a host that was lost over and over is tried again at once."""

    def uniform(self, a: float, b: float) -> float:
        del b
        return a


@dataclass
class SshPeer:
    """A running server.

    `keys` are private key files: "plain" logs in as usual, any other one runs the command through a shell of
    that name, or after some noise.
    """

    folder: Path
    port: int
    pid: int | None
    known_hosts: Path
    keys: dict[str, Path] = field(default_factory=dict)
    _server: Openssh | None = None

    def stop(self) -> None:
        """End the server and every connection it holds; OpenSSH's only."""
        assert self._server is not None
        sessions = self.sessions()
        self._server.stop()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start(self) -> None:
        """Have it again on the same port, with the host key that is there now."""
        assert self._server is not None
        self.pid = self._server.start()

    def sessions(self) -> list[int]:
        """The processes of sshd that serve a connection now."""
        found = []
        for pid in children(self.pid) if self.pid is not None else []:
            found += [pid, *children(pid)]
        return [pid for pid in found if _comm(pid).startswith("sshd")]


def children(pid: int) -> list[int]:
    """The children of a process; none of one that has ended."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    return found


def make_key(path: Path, kind: str = "ed25519") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return path


def public(path: Path) -> str:
    return " ".join(Path(f"{path}.pub").read_text().split()[:2])


def fingerprint(path: Path) -> str:
    shown = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True)
    return shown.stdout.split()[1]


def forced_commands(folder: Path) -> dict[str, str]:
    """What a key's login runs instead of the command that was asked for, by the key's name.

    asyncssh's server does not tell such a command what was asked for, so there it has no use.
    """
    if not SSHD:
        return {}
    found = {"noisy": f'cat {folder}/noise; cat {folder}/noise >&2; exec /bin/sh -c \\"$SSH_ORIGINAL_COMMAND\\"'}
    for shell in ("bash", "csh", "dash", "fish", "tcsh", "zsh"):
        path = shutil.which(shell)
        if path:
            found[shell] = f'exec {path} -c \\"$SSH_ORIGINAL_COMMAND\\"'
    return found


@contextlib.contextmanager
def running(folder: Path, settings: str = "") -> Iterator[SshPeer]:
    """Start the server in `folder`, and end it; `settings` are lines of sshd_config that come first, and so win."""
    (folder / "noise").write_bytes(b"Welcome to \xff\x1b[2J\nGW1 0123456789abcdef 3 " + b"0" * 64 + b"\nabc" * 50)
    host_key = make_key(folder / "host_key")
    keys = {"plain": make_key(folder / "plain")}
    allowed = [public(keys["plain"])]
    for name, command in forced_commands(folder).items():
        keys[name] = make_key(folder / name)
        allowed.append(f'command="{command}" {public(keys[name])}')
    (folder / "allowed").write_text("\n".join(allowed) + "\n")
    with contextlib.ExitStack() as stack:
        server: Openssh | None = None
        pid: int | None = None
        if SSHD:
            server = Openssh(folder, host_key, settings)
            stack.callback(server.stop)
            port, pid = server.port, server.start()
        else:
            port = stack.enter_context(_asyncssh(folder, host_key))
        known_hosts = folder / "known_hosts"
        known_hosts.write_text(f"[127.0.0.1]:{port} {public(host_key)}\n")
        yield SshPeer(folder, port, pid, known_hosts, keys, server)


class Openssh:
    """OpenSSH's sshd on a port of its own."""

    def __init__(self, folder: Path, host_key: Path, settings: str) -> None:
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "sshd_config").write_text(_config(folder, host_key, self.port, settings))

    def start(self) -> int:
        """Its process, once it listens."""
        assert SSHD is not None
        with open(self._folder / "sshd.log", "ab") as log:
            command = [SSHD, "-D", "-e", "-f", str(self._folder / "sshd_config")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        _wait_for(self.port, self._process)
        return self._process.pid

    def stop(self) -> None:
        """End it; the connections that it holds have processes of their own."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def _config(folder: Path, host_key: Path, port: int, settings: str) -> str:
    return (
        f"{settings}Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/allowed\nUsePAM no\nStrictModes no\nUseDNS no\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nMaxStartups 500:30:1000\nMaxSessions 100\nPrintMotd no\n"
    )


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise RuntimeError("sshd did not start")


@contextlib.contextmanager
def _asyncssh(folder: Path, host_key: Path) -> Iterator[int]:
    """asyncssh's server in a process of its own, so that it does not share our event loop."""
    server = subprocess.Popen(
        [sys.executable, __file__, str(folder), str(host_key)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.stdin.close()
        server.stdout.close()
        server.kill()
        server.wait()


async def _serve(folder: str, host_key: str) -> None:
    import asyncssh

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        child = await asyncio.create_subprocess_exec(
            *["/bin/sh", "-c", process.command or "false"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert child.stdin
        assert child.stdout
        assert child.stderr

        async def pump(source: object, sink: object) -> None:
            with contextlib.suppress(asyncssh.Error, OSError, asyncssh.TerminalSizeChanged):
                while data := await source.read(1 << 16):  # type: ignore[attr-defined]
                    sink.write(data)  # type: ignore[attr-defined]
                    await sink.drain()  # type: ignore[attr-defined]

        async def feed() -> None:
            await pump(process.stdin, child.stdin)
            assert child.stdin is not None
            child.stdin.close()

        feeding = asyncio.create_task(feed())
        await asyncio.gather(pump(child.stdout, process.stdout), pump(child.stderr, process.stderr))
        status = await child.wait()
        with contextlib.suppress(asyncssh.Error, OSError):
            process.exit(status)
        feeding.cancel()

    class Server(asyncssh.SSHServer):
        def connection_requested(self, *_where: object) -> bool:
            return True  # as sshd lets whoever may log in go on from here

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=f"{folder}/allowed",
        server_factory=Server,
        process_factory=handle,
        encoding=None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how the port is told
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
    await asyncio.Event().wait()


def _comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))

"""An SFTP server that hangs in requests about some paths, as the real one does on a dead mount: one after the other.

    python hang_sftp.py FOLDER

stands in front of the real server. While a path that a request names is on a line of FOLDER/hang, behind the kind of
request that is meant or 0, the request and all behind it wait.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
SERVER = next(filter(os.path.exists, SERVERS), "")


def settings(folder: Path) -> str:
    """A line of sshd_config by which this is the server's SFTP."""
    return f"Subsystem sftp {sys.executable} -I {__file__} {folder}\n"


def hang(folder: Path, *paths: str, kind: int = 0) -> None:
    """Have requests about these paths hang, and about no others; those of one kind, as SFTP numbers it, or all."""
    (folder / "new").write_text("".join(f"{kind} {path}\n" for path in paths))
    (folder / "new").rename(folder / "hang")


def _take(size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _hangs(folder: Path, packet: bytes) -> bool:
    lines = (folder / "hang").read_bytes().split(b"\n") if (folder / "hang").exists() else []
    for kind, _, path in (line.partition(b" ") for line in lines if line):
        if int(kind) in (0, packet[0]) and len(path).to_bytes(4, "big") + path in packet:
            return True
    return False


def _main(folder: Path) -> None:
    server = subprocess.Popen([SERVER], stdin=subprocess.PIPE)
    assert server.stdin is not None
    threading.Thread(target=lambda: os._exit(server.wait()), daemon=True).start()
    try:
        while True:
            size = _take(4)
            packet = _take(int.from_bytes(size, "big"))
            while _hangs(folder, packet):
                time.sleep(0.02)
            server.stdin.write(size + packet)
            server.stdin.flush()
    except EOFError:
        server.stdin.close()
    server.wait()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))

"""How a Python on another host is made to run our helper, with nothing installed and nothing written there.

Its command line carries a few lines that read an archive of our modules from standard input, check it, and
import from it (hosts/local/inmemory.py). The command is safe to pass through any login shell: the code in it
is base64. What the lines expect on their standard input is `preamble`; what comes after that is the session.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from hosts.errors import InputError

OLDEST = (3, 10)
SILENCE = 60.0
"""Seconds that the boot code waits for the next byte: a link that is cut closes nothing, and sshd waits for hours."""

Mode = Literal["reader", "actor", "stream", "command"]
"""What a helper is for: verbs that only look, all verbs, nothing but followed files, or one command."""

# Has to parse on every Python 3, so that one that is too old can say so itself. Descriptor 0 is read without
# a buffer: the session's first requests may already be behind the archive. `select` and not an alarm: that would have
# to be taken back, and does nothing where SIGALRM is ignored, or to the first process of a container.
_BOOT = """
import os, sys, hashlib, zlib, select
def take(n):
    parts = []
    while n:
        part = select.select([0], [], [], SILENCE)[0] and os.read(0, min(n, 1 << 20))
        if not part:
            sys.exit(3)
        parts.append(part)
        n -= len(part)
    return b"".join(parts)
line = b""
while line[-1:] != b"\\n":
    line += take(1)
nonce, size, digest, mode = line.decode().split()[1:]
def fail(kind, text):
    body = ('{"failed": "%s", "message": "%s"}' % (kind, text)).encode()
    os.write(1, ("\\nGW1 %s %d %s\\n" % (nonce, len(body), hashlib.sha256(body).hexdigest())).encode() + body)
    sys.exit(4)
if sys.version_info < OLDEST:
    fail("python", "%d.%d" % sys.version_info[:2])
data = take(int(size))
try:
    data = zlib.decompress(data)
except zlib.error:
    data = b""
if hashlib.sha256(data).hexdigest() != digest:
    fail("image", "the archive arrived damaged")
import io, zipfile
space = {"__name__": "gatewatch_boot"}
exec(zipfile.ZipFile(io.BytesIO(data)).read("hosts/local/inmemory.py"), space)
space["install"](data)
if mode == "stream":
    from hosts.local.streaming import main
    main(nonce)
if mode == "command":
    from hosts.local.commanding import main
    main(nonce)
from jobs.runner.agent import main
main(nonce, mode == "actor")
"""


@dataclass(frozen=True)
class RunnerImage:
    """The archive of everything that travels: a zip with our modules at its top, and its sha256 in hex."""

    data: bytes
    sha256: str

    @cached_property
    def packed(self) -> bytes:
        """It as it is sent, a third of its size; one for all hosts, since hundreds may be sent it at a time."""
        return zlib.compress(self.data, 1)

    @classmethod
    def of(cls, data: bytes) -> RunnerImage:
        """The image that these bytes are."""
        return cls(data, hashlib.sha256(data).hexdigest())


def boot_argv(python: str, silence: float = SILENCE) -> tuple[str, ...]:
    """The command that starts the helper with `python`, which may be a name or a path.

    Args:
        python: The Python.
        silence: Seconds without a byte of the archive after which it gives up and ends.

    Raises:
        InputError: `python` is empty, or would be taken for an option.
    """
    if not python or python.startswith("-") or "\0" in python:
        raise InputError(f"bad name of a Python: {python!r}")
    code = _BOOT.replace("OLDEST", repr(OLDEST)).replace("SILENCE", f"{silence:g}").strip().encode("ascii")
    packed = base64.b64encode(zlib.compress(code, 9)).decode("ascii")
    start = f'import base64,zlib;exec(zlib.decompress(base64.b64decode("{packed}")))'
    # -X utf8: file names are bytes that have to come back as they went, whatever the locale there
    return (python, "-I", "-X", "utf8", "-c", start)


def preamble(image: RunnerImage, nonce: str, mode: Mode) -> tuple[bytes, bytes]:
    """What goes to the helper's standard input before the first frame, in two parts."""
    line = f"GWBOOT1 {nonce} {len(image.packed)} {image.sha256} {mode}\n"
    return line.encode("ascii"), image.packed

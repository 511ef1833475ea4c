"""Commands of OpenSSH's that lead to a host as its profile does, for a person to paste.

To ssh the name of a profile means nothing, and what a profile says of the way it has to be told.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace

from hosts.local.pasting import pasted
from hosts.ssh_spec import SshSpec

_COPIES = "ssh-copy-id"
_SIMPLE = re.compile(r"[\w./~+@:,=-]+\Z")


def by_hand(program: str, spec: SshSpec, *rest: str, options: tuple[str, ...] = (), keys: str = "") -> str:
    """A command for one host, as a line for a shell.

    Args:
        program: The one of OpenSSH's.
        spec: The host.
        rest: What stands behind it.
        options: Settings.
        keys: A file for its key that no profile names.
    """
    return pasted([*_words(program, spec, options, keys), *rest])


def is_simple(path: str) -> bool:
    """Whether ssh takes a path in a setting as it stands."""
    return bool(_SIMPLE.match(path))


def _words(program: str, spec: SshSpec, options: tuple[str, ...] = (), keys: str = "") -> list[str]:
    words = [program]
    if spec.port is not None:
        words += ["-p", str(spec.port)]
    if spec.identity_file is not None:
        path = os.path.expanduser(spec.identity_file)
        # What `-i` is given, ssh looks for as it stands and then expands; to ssh-copy-id it is a file
        named = ["-o", f"IdentityFile={_setting(path)}"]
        words += named if "%" in path and program != _COPIES else ["-i", path]
    for option in options:
        words += ["-o", option]
    keys = keys or spec.known_hosts or ""
    if keys:
        words += ["-o", f"UserKnownHostsFile={_setting(os.path.expanduser(keys))}"]
    if spec.proxy_jump:
        words += ["-o", _through(spec, spec.proxy_jump)]
    return [*words, f"{spec.user}@{spec.host}" if spec.user else spec.host]


def _through(spec: SshSpec, jumps: str) -> str:
    """The setting that leads through other hosts."""
    if spec.identity_file is None and spec.known_hosts is None:
        return f"ProxyJump={jumps}"
    # We hold them to the same files, and of the words here ssh passes none on to a jump
    before, _, last = jumps.rpartition(",")
    [hop] = spec.hops(last)
    words = _words("ssh", replace(hop, proxy_jump=before or None))
    *words, where = (word.replace("%", "%%") for word in words)
    return f"ProxyCommand={pasted([*words, '-W', '[%h]:%p', where])}"


def _setting(path: str) -> str:
    """A path as the value of a setting, which ssh splits at blanks and expands."""
    return path if is_simple(path) else '"' + path.replace("%", "%%") + '"'

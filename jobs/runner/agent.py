"""The helper on a host: what the boot code of hosts/bootstrap.py calls once our modules can be imported."""

from __future__ import annotations

import os
import signal
import sys

from hosts.local.serve import serve


def main(nonce: str, actor: bool) -> None:
    """Serve one session on standard input and output, then end the process.

    Args:
        nonce: What marks the frames of this session.
        actor: False makes a read-only session.
    """
    from jobs.runner.verbs import VERBS

    # The wire keeps descriptors of its own: a verb's child must not read requests, nor anybody's print be an answer.
    stdin, stdout = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # A link that breaks ends this process through its input; a signal would cut a verb short. A handler and not
    # SIG_IGN, which everything that is started from here would inherit.
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)
    serve(stdin, stdout, nonce, VERBS, actor)
    sys.stderr.flush()
    os._exit(0)  # a verb may hang in the kernel, and its thread must not keep the process

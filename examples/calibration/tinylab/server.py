"""The server under test: one task behind HTTP on the loopback interface.

Run as `python -m tinylab.server digits`. It says on stdout where it listens, and ends when its standard
input does, so that it never outlives whoever started it, however that one ended.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from tinylab.digits import DigitsTask
from tinylab.speller import SpellerTask
from tinylab.voices import VOICES, VoicesTask

LOG_EVERY = 250


class Task(Protocol):
    """What a model has to offer to be served."""

    def prepare(self) -> None:
        """Do whatever takes time before the first request: train, load, warm up."""

    def answer(self, request: dict[str, Any]) -> Iterator[bytes]:
        """Answer one request, in as many pieces as there are."""


def make_handler(task: Task) -> type[BaseHTTPRequestHandler]:
    """A request handler class that serves `task`: POST a JSON object, `"stream": true` for a reply in pieces."""
    served = 0
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet per piece, and at once: otherwise Nagle's algorithm, not the model, sets the latency.
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pieces = task.answer(request)
            self.send_response(200)
            if request.get("stream"):
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
            else:
                body = b"".join(pieces)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            self.wfile.flush()
            self._count()

        def _count(self) -> None:
            nonlocal served
            with counting:
                served += 1
                if served % LOG_EVERY == 0:
                    print(f"served {served} requests", flush=True)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the log to what can be read: a line per request would be thousands."""

    return Handler


class LabServer(ThreadingHTTPServer):
    """A thread per connection, and room for every client to connect at the same moment."""

    # The inherited 5 would leave some of 16 clients to the kernel's one-second retry.
    request_queue_size = 64


def end_with_stdin() -> None:
    """Leave as soon as the other end of standard input is closed."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Prepare one task, then serve it until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m tinylab.server", description=__doc__)
    parser.add_argument("task", choices=["digits", "speller", "voices"])
    parser.add_argument("--voice", choices=sorted(VOICES), default="alpha")
    arguments = parser.parse_args()

    threading.Thread(target=end_with_stdin, daemon=True).start()
    print(f"starting {arguments.task} server, pid {os.getpid()}", flush=True)
    task: Task
    if arguments.task == "digits":
        task = DigitsTask()
    elif arguments.task == "speller":
        task = SpellerTask()
    else:
        task = VoicesTask(arguments.voice)
    task.prepare()
    with LabServer(("127.0.0.1", 0), make_handler(task)) as server:
        print(f"server ready on 127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

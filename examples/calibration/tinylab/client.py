"""Starts a server of its own and puts it under load."""

from __future__ import annotations

import http.client
import json
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STARTUP_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_S = 30.0
_ROOT = Path(__file__).resolve().parent.parent


class ServerDidNotStart(RuntimeError):
    """The server ended, or said nothing of a port, before its time was up."""


@dataclass(frozen=True)
class Reply:
    """A complete answer; both times in seconds since the request was sent."""

    body: bytes
    first_byte_s: float
    latency_s: float


@dataclass(frozen=True)
class Load:
    """What a load run observed: one entry per sample, None where no answer came, and the wall time in seconds."""

    replies: tuple[Reply | None, ...]
    wall_s: float

    @property
    def completed(self) -> int:
        """Number of samples with an answer."""
        return sum(reply is not None for reply in self.replies)


@contextmanager
def running_server(*arguments: str) -> Iterator[int]:
    """Run `python -m tinylab.server ARGUMENTS` and show what it prints.

    Yields:
        The port on 127.0.0.1.

    Raises:
        ServerDidNotStart: when no port was announced within STARTUP_TIMEOUT_S.
    """
    command = [sys.executable, "-m", "tinylab.server", *arguments]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        ports: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        echo = threading.Thread(target=_echo, args=(process, ports))
        echo.start()
        try:
            yield _announced(ports)
        finally:
            process.terminate()
            echo.join()


def _echo(process: subprocess.Popen[str], ports: queue.SimpleQueue[int | None]) -> None:
    """Show the server's lines as our own, and pass on the port it names; None when it says no more."""
    assert process.stdout is not None
    for line in process.stdout:
        print(f"[server] {line}", end="", flush=True)
        if found := re.match(r"server ready on 127\.0\.0\.1:(\d+)$", line):
            ports.put(int(found[1]))
    ports.put(None)


def _announced(ports: queue.SimpleQueue[int | None]) -> int:
    try:
        port = ports.get(timeout=STARTUP_TIMEOUT_S)
    except queue.Empty:
        raise ServerDidNotStart(f"no port announced within {STARTUP_TIMEOUT_S:.0f} s") from None
    if port is None:
        raise ServerDidNotStart("the process ended before it announced a port")
    return port


def run_load(
    port: int, requests: Sequence[dict[str, Any]], *, max_samples: int, max_concurrency: int, label: str
) -> Load:
    """Send the first `max_samples` requests, `max_concurrency` at a time, over as many kept connections.

    Args:
        port: where the server listens on 127.0.0.1.
        requests: JSON objects; fewer than `max_samples` are fewer samples, never repeated ones.
        max_samples: upper limit of requests.
        max_concurrency: requests under way at once.
        label: what the progress lines are called.
    """
    chosen = requests[:max_samples]
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(chosen)):
        waiting.put(index)
    replies: list[Reply | None] = [None] * len(chosen)
    step = max(1, len(chosen) // 10)

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_S)
        while True:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                connection.close()
                return
            try:
                replies[index] = _ask(connection, chosen[index])
            except (OSError, http.client.HTTPException) as error:
                # A request without an answer is an observation as well; a closed connection opens itself again.
                print(f"{label}: request {index} got no answer: {error!r}", flush=True)
                connection.close()
            if (index + 1) % step == 0:
                print(f"{label}: batch {(index + 1) // step}/{len(chosen) // step}", flush=True)

    started = time.perf_counter()
    with ThreadPoolExecutor(max_concurrency) as pool:
        for worker in [pool.submit(work) for _ in range(max_concurrency)]:
            worker.result()
    return Load(tuple(replies), time.perf_counter() - started)


def _ask(connection: http.client.HTTPConnection, request: dict[str, Any]) -> Reply:
    sent = time.perf_counter()
    connection.request("POST", "/", json.dumps(request).encode())
    response = connection.getresponse()
    first = response.read(1)
    first_byte_s = time.perf_counter() - sent
    body = first + response.read()
    if response.status != 200:
        raise http.client.HTTPException(f"status {response.status}")
    return Reply(body, first_byte_s, time.perf_counter() - sent)

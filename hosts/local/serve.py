"""The far end of a session: requests come in on one file, answers go out on another, framed.

A session lives as long as somebody is at the other end: it ends when its input does, and when nothing was heard
for a while, since a peer that vanishes without a word closes nothing. A verb that acts is let finish first.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import BinaryIO

from hosts.errors import InputError, RefusedError, VerbError
from hosts.host import Json
from hosts.local import procs
from hosts.local.calls import at_most_once, calls_directory, outcome
from hosts.local.frames import FrameError, FrameReader, encode_frame
from hosts.local.verbs import Verb, in_session

SILENCE = 60.0
WORKERS = 16
_WAITING = 1024
_TICK = 5.0
_LAST_ACTS = 60.0
_LAST_WRITES = 1.0


def perform(verbs: Mapping[str, Verb], actor: bool, name: str, payload: Json, key: str | None) -> Json:
    """Run one verb, a verb that acts at most once per key.

    Raises:
        VerbError: There is no such verb; or, for a verb that acts, what its first run ended with.
        RefusedError: It acts, and this is a read-only session.
        InputError: It acts, and no good key came with it.
    """
    verb = verbs.get(name)
    if verb is None:
        raise VerbError("unknown-verb", f"there is no verb {name!r} here")
    if not verb.acts:
        return verb.run(payload)
    if not actor:
        raise RefusedError(f"{name} changes something, and this is a read-only session")
    if not key:
        raise InputError(f"{name} changes something, so it needs an idempotency key")
    directory = calls_directory(payload, os.environ, needs_run=verb.needs_run)
    return at_most_once(directory, key, lambda: verb.run(payload))


def serve(
    stdin: BinaryIO,
    stdout: BinaryIO,
    nonce: str,
    verbs: Mapping[str, Verb],
    actor: bool,
    *,
    silence: float = SILENCE,
    workers: int = WORKERS,
) -> None:
    """Answer requests until the input ends or stays silent.

    Args:
        stdin: Where requests come from; its descriptor is read directly, so nothing may be buffered in it.
        stdout: Where answers go.
        nonce: What marks the frames of this session, in both directions.
        verbs: What can be asked.
        actor: False makes a read-only session, in which verbs that act are refused.
        silence: Seconds without a byte after which the other end counts as gone; it pings more often than that.
        workers: How many verbs run at a time; more wait.
    """
    _Session(stdin.fileno(), stdout.fileno(), nonce, in_session(verbs), actor, workers).run(silence)


class _Session:
    def __init__(
        self, source: int, sink: int, nonce: str, verbs: Mapping[str, Verb], actor: bool, workers: int
    ) -> None:
        self._source = source
        self._sink = sink
        self._nonce = nonce
        self._verbs = verbs
        self._actor = actor
        self._most = workers
        self._lock = threading.Lock()
        self._workers = 0
        self._idle = 0
        self._acting = 0
        self._broken = False
        self._ended = False
        self._work: queue.Queue[Callable[[], None]] = queue.Queue(_WAITING)
        # Few, so that verbs wait for a slow link instead of piling up answers
        self._answers: queue.Queue[bytes | None] = queue.Queue(workers)

    def run(self, silence: float) -> None:
        writer = threading.Thread(target=self._write, daemon=True)
        writer.start()
        self._say({"hello": {"python": sys.version.split()[0], "process": procs.proc_ref_json(procs.self_ref())}})
        self._listen(silence)
        self._wait_for_acts()
        with contextlib.suppress(queue.Full):  # full: nobody reads any more
            self._answers.put(None, timeout=_LAST_WRITES)
            writer.join(_LAST_WRITES)
        self._broken = True  # the descriptor is the caller's again, and its number may soon mean another file

    def _listen(self, silence: float) -> None:
        reader = FrameReader(self._nonce)
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        heard = time.monotonic()
        while not self._broken:
            left = heard + silence - time.monotonic()
            if left <= 0:
                return
            # Woken now and then, because a broken output shows only in another thread
            if not poll.poll(min(left, _TICK) * 1000):
                continue
            data = os.read(self._source, 1 << 16)
            if not data:
                return
            heard = time.monotonic()
            try:
                requests = reader.feed(data)
            except FrameError as error:
                self._say({"failed": "frame", "message": str(error)}, wait=False)
                return
            for request in requests:
                self._take(request)

    def _take(self, request: Json) -> None:
        if not isinstance(request, dict) or not isinstance(request.get("id"), int):
            return  # nothing to answer to
        if request.get("verb") == "ping":
            self._say({"id": request["id"], **outcome(lambda: self._verbs["ping"].run(None))}, wait=False)
            return
        arrived = time.monotonic()
        with self._lock:
            if self._idle <= self._work.qsize() and self._workers < self._most:
                self._workers += 1
                threading.Thread(target=self._labour, daemon=True).start()
        try:
            self._work.put_nowait(lambda: self._answer(request, arrived))
        except queue.Full:
            self._say({"id": request["id"], "error": {"kind": "internal", "message": "too many requests"}}, wait=False)

    def _labour(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._work.get()
            with self._lock:
                self._idle -= 1
            job()

    def _answer(self, request: dict[str, Json], arrived: float) -> None:
        deadline = request.get("deadline")
        if isinstance(deadline, (int, float)) and time.monotonic() - arrived > deadline:
            return  # whoever asked has given up, so nothing is begun on their behalf
        name, key = request.get("verb"), request.get("key")
        if not isinstance(name, str):
            name = ""
        verb = self._verbs.get(name)
        acts = verb is not None and verb.acts
        with self._lock:
            if acts and self._ended:
                return  # it would be cut short; whoever asks again with the same key finds it not begun
            self._acting += acts
        try:
            answer = outcome(
                lambda: perform(
                    self._verbs, self._actor, name, request.get("payload"), key if isinstance(key, str) else None
                )
            )
        finally:
            with self._lock:
                self._acting -= acts
        self._say({"id": request["id"], **answer})

    def _say(self, body: dict[str, Json], wait: bool = True) -> None:
        try:
            frame = encode_frame(self._nonce, body)
        except FrameError as error:
            frame = encode_frame(
                self._nonce, {"id": body.get("id"), "error": {"kind": "internal", "message": str(error)}}
            )
        try:
            self._answers.put(frame, block=wait)
        except queue.Full:
            return  # a pong behind a queue of answers says nothing that they do not say themselves

    def _write(self) -> None:
        while True:
            frame = self._answers.get()
            if frame is None:
                return
            view = memoryview(frame)
            try:
                while view and not self._broken:
                    view = view[os.write(self._sink, view) :]
            except OSError:
                self._broken = True  # and go on emptying the queue, so that no verb waits for ever

    def _wait_for_acts(self) -> None:
        with self._lock:
            self._ended = True
        until = time.monotonic() + _LAST_ACTS
        while time.monotonic() < until:
            with self._lock:
                if not self._acting:
                    return
            time.sleep(0.02)

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from hosts.errors import InputError, NotYetError, RefusedError
from hosts.host import Json
from hosts.local.frames import FrameReader, encode_frame
from hosts.local.serve import serve
from hosts.local.verbs import READ_VERBS, Verb

pytestmark = pytest.mark.travels

NONCE = "0123456789abcdef"


def raising(error: Exception) -> Verb:
    def run(_payload: Json) -> Json:
        raise error

    return Verb(run)


def nap(payload: Json) -> Json:
    time.sleep(float(str(payload)))
    return payload


VERBS: Mapping[str, Verb] = {
    **READ_VERBS,
    "echo": Verb(lambda payload: payload),
    "nap": Verb(nap),
    "act": Verb(lambda payload: "done", acts=True),
    "act_in": Verb(lambda payload: "done", acts=True, needs_run=True),
    "nan": Verb(lambda payload: float("nan")),
    "input": raising(InputError("bad")),
    "refused": raising(RefusedError("no")),
    "not-yet": raising(NotYetError("wait")),
    "internal": raising(ZeroDivisionError("a\nb")),
}


@dataclass
class Session:
    """The near end of a session, without any of the code that is used there."""

    sink: int
    source: int
    thread: threading.Thread

    def __post_init__(self) -> None:
        self.reader = FrameReader(NONCE)
        self.kept: list[Any] = []

    def send(self, *bodies: Any) -> None:
        os.write(self.sink, b"".join(encode_frame(NONCE, body) for body in bodies))

    def next(self) -> Any:
        while not self.kept:
            data = os.read(self.source, 1 << 16)
            assert data, "the session ended"
            self.kept += self.reader.feed(data)
        return self.kept.pop(0)

    def ask(self, verb: str, payload: Json = None, **more: Json) -> Any:
        self.send({"id": 7, "verb": verb, "payload": payload, "deadline": 20, **more})
        answer = self.next()
        assert answer.pop("id") == 7
        return answer

    def hang_up(self) -> None:
        os.close(self.sink)
        self.thread.join(10)
        assert not self.thread.is_alive()


def start(actor: bool = False, silence: float = 60, workers: int = 4) -> Session:
    far_in, sink = os.pipe()
    source, far_out = os.pipe()

    def run() -> None:
        with open(far_in, "rb", buffering=0) as stdin, open(far_out, "wb", buffering=0) as stdout:
            serve(stdin, stdout, NONCE, VERBS, actor, silence=silence, workers=workers)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    session = Session(sink, source, thread)
    assert session.next()["hello"]["process"]["pid"] == os.getpid()
    return session


@pytest.fixture
def session() -> Iterator[Session]:
    made = start()
    yield made
    made.hang_up()
    os.close(made.source)


@pytest.mark.parametrize(
    ("verb", "message"),
    [("input", "bad"), ("refused", "no"), ("not-yet", "wait"), ("internal", "ZeroDivisionError: a b")],
)
def test_errors_have_a_kind_and_one_line(session: Session, verb: str, message: str) -> None:
    assert session.ask(verb) == {"error": {"kind": verb, "message": message}}


def test_what_cannot_be_sent_is_an_error_and_not_the_end(session: Session) -> None:
    assert session.ask("nan")["error"]["kind"] == "internal"
    assert session.ask("echo", "still here") == {"ok": "still here"}


def test_an_unknown_verb(session: Session) -> None:
    assert session.ask("rm")["error"]["kind"] == "unknown-verb"


def test_a_read_only_session_refuses_what_acts(session: Session) -> None:
    answer = session.ask("act", {}, key="0123456789")
    assert answer["error"]["kind"] == "refused"
    assert "read-only session" in answer["error"]["message"]


def test_a_ping_overtakes_verbs_that_hang(session: Session) -> None:
    session.send(*({"id": number, "verb": "nap", "payload": 0.3, "deadline": 9} for number in range(9)))
    session.send({"id": 100, "verb": "ping"})
    assert session.next()["id"] == 100
    assert sorted(session.next()["id"] for _ in range(9)) == list(range(9))


def test_what_nobody_waits_for_any_more_is_not_begun(session: Session) -> None:
    session.send(*({"id": number, "verb": "nap", "payload": 0.2, "deadline": 9} for number in range(4)))
    session.send({"id": 50, "verb": "echo", "payload": "late", "deadline": 0.05})
    session.send({"id": 51, "verb": "echo", "payload": "in time", "deadline": 9})
    assert 50 not in [session.next()["id"] for _ in range(5)]


def test_requests_of_a_wrong_shape_are_passed_over(session: Session) -> None:
    session.send(None, [], "x", {"id": "a", "verb": "echo"}, {"verb": "echo"})
    assert session.ask("echo", 1) == {"ok": 1}
    session.send({"id": 3})
    assert session.next()["error"]["kind"] == "unknown-verb"


def test_an_acting_session_needs_a_key(tmp_path: Any) -> None:
    session = start(actor=True)
    assert session.ask("act", {"run_dir": str(tmp_path)})["error"]["kind"] == "input"
    assert session.ask("act", {"run_dir": str(tmp_path)}, key="0123456789") == {"ok": "done"}
    answer = session.ask("act_in", {"run_dir": str(tmp_path / "none")}, key="0123456789")
    assert answer["error"]["kind"] == "input"
    assert not (tmp_path / "none").exists()
    assert session.ask("act", {"run_dir": str(tmp_path / "new")}, key="0123456789") == {"ok": "done"}
    assert (tmp_path / "new/.gatewatch/calls").stat().st_mode & 0o777 == 0o700
    session.hang_up()
    os.close(session.source)


def test_silence_ends_a_session_and_any_byte_keeps_it() -> None:
    session = start(silence=0.3)
    for number in range(4):
        time.sleep(0.15)
        session.send({"id": number, "verb": "ping"})
        assert session.next()["id"] == number
    session.thread.join(5)
    assert not session.thread.is_alive()
    os.close(session.sink)
    os.close(session.source)


def test_a_session_ends_although_nobody_reads_its_answers() -> None:
    session = start()
    big = "x" * (1 << 20)
    session.send({"id": 1, "verb": "echo", "payload": "small", "deadline": 9})

    def flood() -> None:
        with contextlib.suppress(OSError):  # this very test hangs up while more is sent
            session.send(*({"id": n, "verb": "echo", "payload": big, "deadline": 9} for n in range(8)))

    flooding = threading.Thread(target=flood)
    flooding.start()
    session.next()
    time.sleep(0.1)
    session.hang_up()
    flooding.join(10)  # the number of what it writes to is the next test's otherwise
    assert not flooding.is_alive()
    os.close(session.source)


def test_a_damaged_request_ends_the_session() -> None:
    session = start()
    frame = bytearray(encode_frame(NONCE, {"id": 1, "verb": "ping"}))
    frame[-3] ^= 1
    os.write(session.sink, bytes(frame))
    assert session.next()["failed"] == "frame"
    session.hang_up()
    os.close(session.source)

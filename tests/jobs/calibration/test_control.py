"""A run is started and stopped at most once each, whatever becomes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from hosts.errors import InputError, RefusedError, UnreachableError, VerbError
from hosts.here import LocalActor
from hosts.host import Chunk, Json
from hosts.local.verbs import READ_VERBS, Verb
from hosts.standing import KeyChangedError, LoginRefusedError
from jobs.calibration import control
from jobs.calibration.control import called, check, patiently, start, stop
from jobs.calibration.request import Request, RunOptions, make_request
from jobs.calibration.site import find_site
from jobs.connect import open_actor
from tests.peers.quick import Quick, old_run, tree, until


class Losing(LocalActor):
    """This machine, over a link that loses answers: the call is carried out, and nobody hears of it."""

    def __init__(self, actor: LocalActor, losses: int) -> None:
        super().__init__("losing", actor._verbs)
        self.left = losses
        self.keys: list[str] = []

    async def call(self, verb: str, payload: Json, key: str, deadline: float) -> Json:
        self.keys.append(key)
        answer = await super().call(verb, payload, key, deadline)
        if self.left:
            self.left -= 1
            raise UnreachableError("losing: the link broke")
        return answer


class Naps:
    """Counts the pauses, and takes none."""

    def __init__(self) -> None:
        self.taken = 0

    async def __call__(self, seconds: float) -> None:
        assert seconds > 0
        self.taken += 1


@pytest.fixture
async def actor() -> AsyncIterator[LocalActor]:
    made = await asyncio.to_thread(open_actor, None, False)
    assert isinstance(made, LocalActor)
    yield made
    await made.close()


@pytest.fixture
async def request_(quick: Quick, actor: LocalActor, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.chdir(quick.folder)
    for name, value in quick.env.items():
        monkeypatch.setenv(name, value)
    site = await asyncio.to_thread(find_site, None, None, None, None, {})
    return await make_request(site, RunOptions(stages=("b",), repeats=1, output_dir=str(quick.runs / "r")), actor, {})


def runners(quick: Quick) -> set[int]:
    """The sessions of those at work in a checkout."""
    return {process.ref.sid for process in quick.processes() if "run" in process.argv}


async def until_quiet(quick: Quick) -> None:
    await asyncio.to_thread(until, lambda: not quick.processes(), "the end of the run")


async def test_check_tells_the_commit_and_changes_nothing(quick: Quick, actor: LocalActor, request_: Request) -> None:
    sha = quick.commit()
    before = tree(quick.folder)
    checked = await check(actor, request_)
    assert (checked.git_sha, checked.dirty) == (sha, False)
    assert tree(quick.folder) == before
    (quick.folder / "new.py").write_text("")
    assert (await check(actor, request_)).dirty


async def test_check_refuses_what_start_would(quick: Quick, actor: LocalActor, request_: Request) -> None:
    (quick.folder / ".gitignore").write_text("")
    with pytest.raises(InputError, match="git would track"):
        await check(actor, request_)


async def test_start_and_stop(quick: Quick, actor: LocalActor, request_: Request) -> None:
    with quick.holding():
        started = await start(actor, request_)
        assert started.run_dir == str(quick.runs / "r")
        assert isinstance(started.holder, dict)
        assert started.holder["pid"] in {process.ref.pid for process in await asyncio.to_thread(quick.processes)}
        await stop(actor, started.run_dir)
        await until_quiet(quick)
    with pytest.raises(RefusedError, match=f"no runner is at work in {started.run_dir}"):
        await stop(actor, started.run_dir)


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    quick: Quick, actor: LocalActor, request_: Request
) -> None:
    losing, naps = Losing(actor, 3), Naps()
    with quick.holding():
        started = await start(losing, request_, naps)
        assert len(losing.keys) == 4
        assert len(set(losing.keys)) == 1
        assert naps.taken == 3
        seen = await asyncio.to_thread(quick.processes)
        # By session: a child that a runner has just forked still carries its arguments.
        (session,) = {process.ref.sid for process in seen if "run" in process.argv}
        assert isinstance(started.holder, dict)
        assert started.holder["pid"] == session  # which it leads
        await stop(actor, started.run_dir)
        await until_quiet(quick)


async def test_a_host_that_stays_away_is_given_up(quick: Quick, actor: LocalActor, request_: Request) -> None:
    losing, naps = Losing(actor, 99), Naps()
    with quick.holding():
        with pytest.raises(UnreachableError, match="the link broke"):
            await start(losing, request_, naps)
        assert (len(losing.keys), len(set(losing.keys)), naps.taken) == (6, 1, 5)
        # A runner that is just starting its shim shows twice for an instant, also in a session of its own.
        await asyncio.to_thread(until, lambda: len(runners(quick)) == 1, "one runner, and no second one")
        await stop(actor, request_.run_dir)
        await until_quiet(quick)


async def test_a_second_start_is_refused_and_not_tried_again(
    quick: Quick, actor: LocalActor, request_: Request
) -> None:
    naps = Naps()
    with quick.holding():
        await start(actor, request_)
        with pytest.raises(InputError, match="already holds a run"):
            await start(actor, request_, naps)
        assert naps.taken == 0
        await stop(actor, request_.run_dir)
        await until_quiet(quick)


class Deaf(LocalActor):
    """This machine, over a link that is away for so many reads."""

    def __init__(self, actor: LocalActor, error: UnreachableError, losses: int) -> None:
        super().__init__("deaf", actor._verbs)
        self.error = error
        self.left = losses
        self.reads = 0

    async def read(self, path: str, offset: int, length: int) -> Chunk:
        self.reads += 1
        if self.left:
            self.left -= 1
            raise self.error
        return await super().read(path, offset, length)


async def test_a_link_that_is_away_for_a_moment_keeps_no_run_from_being_stopped(
    quick: Quick, actor: LocalActor, request_: Request
) -> None:
    deaf, naps = Deaf(actor, UnreachableError("deaf: connection refused"), 3), Naps()
    with quick.holding():
        started = await start(actor, request_)
        await stop(deaf, started.run_dir, naps)
        assert naps.taken == 3
        await until_quiet(quick)


@pytest.mark.parametrize(
    ("error", "reads"),
    [(UnreachableError("no"), 6), (LoginRefusedError("no"), 1), (KeyChangedError("no"), 1)],
)
async def test_what_a_person_has_to_mend_is_not_tried_over_and_over(
    error: UnreachableError, reads: int, actor: LocalActor, tmp_path: Path
) -> None:
    deaf, naps = Deaf(actor, error, 99), Naps()
    with pytest.raises(UnreachableError, match="no"):
        await stop(deaf, str(tmp_path), naps)
    assert (deaf.reads, naps.taken) == (reads, reads - 1)


async def test_a_question_is_not_asked_again_of_a_host_that_takes_long_to_say_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, asked, naps = [0.0], list[float](), Naps()
    monkeypatch.setattr(control, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def silent() -> None:
        asked.append(now[0])
        now[0] += 15.0
        raise UnreachableError("no answer within 15 s")

    with pytest.raises(UnreachableError, match="no answer"):
        await patiently(silent, naps)
    assert asked == [0.0, 15.0]


async def test_stopping_a_foreign_directory_leaves_no_trace(quick: Quick, actor: LocalActor) -> None:
    run = old_run(quick.runs / "o")
    before = tree(run)
    with pytest.raises(RefusedError, match="no runner is at work"):
        await stop(actor, str(run))
    assert tree(run) == before


def raising(error: Exception, times: int) -> tuple[Callable[[Json], Json], list[int]]:
    calls: list[int] = []

    def run(_payload: Json) -> Json:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return run, calls


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("wrong"), InputError),
        (RefusedError("no"), RefusedError),
        (VerbError("internal", "broken"), VerbError),
    ],
)
async def test_a_no_is_final(error: Exception, told: type[Exception], tmp_path: Path) -> None:
    run, calls = raising(error, 1)
    actor, naps = LocalActor("here", {**READ_VERBS, "act": Verb(run, acts=True)}), Naps()
    with pytest.raises(told, match=str(error)):
        await called(actor, "act", {"run_dir": str(tmp_path)}, 20.0, naps)
    assert (len(calls), naps.taken) == (1, 0)


async def test_a_call_that_is_still_at_work_is_waited_for(tmp_path: Path) -> None:
    class Busy(LocalActor):
        asked = 0

        async def call(self, verb: str, payload: Json, key: str, deadline: float) -> Json:
            self.asked += 1
            if self.asked < 3:
                raise VerbError("not-yet", "still running")
            return await super().call(verb, payload, key, deadline)

    run, calls = raising(InputError(""), 0)
    actor, naps = Busy("busy", {**READ_VERBS, "act": Verb(run, acts=True)}), Naps()
    assert await called(actor, "act", {"run_dir": str(tmp_path)}, 20.0, naps) == "done"
    assert (len(calls), naps.taken) == (1, 2)


async def test_an_answer_that_is_none(quick: Quick, request_: Request) -> None:
    actor = LocalActor("odd", {**READ_VERBS, "check": Verb(lambda payload: ["?"])})
    with pytest.raises(UnreachableError, match="not an object"):
        await check(actor, request_)
    assert not (quick.runs / "r").exists()

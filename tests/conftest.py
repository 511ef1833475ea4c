"""What holds for every test: settings folders of its own, and an event loop that nothing blocks."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

from tests.peers.forbidden import as_anybody

ROOMS = ("gates", "hosts", "jobs", "monitors", "tui")
ROOT = Path(__file__).resolve().parent.parent

# The travelling modules are also tested under Pythons that get pytest and hypothesis and little else.
HAS_BLOCKBUSTER = importlib.util.find_spec("blockbuster") is not None

# A loaded machine is not a wrong answer
settings.register_profile("gatewatch", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gatewatch")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The proofs that take longer than a test run should."""
    group = parser.getgroup("gatewatch")
    group.addoption("--long-proof", type=int, default=0, metavar="KILLS", help="kill so often, and once at every step")
    group.addoption("--update-snapshots", action="store_true", help="keep the pictures of screens as they are now")
    group.addoption("--proof-seed", default="0", metavar="SEED", help="what the moments of the kills are drawn from")


def pytest_configure() -> None:
    """Ctrl-C reaches what a test starts, also where the shell that runs the tests in the background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse an opt-out that does not say why."""
    for item in items:
        marker = item.get_closest_marker("blocks_loop")
        if marker is not None and not marker.kwargs.get("reason"):
            raise pytest.UsageError(f"{item.nodeid}: blocks_loop needs reason=...")


def pytest_collection_finish() -> None:
    """Leave the tests themselves out of every later search for garbage: they live to the end, and are many."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def house() -> Path:
    """The folder that holds the rooms."""
    return ROOT


@pytest.fixture(autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test, and what it starts, away from the settings and state of the person who runs it."""
    keep_away(monkeypatch, tmp_path_factory)


def keep_away(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As for every test; for a fixture that lives longer than one, and so begins before that is done."""
    for name in [name for name in os.environ if name.startswith("GATEWATCH_")]:
        monkeypatch.delenv(name)
    # A pytest that a test starts needs none of the plugins that the tests themselves use; they double its start.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    base = tmp_path_factory.getbasetemp() / "own"
    monkeypatch.setenv("GATEWATCH_LEASES", str(base / "leases"))
    for name in ("CONFIG", "STATE", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(base / name.lower()))


@pytest.fixture(scope="session")
def _no_room_calls() -> Callable[..., bool]:
    """Whether the call at hand comes from no room: what blockbuster finds out as well, at ten times the cost.

    Most calls are a test's own, and blockbuster compares every frame below them with every path that it knows.
    """
    paths = tuple(importlib.import_module(room).__path__[0] for room in ROOMS)
    known: dict[str, bool] = {}

    def none_calls(*_args: object, **_named: object) -> bool:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            ours = known.get(name)
            if ours is None:
                ours = known[name] = name.startswith(paths)
            if ours:
                return False
            frame = frame.f_back
        return True

    return none_calls


@pytest.fixture(autouse=True)
def _unblocked_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail an async test in which a room makes a blocking call on the event loop; a test's own calls may block."""
    function = getattr(request.node, "function", None)
    opted_out = request.node.get_closest_marker("blocks_loop") is not None
    if not HAS_BLOCKBUSTER or opted_out or not inspect.iscoroutinefunction(function):
        yield
        return
    from blockbuster import BlockBuster

    no_room_calls: Callable[..., bool] = request.getfixturevalue("_no_room_calls")
    watching = BlockBuster(list(ROOMS))
    for watched in watching.functions.values():
        watched.can_block_predicate = _either(watched.can_block_predicate, no_room_calls)
    watching.activate()
    try:
        yield
    finally:
        watching.deactivate()


def _either(first: Callable[..., bool], second: Callable[..., bool]) -> Callable[..., bool]:
    return lambda *args, **named: first(*args, **named) or second(*args, **named)


@pytest.fixture
def anybody() -> Iterator[None]:
    """What permissions forbid is forbidden, also to root."""
    with as_anybody():
        yield

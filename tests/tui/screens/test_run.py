"""The screen of a run in every state, as pictures that a person has looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.connection import Connection, Way
from hosts.host import PytestSeen
from monitors.snapshot import State
from tests.monitors.runs import SHA
from tests.tui import snapshots
from tests.tui.screens.run_desk import RunDesk, run_desk
from tests.tui.screens.runs import PYTEST, RunBench, eight_gpus, host_look
from tests.tui.snapshots import SIZES, Album
from tui.screens.subject import RunLook

LOG = b"".join(
    b"2026-05-25 02:4%d:%02d,042 INFO batch %d/63 2.1 s/it, 1 relay retry\n" % (n % 3, n, n) for n in range(60)
)
STEADY = 96  # characters of a run directory's path, so that pictures are the same wherever tests run
LASTED = 11_000.0
HOSTILE = "\x1b]0;pwned\x07[red]x[/red] \u202eright\u202c e" + "\u0301" * 40 + " 模型 " + "y" * 10_000


def halfway(folder: Path, ago: float = 0.0) -> RunBench:
    """A run of 25 stages; three units are done, and the fourth is at its second repeat since `ago` seconds."""
    bench = RunBench.make(folder)
    bench.begin(LASTED)
    for place, unit in ((2, "mmmu"), (1, "mmmu_talker"), (0, "mmsu")):
        bench.past(unit, 5, 260 + ago + 820 * place, 158 + 2 * place)
    bench.past("mmsu_talker", 1, 90 + ago)
    return bench


def running(folder: Path) -> tuple[RunBench, RunLook]:
    bench = halfway(folder)
    bench.start("mmsu_talker", 2, 80, LOG)
    return bench, bench.look(eight_gpus())


def again(folder: Path) -> tuple[RunBench, RunLook]:
    bench = halfway(folder)
    bench.folder.cell("mmsu_speed", 3, duration_s=150.0, sample_counts={"total": 50, "ok": 49})
    bench.folder.cell("mmmu_accuracy", 2, status="failed", reason="threshold_assertion (exit 1)", metrics={})
    bench.start("mmsu_talker", 2, 80, LOG)
    return bench, bench.look(eight_gpus())


def waiting(folder: Path) -> tuple[RunBench, RunLook]:
    bench, why = halfway(folder, 540), "GPU 0: held by pid 7712 (bert, owner anna)"
    bench.note("unit.waiting", 540, unit="mmsu_talker", run=2, why=why)
    bench.say(f"WAIT mmsu_talker 2/5: {why}", 540)
    return bench, bench.look(eight_gpus())


def slow_start(folder: Path) -> tuple[RunBench, RunLook]:
    bench = halfway(folder, 400)
    bench.start("mmsu_talker", 2, 400, b"gen_cutlass_fused_moe_module: ninja: [12/48] nvcc ...\n")
    bench.note(
        "unit.slow_start",
        300,
        unit="mmsu_talker",
        run=2,
        compile=["gen_cutlass_fused_moe_module: ninja: [12/48] nvcc ..."],
        suspects={"FLASHINFER_WORKSPACE_BASE": None},
    )
    return bench, bench.look(eight_gpus())


def stalled(folder: Path) -> tuple[RunBench, RunLook]:
    bench = halfway(folder, 2_000)
    bench.start("mmsu_talker", 2, 2_000, LOG)
    bench.silent = 840
    return bench, bench.look(eight_gpus())


def dead(folder: Path) -> tuple[RunBench, RunLook]:
    bench = halfway(folder, 7_000)
    bench.start("mmsu_talker", 2, 7_000, LOG)
    bench.die()
    bench.folder.words("cannot write events.jsonl: no space left on device")
    bench.silent = 6_600
    return bench, bench.look(eight_gpus(busy=()))


def halted(folder: Path) -> tuple[RunBench, RunLook]:
    bench = halfway(folder)
    bench.leave("run.halted", why="halt", detail="mmsu_talker 2/5: missing a.b in r.json (exit 0)")
    return bench, bench.look(eight_gpus(busy=()))


def ready(folder: Path) -> tuple[RunBench, RunLook]:
    bench = RunBench.make(folder)
    bench.begin(12_000)
    for place, unit in enumerate(bench.units):
        bench.past(unit, 5, 30 + 820 * (len(bench.units) - place - 1), 158 + place)
        bench.log(unit, 5, LOG)
    bench.say("END every repeat of every stage has been observed")
    bench.leave()
    return bench, bench.look(eight_gpus(busy=()))


def failed(folder: Path) -> tuple[RunBench, RunLook]:
    bench, _ = ready(folder)
    bench.folder.cell("tts_wer", 4, status="failed", reason="missing metric wer in r.json (exit 1)", metrics={})
    bench.folder.cell("tts_speed", 4, destructive=True, destructive_evidence=["GPU 0 was shared"])
    bench.folder.cell("videomme_speed", 2, sample_counts={"total": 50, "ok": 47})
    (bench.root / "videomme_accuracy/run2.json").write_bytes(b"{torn")
    bench.folder.cell("mmmu_speed", 1, git_sha=SHA[::-1])
    return bench, bench.look(eight_gpus(busy=()))


def blind(folder: Path) -> tuple[RunBench, RunLook]:
    bench, _ = running(folder)
    gone = eight_gpus()
    return bench, bench.blind("h20-a does not answer: connection timed out", 845, gone)


def far(folder: Path) -> tuple[RunBench, RunLook]:
    bench, look = running(folder)
    bench.way = Connection(Way.UP, bench.now - 900, 0.034)
    return bench, look


def away(folder: Path) -> tuple[RunBench, RunLook]:
    """Its host went a while ago; the last try was too early."""
    bench, _ = running(folder)
    look = bench.blind("h20-a: retry in 12 s (connection refused)", 845, replace(eight_gpus(), state=State.BLIND))
    bench.way = Connection(Way.WAITING, bench.now - 4, 0.034, bench.now + 8, "connection refused")
    return bench, look


def old_tool(folder: Path) -> tuple[RunBench, RunLook]:
    """Another program writes it: no journal, no lock, no frozen manifest, no units in its plan."""
    bench = halfway(folder)
    for name in ("events.jsonl", ".gatewatch/lock", "stages.yaml", "run.log"):
        (bench.root / name).unlink()
    stages = list(bench.stages)
    bench.folder.write("plan.json", {"model": "qwen3-omni", "stages": stages, "repeats": 5, "timestamp": None})
    bench.log("test_mmsu_talker", 2, LOG)
    bench.runner, base = False, f"{bench.root}/_pytest/test_mmsu_talker/basetemp_run2"
    bench.pytests = (PytestSeen(PYTEST, ("python", "-m", "pytest"), "/w", base, None, bench.now - 80),)
    return bench, bench.look(host_look())


def hostile(folder: Path) -> tuple[RunBench, RunLook]:
    """What may stand in a name, stands in it; what may not, in every text beside it."""
    name = "[red]x[-red] \u202eright\u202c 模型 e" + "\u0301" * 9 + "[@click=app.quit]"
    bench = RunBench.make(folder, {"unit [/x] \u202e": (name, "b")}, 3, model=HOSTILE, calibration_git_sha=HOSTILE)
    bench.begin()
    bench.folder.cell(name, 1, reason=HOSTILE, status="failed", git_sha=HOSTILE)
    bench.start("unit [/x] \u202e", 2, 80, HOSTILE.encode() + b"\n")
    return bench, bench.look(host_look(None, error=HOSTILE))


def hostile_waiting(folder: Path) -> tuple[RunBench, RunLook]:
    bench, _ = hostile(folder)
    bench.end("unit [/x] \u202e", 2)
    bench.note("unit.waiting", 5, unit=HOSTILE, run=2, why=HOSTILE)
    return bench, bench.look(host_look(None, error=HOSTILE))


Scene = Callable[[Path], tuple[RunBench, RunLook]]
Reach = Callable[[RunDesk], Awaitable[None]]


async def _nothing(_: RunDesk) -> None:
    pass


def _keys(*keys: str) -> Reach:
    async def press(at: RunDesk) -> None:
        await at.press(*keys)

    return press


NARROW, MIDDLE, WIDE = SIZES
SCENES: dict[str, tuple[Scene, Reach, tuple[tuple[int, int], ...]]] = {
    "running": (running, _nothing, SIZES),
    "again": (again, _keys("e"), SIZES),
    "waiting": (waiting, _nothing, (NARROW, MIDDLE)),
    "slow-start": (slow_start, _nothing, (NARROW, WIDE)),
    "stalled": (stalled, _nothing, (NARROW, MIDDLE)),
    "dead": (dead, _nothing, SIZES),
    "halted": (halted, _nothing, (NARROW,)),
    "ready": (ready, _nothing, SIZES),
    "failed": (failed, _keys("e", "e"), SIZES),
    "blind": (blind, _nothing, (NARROW, MIDDLE)),
    "far": (far, _nothing, SIZES),
    "away": (away, _nothing, SIZES),
    "old-tool": (old_tool, _nothing, SIZES),
    "hostile": (hostile, _nothing, SIZES),
    "hostile-waiting": (hostile_waiting, _nothing, (NARROW,)),
    "pinned": (ready, _keys("down", "right"), (NARROW, MIDDLE)),
    "zoomed": (again, _keys("z"), (NARROW,)),
    "help": (running, _keys("question_mark"), (NARROW, WIDE)),
    "small": (running, _nothing, ((60, 15),)),
}
PLACED = ("again", "failed", "pinned")  # what is read or chosen keeps its place, whatever size comes


def steady_folder(tmp_path: Path) -> Path:
    """A folder below `tmp_path` in which a run directory's path has always the same length."""
    folder = tmp_path / ("p" * max(1, STEADY - len(str(tmp_path)) - len("/") - len("/run")))
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The path of the run directory, which is another one in every test run, has always the same letters."""
    painted = snapshots.picture

    def picture(app: object) -> str:
        shown = painted(app)  # type: ignore[arg-type]
        own = str(tmp_path)
        for length in range(len(own), 3, -1):
            shown = shown.replace(own[:length], "/runs-of-somebody/".ljust(len(own), "o")[:length])
        return shown

    monkeypatch.setattr(snapshots, "picture", picture)


@pytest.mark.parametrize(("name", "size"), [(name, size) for name in PLACED for size in SCENES[name][2]], ids=str)
async def test_looks_where_one_reads(name: str, size: tuple[int, int], album: Album, tmp_path: Path) -> None:
    scene, reach, _ = SCENES[name]
    bench, look = scene(steady_folder(tmp_path))
    async with run_desk(bench, look, size) as at:
        await reach(at)
        await at.settled()
        album.check(at.app, name)


@pytest.mark.parametrize("name", [name for name in SCENES if name not in PLACED])
async def test_looks(name: str, album: Album, tmp_path: Path) -> None:
    scene, reach, sizes = SCENES[name]
    bench, look = scene(steady_folder(tmp_path))
    async with run_desk(bench, look, sizes[0]) as at:
        await reach(at)
        async for _size in at.sizes(sizes):
            album.check(at.app, name)


@pytest.mark.parametrize("name", ["again", "dead"])
async def test_looks_without_colour_and_glyphs(name: str, album: Album, tmp_path: Path) -> None:
    bench, look = SCENES[name][0](steady_folder(tmp_path))
    async with run_desk(bench, look, MIDDLE, ascii_only=True, theme="gatewatch-mono") as at:
        album.check(at.app, f"{name}-ascii")
        ours = [row[: at.screen.query_one("#stages").size.width] for row in at.rows]
        assert all(row.isascii() for row in ours), ours

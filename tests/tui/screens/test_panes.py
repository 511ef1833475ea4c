"""Every state of the two panes of a run in three sizes, as pictures that a person has looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.calibration.locate import Watched
from tests.tui.screens.runs import RunBench
from tests.tui.screens.two_panes import Panes, panes
from tests.tui.snapshots import SIZES, Album

LOG = b"".join(
    (
        b"============================= test session starts ==============================\n",
        b"collecting ... collected 12 items\n",
        b"2026-05-25 02:41:11,042 INFO server ready on 127.0.0.1:33959\n",
        b"2026-05-25 02:41:11,107 \x1b[33mWARNING\x1b[0m relay retry 1/3 Connection refused\n",
        b"".join(b"\rbatch: %3d%%|%-21s| %d/63 [2.1s/it]" % (n * 100 // 63, b"#" * (n // 3), n) for n in range(42)),
    )
)
STEPS = b"".join(b"2026-05-25 02:42:%02d INFO route_completed id=%d status=200\n" % (n % 60, n) for n in range(300))
REASON = "threshold_assertion (exit 1), a valid observation"


def _lived(bench: RunBench) -> None:
    """A run that has seen a little of everything."""
    bench.say("environment: /opt/venv/bin/python, HF_HOME=/root/.cache/huggingface, OMNI_CI_HOME=/github/home", 3600)
    bench.say("emptied before every launch: /github/home/.cache/flashinfer", 3600)
    bench.say("== mmmu: pass 1, repeats 1, 2, 3, 4, 5 of 5", 3590)
    bench.past("mmmu", 2, 3000)
    bench.start("mmmu", 3, 2900)
    bench.say(f"FAIL mmmu 3/5 161.8 s {REASON}", 2700)
    bench.say("WAIT mmmu 4/5: GPU 1: 17,204 MiB used by pid 4242 (alice)", 2690)
    bench.start("mmmu", 4, 2500)
    bench.say("ABORT mmmu 4/5 31.0 s OOM: CUDA out of memory (line 1,204)", 2470)
    bench.say("START mmmu 4/5 (attempt 2) GPU 0,1 _pytest/mmmu/run4.log", 2440)
    bench.say("SLOW START mmmu 4/5: not ready after 60 s; a broken environment, not a threshold. CUDA_HOME=unset", 2380)
    bench.say("PASS mmmu 4/5 221.4 s", 2200)
    bench.say("DISCARD mmmu_speed run 2: a neighbour used the disk", 2000)
    bench.say("== mmsu_talker: pass 1, repeats 1, 2, 3, 4, 5 of 5", 400)
    bench.past("mmsu_talker", 1, 200)
    bench.start("mmsu_talker", 2, 180, STEPS + LOG)
    bench.end("mmsu", 1, outcome="ok")
    bench.active = True
    bench.note("attempt.started", 180, unit="mmsu_talker", run=2, n=1, token="t", log="_pytest/mmsu_talker/run2.log")


async def _follow(at: Panes) -> None:
    at.show()
    await at.until(lambda: any("batch" in line for line in at.lines))
    await at.until(lambda: at.job.items and at.job.items[-1].stage == "mmsu_talker")


async def _quiet(at: Panes) -> None:
    await _follow(at)
    await at.heard(at.lines[-1])  # what is there at first is no growth
    for number in range(4):
        at.bench.now += 12
        at.bench.log("mmsu_talker", 2, b"\nstep %d" % number)
        await at.heard(f"step {number}")
    look = at.bench.look()
    at.bench.now += 125
    at.show(look)


async def _next(at: Panes) -> None:
    await _follow(at)
    at.supervision.log_pane.view.focus()
    await at.press("pageup", "pageup")
    at.bench.start("mmsu_talker", 3, 0, STEPS)
    at.show()
    await at.until(lambda: at.job.items[-1].run == 3)


async def _pinned(at: Panes) -> None:
    await _follow(at)
    at.supervision.pin("_pytest/mmmu/run3.log")
    at.job.at("mmmu_speed", 3)
    at.job.focus()
    at.bench.say("PASS mmsu_talker 2/5 160.0 s")
    at.show()
    await at.until(lambda: at.job.chip)


async def _waiting(at: Panes) -> None:
    at.show()
    await at.until(lambda: "waiting for pytest" in at.supervision.title)


async def _between(at: Panes) -> None:
    await _follow(at)
    at.bench.end("mmsu_talker", 2, outcome="ok")
    at.bench.say("PASS mmsu_talker 2/5 160.0 s")
    at.bench.say("WAIT mmsu_talker 3/5: GPU 1: 17,204 MiB used by pid 4242 (alice)")
    at.show()
    await at.until(lambda: "waiting for pytest" in at.supervision.title)


async def _unopened(at: Panes) -> None:
    await _follow(at)
    at.supervise("journal", "_pytest/mmmu/run1.log/x", "mmmu run 1")
    await at.until(lambda: any("cannot open it" in row for row in at.rows))


async def _old(at: Panes) -> None:
    """The old tool's run.log, which has no times."""
    label = "[test_mmmu_ci] run {}/5 (2 stage(s), needs 2 GPU)"
    lines = ["run log: /r/run.log", "venv_python: /opt/venv/bin/python (host)", "precheck OK"]
    for run in (1, 2):
        lines += [
            f"{label.format(run)} config:",
            f"{label.format(run)} using GPU(s) [0, 1] (CUDA_VISIBLE_DEVICES=0,1)",
            f"{label.format(run)} running… GPU mem={{0: 71000}} log=18B stall=0s",
            f"{label.format(run)} ok (159.{run}s)",
            "  → mmmu_speed: samples=50/50 throughput_qps=12.5",
        ]
    lines += [
        "=== calibration pass 2/10: retry test_mmmu_ci run 1 ===",
        f"{label.format(1)} failed: crashed (Segmentation fault) (31.0s)",
        "  ⚠ mmmu_speed: sample scope mismatch got 49 expected 50 (strict ✗ — purge and re-run on current branch)",
    ]
    (at.bench.root / "run.log").write_text("\n".join(lines) + "\n")
    at.bench.log("test_mmmu_ci", 2, LOG)
    at.bench.die()
    at.supervise("last", "_pytest/test_mmmu_ci/run2.log", "test_mmmu_ci run 2")
    await at.until(lambda: len(at.job.items) == 10)
    await at.until(lambda: at.lines)


async def _hostile(at: Panes) -> None:
    name = "\x1b]0;pwned\x07[red]x[/] \u202eright " + "漢字" * 9
    at.bench.log(name, 1, b"\x1b[2J[red]text[/] [@click=app.quit]\n" * 3)
    at.bench.say(f"START {name} 1/5 _pytest/{name}/run1.log")
    at.bench.say(f"FAIL mmmu 1/5 {name * 30}")
    at.bench.say("environment: python, HF_TOKEN=hf_" + "a1B2" * 8)
    at.supervise("journal", f"_pytest/{name}/run1.log", name)
    await at.until(lambda: at.lines and at.job.items[-1].kind.value == "ENV")


SCENES: dict[str, tuple[Callable[[RunBench], None] | None, Callable[[Panes], Awaitable[None]]]] = {
    "following": (_lived, _follow),
    "quiet": (_lived, _quiet),
    "next": (_lived, _next),
    "pinned": (_lived, _pinned),
    "between": (_lived, _between),
    "unopened": (_lived, _unopened),
    "waiting": (None, _waiting),
    "old-tool": (None, _old),
    "hostile": (None, _hostile),
}
PLACED = ("next", "pinned")  # a pane that is read keeps the place of its first row, whatever size comes


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunBench:
    monkeypatch.chdir(tmp_path)  # the run is named by a path that is the same everywhere
    made = RunBench.make(tmp_path)
    made.begin()
    return made


async def reach(scene: str, at: Panes) -> None:
    await SCENES[scene][1](at)
    await at.settled()


def here(bench: RunBench, scene: str) -> dict[str, object]:
    prepare = SCENES[scene][0]
    if prepare is not None:
        prepare(bench)
    return {"place": replace(bench.place(), watched=Watched("run", None, True, None, None))}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", PLACED)
async def test_looks_where_one_reads(scene: str, size: tuple[int, int], bench: RunBench, album: Album) -> None:
    async with panes(bench, size, **here(bench, scene)) as at:  # type: ignore[arg-type]  # what the helper takes
        await reach(scene, at)
        album.check(at.app, scene)


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene not in PLACED])
async def test_looks(scene: str, bench: RunBench, album: Album) -> None:
    async with panes(bench, SIZES[0], **here(bench, scene)) as at:  # type: ignore[arg-type]  # what the helper takes
        await reach(scene, at)
        async for _size in at.sizes():
            album.check(at.app, scene)


@pytest.mark.parametrize("rows", [1, 3])
async def test_looks_in_few_rows(rows: int, bench: RunBench, album: Album) -> None:
    async with panes(bench, SIZES[0], job_rows=rows, **here(bench, "following")) as at:  # type: ignore[arg-type]
        await reach("following", at)
        async for _size in at.sizes():
            album.check(at.app, f"rows-{rows}")


@pytest.mark.parametrize("scene", ["following", "next"])
async def test_looks_without_colour_and_glyphs(scene: str, bench: RunBench, album: Album) -> None:
    more = {"ascii_only": True, "theme": "gatewatch-mono", **here(bench, scene)}
    async with panes(bench, SIZES[1], **more) as at:  # type: ignore[arg-type]
        await reach(scene, at)
        album.check(at.app, f"{scene}-ascii")

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from textual.widgets import Input

from gates.calibration.schema import parse_manifest
from gates.documents import Json
from hosts.errors import GatewatchError, InputError, UnreachableError, VerbError
from jobs.calibration import starting
from jobs.calibration.checkout import Checkout, find_checkout
from jobs.calibration.example import set_up_example
from jobs.calibration.locate import Watched
from jobs.calibration.request import Request
from jobs.calibration.starting import expected, places_of
from jobs.connect import open_reader
from tests.monitors.runs import AT
from tests.peers.quick import STAGES, Quick, git
from tests.tui.screens.stage_bench import Seat, StageBench, alive, ended, seat, stage_of
from tests.tui.snapshots import SIZES, Album
from tui.cli.calibration_run import RUN
from tui.screens.form import READ_ONLY, FormScreen, open_form
from tui.screens.form_state import Draft, Past, judge, read_repeats, read_stages
from tui.screens.resume_ask import AskScreen
from tui.screens.subject import RunPlace

pytestmark = pytest.mark.timeout(240)
HOSTILE = "x\x1b[2J[red]\u202eevil"
TALL = (200, 45)


def place_in(checkout: Path, run_dir: Path, *, read_only: bool = False) -> RunPlace:
    watched = Watched(str(run_dir), None, True, Checkout(checkout), None)
    return RunPlace("w", run_dir.name, watched, open_reader(None), "local", read_only, None, lambda: None)


@asynccontextmanager
async def form(checkout: Path, size: tuple[int, int] = TALL) -> AsyncIterator[tuple[Seat, FormScreen]]:
    async with seat(size) as at:
        open_form(at.app, place_in(checkout, checkout / ".tune-runs" / "r"), None)
        await at.until(lambda: isinstance(at.app.screen, FormScreen))
        screen = at.app.screen
        assert isinstance(screen, FormScreen)
        await at.until(lambda: screen.judged.wanted is not None or "$text-error" in str(screen.judged))
        await at.settled()
        yield at, screen


async def type_over(at: Seat, field: str, text: str) -> None:
    """Put a text into a field, as somebody who pastes it."""
    at.app.screen.query_one(f"#form-{field}", Input).value = text
    await at.pilot.pause()


async def asked(at: Seat) -> None:
    await at.press("enter")
    await at.until(lambda: isinstance(at.app.screen, AskScreen), "the question")
    await at.settled()


async def test_a_run_is_started_detached_and_the_app_goes_there(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way: typed, checked, asked, answered; the runner is real and outlives the app."""
    monkeypatch.setenv("QUICK_HOLD", str(quick.hold))
    with quick.holding():
        async with form(quick.folder) as (at, screen):
            await type_over(at, "stages", "b")
            await type_over(at, "repeats", "1")
            assert "1 stage: b_wer" in at.screen
            assert "1 pytest run, how long they take is not known yet" in at.screen
            line = f"gatewatch calibrate run --root {quick.folder} --model quick --stages b --repeats 1 --detach"
            assert screen.judged.wanted is not None
            assert screen.judged.wanted.line() == line
            await asked(at)
            assert not quick.runs.exists(), "nothing was changed before the answer"
            assert "▸ No" in at.screen
            sha = git(quick.folder, "rev-parse", "HEAD").strip()
            assert f"{quick.folder} at commit {sha[:12]}" in at.screen
            await at.press("right", "enter")
            await at.until(lambda: at.app.opened, "the run to be opened")
            ((run_dir, host),) = at.app.opened
            assert host is None
            assert f"started: {run_dir}" in at.app.told
        (made,) = quick.runs.iterdir()
        assert str(made) == run_dir
        plan = json.loads((made / "plan.json").read_bytes())
        assert (plan["stages"], plan["repeats"]) == (["b_wer"], 1)
        await alive(quick)
    await ended(quick)


async def test_the_command_that_is_shown_is_the_one_that_is_meant(quick: Quick) -> None:
    """Pasted into a shell it makes a run of the same plan."""
    async with form(quick.folder) as (_at, screen):
        wanted = screen.judged.wanted
        assert wanted is not None
    with quick.holding():
        done = await asyncio.to_thread(quick.gatewatch, *wanted.argv()[1:], cwd=quick.folder.parent)
        assert done.code == 0, done.said
        await alive(quick)
        await asyncio.to_thread(quick.kill)
    (made,) = quick.runs.iterdir()
    plan = json.loads((made / "plan.json").read_bytes())
    assert (plan["stages"], plan["repeats"], plan["model"]) == (list(STAGES), 5, "quick")


async def test_anything_but_yes_starts_nothing(quick: Quick) -> None:
    async with form(quick.folder) as (at, _screen):
        for keys in (("enter",), ("escape",), ("n",), ("right", "left", "enter"), ("tab", "tab", "enter")):
            await asked(at)
            await at.press(*keys)
            await at.until(lambda: not isinstance(at.app.screen, AskScreen), f"the end of the question after {keys}")
            await at.until(lambda: "nothing was started" in at.screen)
        await at.press("escape")
        await at.until(lambda: "the floor" in at.screen)
    assert not quick.runs.exists()


@pytest.mark.parametrize(
    ("planned", "why", "said"),
    [
        (False, VerbError("internal", "no space left on device"), "the run was not started: no space left on device"),
        (True, VerbError("internal", "no space left on device"), "the run may have been started: no space left on"),
        (False, UnreachableError("no answer"), "the run may have been started: no answer"),
        (False, InputError("already holds a run"), "nothing was started: already holds a run"),
    ],
)
async def test_what_became_of_a_start_that_failed(
    planned: bool, why: GatewatchError, said: str, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failed(_actor: object, request: Request, **_more: object) -> object:
        if planned:
            await asyncio.to_thread(Path(request.run_dir).mkdir, parents=True)
            await asyncio.to_thread((Path(request.run_dir) / "plan.json").write_text, "{}")
        raise why

    monkeypatch.setattr(starting, "start", failed)
    async with form(quick.folder) as (at, _screen):
        await asked(at)
        await at.press("right", "enter")
        await at.until(lambda: said in at.screen)


async def test_keys_that_were_typed_ahead_do_not_say_yes(quick: Quick) -> None:
    async with form(quick.folder) as (at, _screen):
        await at.press("enter", "enter", "enter")
        await at.settled()
        await at.until(lambda: isinstance(at.app.screen, AskScreen) or "nothing was started" in at.screen)
    assert not quick.runs.exists()


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("stages", "nonsense", "no stage is called 'nonsense'"),
        ("stages", "a_acuracy", "near: a_accuracy"),
        ("stages", "", "no stage was named"),
        ("stages", " , ", "no stage was named"),
        ("stages", "@nope", "no stage is called '@nope'"),
        ("repeats", "0", "expected a whole number from 1 to 1000"),
        ("repeats", "1001", "expected a whole number from 1 to 1000"),
        ("repeats", "²", "expected a whole number from 1 to 1000"),
        ("repeats", "-1", "expected a whole number from 1 to 1000"),
        ("repeats", "2.5", "expected a whole number from 1 to 1000"),
    ],
)
async def test_bad_input_is_one_line_at_its_field(field: str, text: str, said: str, quick: Quick) -> None:
    async with form(quick.folder) as (at, screen):
        await type_over(at, field, text)
        await at.until(lambda: said in at.screen)
        assert screen.judged.wanted is None
        await at.press("enter")
        assert f"not yet: see {field}" in at.screen
        assert at.app.focused is screen.query_one(f"#form-{field}", Input)
    assert not quick.runs.exists()


async def test_what_is_pasted_holds_no_control_sequence(quick: Quick) -> None:
    async with form(quick.folder) as (at, screen):
        await type_over(at, "stages", HOSTILE + "\n" * 3 + "z" * 3000)
        await at.settled()
        assert all("\x1b" not in row and "\u202e" not in row for row in at.rows)
        assert screen.judged.wanted is None


async def test_what_the_host_says_no_to_is_shown_and_not_asked(quick: Quick) -> None:
    """The interpreter is gone: the check says so, and there is no question."""
    quick.config.write_text(quick.config.read_text().replace("default_venv_python: ", "default_venv_python: /no/such"))
    async with form(quick.folder) as (at, _screen):
        await at.press("enter")
        await at.until(lambda: "name another with --venv-python" in " ".join(at.screen.replace("│", "").split()))
        assert isinstance(at.app.screen, FormScreen)
    assert not quick.runs.exists()


async def test_what_was_changed_meanwhile_is_not_asked_about(quick: Quick) -> None:
    """The answer of a check that is under way is for what was typed before."""
    async with form(quick.folder) as (at, screen):
        await at.press("enter")
        await type_over(at, "repeats", "3")
        await at.until(lambda: "changed meanwhile; check it again" in at.screen)
        assert isinstance(at.app.screen, FormScreen)
        assert screen.judged.repeats == 3
    assert not quick.runs.exists()


async def test_faults_of_the_host_fit_the_smallest_window(quick: Quick) -> None:
    folder = f"/no/such/{'folder/' * 20}end"
    (quick.folder / "hosts").mkdir()
    (quick.folder / "hosts" / "bad.yaml").write_text(f"launcher: local\nphysical:\n  omni_ci_home: {folder}\n")
    async with form(quick.folder, (80, 24)) as (at, _screen):
        await at.press("tab", "tab", "right", "enter")
        await at.until(lambda: "it cannot start like this:" in at.screen)
        assert isinstance(at.app.screen, FormScreen)
        assert not at.holds(f"mkdir -p {folder}"), "it is too long for what is in sight"
        await at.press("pagedown", "pagedown", "pagedown")
        assert at.holds("folder/end")
        assert "repeats" in at.screen, "the fields stay in sight"
    assert not quick.runs.exists()


async def test_a_manifest_that_is_wrong_is_told_where_stages_are_chosen(quick: Quick) -> None:
    quick.manifest.write_text("a: [\n")
    async with seat(TALL) as at:
        open_form(at.app, place_in(quick.folder, quick.runs / "r"), None)
        await at.until(lambda: "stages.yaml" in at.screen)
        await at.press("enter")
        assert "not yet: see stages" in at.screen


async def test_read_only_opens_nothing(quick: Quick) -> None:
    async with seat(TALL) as at:
        open_form(at.app, place_in(quick.folder, quick.runs / "r", read_only=True), None)
        await at.settled()
        assert at.app.told == [READ_ONLY]
        assert "the floor" in at.screen


@pytest.mark.parametrize("said", [True, None])
async def test_without_a_run_the_app_says_whether_it_may_act(said: bool | None) -> None:
    async with seat(TALL) as at:
        if said is None:
            del at.app.read_only
        else:
            at.app.read_only = said
        open_form(at.app, None, None)
        await at.settled()
        assert at.app.told == [READ_ONLY]


async def test_outside_of_a_checkout_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with seat(TALL) as at:
        open_form(at.app, None, None)
        await at.until(lambda: "no models/*/config.yaml in" in at.screen)
        await at.press("enter", "escape")
        await at.until(lambda: "the floor" in at.screen)


async def test_the_hosts_of_the_checkout_can_be_chosen(quick: Quick) -> None:
    quick.hop()
    (quick.folder / "hosts" / "broken.yaml").write_text("nonsense: [")
    async with form(quick.folder) as (at, screen):
        await at.press("tab", "tab", "right")
        await at.until(lambda: "‹ broken ›  2 of 3" in at.screen)
        await at.press("right")
        await at.until(lambda: "‹ hop ›  3 of 3" in at.screen)
        assert screen.judged.wanted is not None
        assert screen.judged.wanted.host == "hop"
        assert "--host hop" in screen.judged.wanted.line()
        await asked(at)
        assert "host         hop" in at.screen


async def test_a_start_on_a_host_behind_a_hop(quick: Quick) -> None:
    quick.hop()
    async with form(quick.folder) as (at, _screen):
        await type_over(at, "stages", "b")
        await type_over(at, "repeats", "1")
        await at.press("tab", "tab", "right")
        await asked(at)
        await at.press("right", "enter")
        await at.until(lambda: at.app.opened)
        assert at.app.opened[0][1] == "hop"
    await ended(quick)


async def test_groups_of_the_example_can_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    await asyncio.to_thread(set_up_example, folder)
    async with form(folder) as (at, screen):
        await type_over(at, "stages", "@speed")
        await at.until(lambda: "_speed" in at.screen)
        assert all(key.endswith("_speed") for key in screen.judged.stages or ())


# Without a screen.


def test_how_long_it_takes_is_told_from_the_run_one_came_from(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole(5, duration_s=100.0)
    body = bench.look().snapshot.body
    assert body.audit is not None
    manifest = parse_manifest(json.loads((bench.bench.root / "stages.yaml").read_text()))
    for run in range(1, 6):
        bench.bench.folder.cell("asr_accuracy", run, duration_s=100.0, metrics={"accuracy": 1})
    audit = bench.look().snapshot.body.audit
    assert audit is not None
    found = expected(manifest, ("asr_accuracy", "asr_speed"), 3, audit)
    assert (found.seconds, found.unseen, found.tests) == (300.0, 0, 1), "one pytest feeds both"
    judged = judge(Draft("/r", "asr", repeats="3"), manifest, Past("asr", "the last one", audit))
    assert judged.repeats_said == "3 pytest runs, about 5m 00s as in the last one"
    other = judge(Draft("/r", "asr", repeats="3"), manifest, Past("tts", "another", audit))
    assert "not known yet" in other.repeats_said


def test_the_interpreter_that_was_named_for_the_last_run_is_named_again(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    audit = bench.look().snapshot.body.audit
    assert audit is not None
    manifest = parse_manifest(json.loads((bench.bench.root / "stages.yaml").read_text()))
    past = Past("asr", "the last one", audit, None, "/venv/bin/python")

    def line(draft: Draft) -> str:
        wanted = judge(draft, manifest, past).wanted
        assert wanted is not None
        return wanted.line()

    assert "--venv-python /venv/bin/python" in line(Draft("/r", "asr"))
    assert "--venv-python" not in line(Draft("/r", "asr", host="h20-a")), "that is another machine"


def test_a_stage_without_a_place_for_its_value_is_refused_where_it_is_typed() -> None:
    stage = stage_of()
    stage["metrics"]["tokens"]["status"] = "NEEDS_CONFIG"
    judged = judge(Draft("/r", "asr"), parse_manifest({"asr_speed": stage}), None)
    assert judged.wanted is None
    assert judged.stages_said.startswith("asr_speed.tokens: where its value is found")
    uncounted = stage_of()
    del uncounted["sample_counts"]
    judged = judge(Draft("/r", "asr"), parse_manifest({"asr_speed": uncounted}), None)
    assert "no repeat can be strictly complete" in judged.stages_said


@pytest.mark.parametrize(("text", "number"), [("5", 5), (" 7 ", 7), ("1000", 1000), ("0001", 1), ("1e2", None)])
def test_repeats_are_read_as_the_command_line_reads_them(text: str, number: int | None) -> None:
    assert read_repeats(text) == number


def test_stages_are_read_as_the_command_line_reads_them() -> None:
    assert read_stages("a, b ,,@c") == ("a", "b", "@c")


def test_the_argv_is_one_that_the_command_line_takes(quick: Quick) -> None:
    judged = judge(Draft("/a b", "quick", "a, @wer", "2", "h20"), parse_manifest(_stages(quick)), None)
    assert judged.wanted is not None
    line = "gatewatch calibrate run --root '/a b' --model quick --host h20 --stages a,@wer --repeats 2 --detach"
    assert judged.wanted.line() == line
    parser = argparse.ArgumentParser()
    RUN.add(parser)
    taken = parser.parse_args(judged.wanted.argv()[3:])
    assert (taken.root, taken.model, taken.host, taken.stages) == ("/a b", "quick", "h20", ["a,@wer"])
    assert (taken.repeats, taken.detach, taken.resume) == (2, True, False)


def _stages(quick: Quick) -> Json:
    found: Json = yaml.safe_load(quick.manifest.read_text())
    return found


def test_places_of_a_checkout(quick: Quick) -> None:
    quick.hop()
    found = places_of(find_checkout(str(quick.folder)), {})
    assert (found.models, found.hosts, found.here) == (("quick",), ("hop",), None)
    assert places_of(find_checkout(str(quick.folder)), {"TUNE_HOST": "hop"}).here == "hop"
    with pytest.raises(InputError):
        places_of(Checkout(quick.folder / "nowhere"), {})


# Looks: nothing in them hangs on the machine or the day.


async def _plain(at: Seat) -> None:
    pass


async def _bad(at: Seat) -> None:
    await type_over(at, "stages", "asr_acuracy")
    await type_over(at, "repeats", "0")


async def _help(at: Seat) -> None:
    await at.press("tab", "tab", "question_mark")
    await at.settled()


LOOKS: dict[str, Callable[[Seat], Awaitable[None]]] = {"form": _plain, "bad": _bad, "help": _help}


@pytest.mark.parametrize("state", LOOKS)
async def test_looks(state: str, tmp_path: Path, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bench = StageBench.make(tmp_path)
    bench.whole()
    (bench.repo / "models" / "asr" / "stages.yaml").write_bytes((bench.bench.root / "stages.yaml").read_bytes())
    look = await bench.see()
    async with seat(SIZES[0], AT) as at:
        checkout = Checkout(Path("repo"))
        place = bench.place(read_only=False)
        screen = FormScreen(replace(place, watched=replace(place.watched, checkout=checkout)), look)
        await at.app.push_screen(screen)
        await at.until(lambda: screen.judged.wanted is not None)
        await LOOKS[state](at)
        async for _size in at.sizes():
            album.check(at.app, state)

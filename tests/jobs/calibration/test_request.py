"""From what a person asked for to what the host is sent."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import InputError
from hosts.here import LocalReader
from hosts.host import HostReader
from hosts.version import VERSION
from jobs.calibration.request import Request, RunOptions, make_request
from jobs.calibration.site import Site, find_site
from jobs.runner.calibration.job import parse_job
from tests.peers.quick import MODEL, SHA, STAGES, Quick, old_run

ALL = RunOptions(stages=("ALL",), repeats=2)


@pytest.fixture
async def reader() -> AsyncIterator[HostReader]:
    made = LocalReader()
    yield made
    await made.close()


@pytest.fixture
def site(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.chdir(quick.folder)
    return find_site(None, None, None, environ={})


async def make(
    site: Site, options: RunOptions, reader: HostReader, environ: Mapping[str, str] | None = None
) -> Request:
    return await make_request(site, options, reader, environ or {})


def payload(request: Request) -> dict[str, Any]:
    assert isinstance(request.payload, dict)
    return request.payload


def profiled(quick: Quick, text: str) -> Site:
    (quick.folder / "hosts").mkdir()
    (quick.folder / "hosts" / "h.yaml").write_text(text)
    return find_site(None, None, "h", environ={})


async def test_what_the_host_is_sent(site: Site, quick: Quick, reader: HostReader) -> None:
    request = await make(site, ALL, reader)
    assert re.fullmatch(rf"{re.escape(str(quick.runs))}/\d{{8}}T\d{{6}}Z_quick_r2", request.run_dir)
    assert (request.model, request.stages, request.repeats, request.asked) == (MODEL, STAGES, 2, "ALL")
    assert request.warnings == ()
    sent = payload(request)
    assert (sent["system"], sent["resume"], sent["run_dir"]) == ("calibration", False, request.run_dir)
    assert sent["plan"] == {
        "model": MODEL,
        "stages": list(STAGES),
        "repeats": 2,
        "venv_source": "config",
        "tune_version": f"gatewatch {VERSION}",
        "stages_yaml": "models/quick/stages.yaml",
        "reference": None,
        "units": [
            {"key": "test_quick_a", "test": "tests/test_quick_a.py", "stages": ["a_accuracy", "a_speed"]},
            {"key": "test_quick_b", "test": "tests/test_quick_b.py", "stages": ["b_wer"]},
        ],
        "host": None,
        "root": None,
    }
    job = parse_job(sent["job"])
    assert (job.repo, job.venv_python, job.max_passes) == (str(quick.folder), sys.executable, 10)
    assert [(unit.key, unit.gpus, unit.env) for unit in job.units] == [
        ("test_quick_a", 0, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
        ("test_quick_b", 0, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
    ]


@pytest.mark.parametrize(
    ("asked", "stages", "words"),
    [
        (("a",), ("a_accuracy", "a_speed"), "a"),
        (("b_wer", "a_speed"), ("a_speed", "b_wer"), "b_wer,a_speed"),
        (("@speed",), ("a_speed",), "@speed"),
        (("a", "b"), STAGES, "ALL"),
        ((), STAGES, "ALL"),
    ],
)
async def test_the_stages(
    asked: tuple[str, ...], stages: tuple[str, ...], words: str, site: Site, reader: HostReader
) -> None:
    request = await make(site, RunOptions(stages=asked, repeats=1), reader)
    assert (request.stages, request.asked) == (stages, words)
    assert isinstance(request.manifest, dict)
    assert set(request.manifest) == set(stages)


async def test_the_venv_flag_before_environment_before_profile_before_config(
    quick: Quick, site: Site, reader: HostReader, tmp_path: Path
) -> None:
    pythons = {name: str(tmp_path / name) for name in ("flag", "env", "host", "config")}
    for path in pythons.values():
        os.symlink(sys.executable, path)
    quick.config.write_text(quick.config.read_text().replace(sys.executable, f"[/nope, {pythons['config']}, /nope2]"))
    with_host = await asyncio.to_thread(profiled, quick, f"launcher: local\nvenv_python: [/nope, {pythons['host']}]\n")
    environ = {"TUNE_VENV_PYTHON": pythons["env"]}
    flagged = RunOptions(stages=("ALL",), repeats=1, venv_python=pythons["flag"])
    for source, place, options, env in (
        ("flag", with_host, flagged, environ),
        ("env", with_host, ALL, environ),
        ("host", with_host, ALL, {}),
        ("config", site, ALL, {}),
    ):
        request = await make(place, options, reader, env)
        assert (request.venv.path, payload(request)["plan"]["venv_source"]) == (pythons[source], source)


async def test_a_profile_says_where_things_are_and_which_gpus(quick: Quick, site: Site, reader: HostReader) -> None:
    del site
    quick.config.write_text(
        quick.config.read_text() + "extra_env:\n  test_quick_b.py: {HF_HOME: /elsewhere}\npins: {torch: '2.8'}\n"
    )
    with_host = await asyncio.to_thread(
        profiled,
        quick,
        "launcher: local\ngpu_exclude: [6, 7]\ngpu_group_cpusets: {'0,1': '0-3'}\n"
        "physical: {hf_hub: /hub, omni_ci_home: /ci}\n"
        "reference: {gpu_model: H20, pins: {torch: '2.9', sglang: '0.5'}}\n",
    )
    sent = payload(await make(with_host, ALL, reader))
    job = parse_job(sent["job"])
    assert (job.gpu.exclude, job.gpu.include, job.gpu.cpusets) == ((6, 7), None, {"0,1": "0-3"})
    assert job.overlay["HF_HOME"] == "/hub"
    assert job.overlay["XDG_CACHE_HOME"] == "/ci/.cache"
    assert [unit.env["HF_HOME"] for unit in job.units] == ["/hub", "/elsewhere"]
    assert sent["pins"] == ["sglang", "torch"]
    assert sent["plan"]["reference"] == {"gpu_model": "H20", "image": None, "pins": {"torch": "2.9", "sglang": "0.5"}}
    assert sent["plan"]["host"] == "h"
    assert "hosts/h.yaml" in job.settings


async def test_a_resume_remembers_what_was_said(site: Site, quick: Quick, reader: HostReader, tmp_path: Path) -> None:
    other = tmp_path / "other-python"
    other.symlink_to(sys.executable)
    run = old_run(quick.runs / "o", ["b_wer"], repeats=3, venv_python=str(other), venv_source="env")
    request = await make(site, RunOptions(resume=True, output_dir=str(run)), reader)
    assert (request.model, request.stages, request.repeats) == (MODEL, ("b_wer",), 3)
    assert (request.run_dir, request.venv.path) == (str(run), str(other))
    assert payload(request)["resume"] is True
    for again in (RunOptions(repeats=3), RunOptions(stages=("b",)), RunOptions(model=MODEL)):
        asked = RunOptions(again.model, again.stages, again.repeats, str(run), resume=True)
        assert (await make(site, asked, reader)).stages == ("b_wer",)


async def test_the_order_of_a_resumed_run_is_its_own(site: Site, quick: Quick, reader: HostReader) -> None:
    run = old_run(quick.runs / "o", ["b_wer", "a_speed"])
    request = await make(site, RunOptions(resume=True, output_dir=str(run), stages=("a_speed", "b")), reader)
    assert request.stages == ("b_wer", "a_speed")
    assert payload(request)["plan"]["stages"] == ["b_wer", "a_speed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (RunOptions(resume=True), "--resume continues one run: name it with --output-dir"),
        (RunOptions(resume=True, output_dir="{runs}/none"), "none holds no run to resume"),
        (RunOptions(resume=True, output_dir="{runs}/o", repeats=5), "o has 2 repeats; --repeats cannot change that"),
        (RunOptions(resume=True, output_dir="{runs}/o", stages=("a",)), "--stages names other stages than the run"),
        (RunOptions(resume=True, output_dir="{runs}/o", model="m"), "o is a run of model quick, not of m"),
        (RunOptions(stages=("c",), repeats=1), "--stages: no stage is called 'c'"),
        (RunOptions(stages=("ALL",), repeats=1, venv_python="~/no/python"), "venv python ~/no/python"),
        (RunOptions(model="m"), "--model m: no such model"),
    ],
)
async def test_what_is_not_right(options: RunOptions, said: str, site: Site, quick: Quick, reader: HostReader) -> None:
    old_run(quick.runs / "o")
    output = options.output_dir and options.output_dir.format(runs=quick.runs)
    asked = RunOptions(
        options.model, options.stages, options.repeats, output, options.resume, venv_python=options.venv_python
    )
    with pytest.raises(InputError, match=re.escape(said)):
        await make(site, asked, reader)


async def test_a_run_of_a_checkout_elsewhere_says_so(
    quick: Quick, reader: HostReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (quick.folder / "models").rename(elsewhere / "models")
    monkeypatch.chdir(elsewhere)
    request = await make(await asyncio.to_thread(find_site, None, str(quick.folder), None, None, {}), ALL, reader)
    assert payload(request)["plan"]["root"] == str(elsewhere)


async def test_an_unknown_key_is_handed_on_as_a_warning(site: Site, quick: Quick, reader: HostReader) -> None:
    quick.config.write_text(quick.config.read_text() + "test_glob: []\n")
    (warning,) = (await make(site, ALL, reader)).warnings
    assert warning.endswith("config.yaml:10: unknown key test_glob (did you mean test_globs?) is ignored")


async def test_an_old_run_s_commit_is_not_made_up(site: Site, quick: Quick, reader: HostReader) -> None:
    run = old_run(quick.runs / "o")
    request = await make(site, RunOptions(resume=True, output_dir=str(run)), reader)
    assert SHA not in str(request.payload)  # the host reads it from plan.json itself

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.schema import parse_manifest
from gates.documents import Json
from hosts.errors import InputError
from hosts.yamldoc import load
from jobs.calibration.checkout import load_manifest, load_manifest_document
from jobs.calibration.discover import Found, discover_stages, stale_constants
from jobs.calibration.example import example_folder
from jobs.calibration.site import Site, find_site
from jobs.calibration.stages_text import HEADER, stages_text, yaml_text
from jobs.connect import open_reader

NOW = "2026-05-22T16:52:36Z"

CONFIG = """\
test_globs: ["tests/test_m_*_ci.py"]
stage_base_strip_prefix: "test_m_"
stage_base_strip_suffix: "_ci"
"""
TEST = """\
from tests.scope import MAX_SAMPLES
A_ACC_MIN = 0.5
def test_a_is_accurate(tmp_path):
    run(tmp_path / "a", max_samples=MAX_SAMPLES)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "checkout", CONFIG, test_m_a_ci=TEST, scope="MAX_SAMPLES = 50\n")


def make(root: Path, config: str, **sources: str) -> Path:
    (root / "models" / "m").mkdir(parents=True)
    (root / "models" / "m" / "config.yaml").write_text(config)
    (root / "tests").mkdir()
    for name, text in sources.items():
        (root / "tests" / f"{name}.py").write_text(text)
    return root


async def found(root: Path, repo: Path | None = None, python: str | None = sys.executable) -> Found:
    site = await asyncio.to_thread(site_of, root, repo)
    reader = open_reader(None)
    try:
        return await discover_stages(site, reader, None, python, {}, NOW)
    finally:
        await reader.close()


def site_of(root: Path, repo: Path | None = None) -> Site:
    return find_site(str(root), str(repo or root), None, environ={})


async def write(root: Path) -> Found:
    made = await found(root)
    await asyncio.to_thread(made.write)
    return made


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example, for its committed stages.yaml is not to be touched."""
    root = tmp_path / "tiny-lab"
    shutil.copytree(example_folder(), root, ignore=shutil.ignore_patterns(".tune-runs", "__pycache__", ".pytest_cache"))
    return root


async def test_the_example_is_what_discover_makes(example: Path) -> None:
    """Its committed stages.yaml, byte for byte; the time is kept because nothing else differs."""
    made = await found(example)
    assert made.text == (example / "models" / "tiny-lab" / "stages.yaml").read_text()
    assert not made.changed
    assert (made.discovery.open_ends, made.discovery.unmatched, made.discovery.gaps) == ((), (), ())
    assert [one.source for one in made.discovery.ignored] == ["GUESSING_ACC_MIN"]
    made.path.unlink()
    again = await found(example)
    lines = zip(again.text.splitlines(), made.text.splitlines(), strict=True)
    assert {here.split(":")[0].strip() for here, there in lines if here != there} == {"last_discovered_at"}


async def test_a_file_is_written_once(root: Path) -> None:
    first = await found(root)
    assert (first.changed, first.old) == (True, None)
    await asyncio.to_thread(first.write)
    manifest = await asyncio.to_thread(lambda: load_manifest(site_of(root).checkout, "m"))
    assert (manifest.keys, manifest.stages[0].expected_samples) == (("a_accuracy",), 50)
    before = first.path.stat()
    again = await write(root)
    assert not again.changed
    assert again.path.stat().st_mtime_ns == before.st_mtime_ns


async def test_an_imported_constant_is_resolved_inside_the_repository_alone(root: Path) -> None:
    (root / "tests" / "scope.py").unlink()
    made = await found(root)
    assert "expected_samples" not in made.text


async def test_a_glob_that_matches_nothing_leaves_the_good_file_alone(root: Path, tmp_path: Path) -> None:
    made = await write(root)
    good = made.path.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(InputError, match=r"test_globs: tests/test_m_\*_ci.py matches no test file in .*elsewhere"):
        await found(root, tmp_path / "elsewhere")
    config = root / "models" / "m" / "config.yaml"
    config.write_text(CONFIG.replace('ci.py"', 'ci.py", "tests/gone_*.py"'))
    with pytest.raises(InputError, match=r"tests/gone_\*.py matches no test file"):
        await found(root)
    config.write_text("test_globs: []\n")
    with pytest.raises(InputError, match="test_globs is empty"):
        await found(root)
    config.write_text('test_globs: ["../**/*.py"]\n')
    with pytest.raises(InputError, match="does not stay within the repository"):
        await found(root)
    assert made.path.read_bytes() == good


async def test_a_source_that_python_does_not_read_stops_it(root: Path) -> None:
    (root / "tests" / "test_m_b_ci.py").write_text("def broken(:\n")
    with pytest.raises(InputError, match=r"config.yaml: tests/test_m_b_ci.py: .*line 1"):
        await found(root)
    assert not (root / "models" / "m" / "stages.yaml").exists()


async def test_rows_of_the_configuration(root: Path) -> None:
    config = root / "models" / "m" / "config.yaml"
    row = "{metric_key: bleu, group: quality, worst: min, ends: _BLEU_MIN, digits: 1}"
    config.write_text(f"{CONFIG}patterns:\n  - {row}\n")
    (root / "tests" / "test_m_a_ci.py").write_text(f"{TEST}A_BLEU_MIN = 30\n")
    made = await found(root)
    assert list(made.discovery.document) == ["a_accuracy", "a_quality"]
    config.write_text(f"{CONFIG}patterns:\n  - {row.replace('min', 'avg')}\n")
    with pytest.raises(InputError, match=r"config.yaml: patterns\[0\].worst: expected min or max, got 'avg'"):
        await found(root)


async def test_a_broken_file_is_made_anew_and_said(root: Path) -> None:
    path = root / "models" / "m" / "stages.yaml"
    path.write_text("a: [\n")
    made = await write(root)
    assert "it is made anew" in made.warnings[0]
    assert path.read_text() == made.text


async def test_without_its_venv_a_project_is_read_by_ours(root: Path) -> None:
    config = root / "models" / "m" / "config.yaml"
    config.write_text(f"{CONFIG}default_venv_python: /nope/bin/python\n")
    made = await found(root, python=None)
    assert "/nope/bin/python (from config models/m/config.yaml) does not exist" in made.warnings[0]
    with pytest.raises(InputError, match="/nope/python"):
        await found(root, python="/nope/python")


async def test_a_path_that_no_run_would_take_is_refused(root: Path) -> None:
    config = root / "models" / "m" / "config.yaml"
    config.write_text(f"{CONFIG}metric_sources: {{test_m_a_ci.py: {{json_file: /etc/x.json}}}}\n")
    with pytest.raises(InputError, match=r"a_accuracy.*json_file: expected a relative path"):
        await found(root)


async def test_only_what_moved_makes_a_manifest_stale(root: Path) -> None:
    made = await write(root)
    document = (await asyncio.to_thread(lambda: load_manifest_document(site_of(root).checkout, "m")))[1]
    test = root / "tests" / "test_m_a_ci.py"
    reader = open_reader(None)
    test.write_text(TEST.replace("0.5", "0.625"))
    assert await stale_constants(reader, sys.executable, str(root), document) == ()
    assert (await found(root)).text != made.text  # the plain hash, for old readers
    test.write_text(TEST.replace("A_ACC_MIN", "A_ACCURACY_MIN"))
    (one,) = await stale_constants(reader, sys.executable, str(root), document)
    assert (one.path, one.constants) == ("tests/test_m_a_ci.py", ("A_ACC_MIN",))
    await reader.close()


# The public skill's own project: its test files are not published with its data, so these are written in its
# conventions.

PLAIN = """\
from {module} import run
CONCURRENCY = 16
{scope}{upper}_MIN_ACCURACY = 0.6
_{upper}_P95 = {{
    16: {{"throughput_qps": 1.5, "output_tok_per_req_s": 80.1, "latency_mean_s": 9.25}},
}}
{upper}_THRESHOLDS = apply_slack(_{upper}_P95)
def test_{name}_accuracy_and_speed(server, tmp_path):
    run(tmp_path / "{name}", {pass_scope}max_concurrency=CONCURRENCY)
"""
TALKER = """\
from {module} import run
MAX_SAMPLES = 10
MAX_TOKENS = 256
CONCURRENCY = 16
{accuracy}_MIN_ACCURACY = 0.6
{wer}_WER_BELOW_50_CORPUS_MAX = 0.03
{wer}_N_ABOVE_50_MAX = 1
_{speed}_P95 = {{
    CONCURRENCY: {{
        "throughput_qps": 0.5, "output_tok_per_req_s": 4.5, "latency_mean_s": 9.25, "rtf_mean": 1.5,
    }},
}}
{wer}_WER_BELOW_50_CORPUS_THRESHOLD = apply_wer_slack({wer}_WER_BELOW_50_CORPUS_MAX)
def {function}(server, tmp_path):
    run(tmp_path / "{sub}", max_samples=MAX_SAMPLES, max_tokens=MAX_TOKENS, max_concurrency=CONCURRENCY)
"""
TTS = """\
MAX_SAMPLES = 50
CONCURRENCY = 16
VC_WER_BELOW_50_CORPUS_MAX = 0.02
VC_N_ABOVE_50_MAX = 0
VC_SIMILARITY_MEAN_MIN = 0.7
_VC_NON_STREAM_P95 = {
    16: {"throughput_qps": 0.5, "output_tok_per_req_s": 4.5, "latency_mean_s": 9.25, "rtf_mean": 1.5},
}
def test_voice_cloning(server, tmp_path_factory):
    run(tmp_path_factory.mktemp("vc_nonstream"), max_samples=MAX_SAMPLES, max_concurrency=CONCURRENCY)
"""


def plain(name: str, scope: str = "", module: str = "benchmarks.eval.other") -> str:
    passed = "max_samples=MAX_SAMPLES, " if scope else ""
    return PLAIN.format(name=name, upper=name.upper(), scope=scope, pass_scope=passed, module=module)


def talker(function: str, sub: str, names: tuple[str, str, str], module: str = "benchmarks.eval.other") -> str:
    accuracy, wer, speed = names
    return TALKER.format(function=function, sub=sub, accuracy=accuracy, wer=wer, speed=speed, module=module)


def spoken(name: str) -> tuple[str, str, str]:
    return f"{name}_THINKER_TEXT", name, f"{name}_AUDIO"


MMSU = "benchmarks.eval.benchmark_omni_mmsu"
SCOPE = "MAX_SAMPLES = 50\n"
PUBLISHED = {
    "mmmu": plain("mmmu"),
    "mmsu": plain("mmsu", module=MMSU),
    "videomme": plain("videomme", SCOPE),
    "videoamme": plain("videoamme", SCOPE),
    "mmmu_talker": talker("test_mmmu_audio_wer_and_speed", "mmmu_audio", ("MMMU_AUDIO",) * 3),
    "mmsu_talker": talker("test_mmsu_audio_wer_and_speed", "mmsu_audio", ("MMSU_AUDIO",) * 3, MMSU),
    "videomme_talker": talker("test_videomme_tts_accuracy_wer_and_speed", "videomme_audio", spoken("VIDEOMME_TALKER")),
    "videoamme_talker": talker(
        "test_videoamme_talker_accuracy_wer_and_speed", "videoamme_audio", spoken("VIDEOAMME_TALKER")
    ),
    "videoamme_talker_tp2": talker(
        "test_videoamme_talker_tp2_accuracy_wer_and_speed", "videoamme_audio", spoken("VIDEOAMME_TALKER_TP2")
    ),
    "tts": TTS,
}


def comparable(stage: Json) -> dict[str, Json]:
    """A stage without what tells when it was made, of which bytes, and of how many samples (*better*)."""
    assert isinstance(stage, dict)
    return {
        key: value
        for key, value in stage.items()
        if "sha256" not in key and key not in ("last_discovered_at", "expected_samples")
    }


async def test_the_published_stages(house: Path, tmp_path: Path) -> None:
    published = house.parent / "shared" / "data" / "calibration" / "qwen3-omni" / "models" / "qwen3-omni-v1"
    if not published.is_dir():
        pytest.skip("the published calibration data are not beside this checkout")
    config = yaml.safe_load((published / "config.yaml").read_text())
    sources = config["metric_sources"]
    # Newer than the stages beside it: then the results of talkers still lay below tmp_path, and speech had one count.
    for name in list(sources):
        if "talker" in name:
            del sources[name]["json_file"]
    del sources["test_qwen3_omni_tts_ci.py"]["sample_counts_by_group"]
    # A variable of the one stage that has any, added after the stages were made.
    del config["extra_env"]
    old = load((published / "stages.yaml").read_bytes(), "stages.yaml").value
    assert isinstance(old, dict)
    repo = make(tmp_path / "checkout", yaml.safe_dump(config))
    folder = repo / "tests" / "test_model"
    folder.mkdir()
    for name, text in PUBLISHED.items():
        (folder / f"test_qwen3_omni_{name}_ci.py").write_text(text)
    made = await found(repo)
    assert {key: comparable(stage) for key, stage in made.discovery.document.items()} == {
        key: comparable(stage) for key, stage in old.items()
    }
    assert list(made.discovery.document) == list(old)
    expected = {key: stage.expected_samples for key, stage in zip(old, parse_manifest(made.discovery.document).stages)}  # noqa: B905
    assert {key for key, count in expected.items() if count is None} == {
        "mmmu_accuracy",
        "mmmu_speed",
        "mmsu_accuracy",
        "mmsu_speed",
    }
    assert {count for key, count in expected.items() if "talker" in key} == {10}


async def test_one_preset_and_variant_of_speech_in_full(tmp_path: Path) -> None:
    config = f"""{CONFIG}extra_env: {{test_m_tts_ci.py: {{A: "1"}}}}
metric_sources:
  test_m_tts_ci.py:
    threshold_file: tests/tts_ci_config.py
    ignored_constants: [VC_SIMILARITY_MEAN_MIN]
    variants:
      nonstream:
        constant_filter: "(HIGGS|MOSS)_VC_(WER|NON_STREAM)_"
        paths:
          corpus_wer: "vc_nonstream0/wer_results.json::summary.wer_corpus"
          rtf_mean: "vc_nonstream0/speed_results.json::summary.rtf_mean"
        sample_counts:
          total: "vc_nonstream0/wer_results.json::summary.total_samples"
          ok: "vc_nonstream0/wer_results.json::summary.evaluated"
    calibration_presets:
      higgs: {{constant_filter: "^HIGGS_VC_", gpus: 2, extra_env: {{MODEL: higgs}}, hf_model_ids: [org/higgs]}}
      moss: {{constant_filter: "^MOSS_VC_", gpus: 1, extra_env: {{MODEL: moss}}}}
"""
    test = "from tests.tts_ci_config import X\nSEEDTTS_EN_FULLSET_SAMPLES = 1088\n"
    thresholds = (
        "HIGGS_VC_WER_MAX_CORPUS = 0.01\n_HIGGS_VC_NON_STREAM_P95 = {16: {'rtf_mean': 0.5}}\n"
        "MOSS_VC_WER_MAX_CORPUS = 0.02\nVC_SIMILARITY_MEAN_MIN = 0.7\n"
    )
    made = await found(make(tmp_path / "checkout", config, test_m_tts_ci=test, tts_ci_config=thresholds))
    assert list(made.discovery.document) == [
        "tts_higgs_nonstream_wer",
        "tts_higgs_nonstream_speed",
        "tts_moss_nonstream_wer",
    ]
    shown = [line for line in made.text.splitlines() if "sha256" not in line]
    assert shown[: shown.index("tts_higgs_nonstream_speed:")] == [
        HEADER.strip(),
        "tts_higgs_nonstream_wer:",
        "  test: tests/test_m_tts_ci.py",
        '  title: "TTS HIGGS NONSTREAM Wer"',
        "  group: wer",
        "  extra_env:",
        '    A: "1"',
        '    MODEL: "higgs"',
        "  context_vars: []",
        "  variant: nonstream",
        "  calibration_preset: higgs",
        "  gpus: 2",
        "  hf_model_ids:",
        '    - "org/higgs"',
        "  last_discovered_at: 2026-05-22T16:52:36Z",
        "  expected_samples: 1088",
        "  threshold_file: tests/tts_ci_config.py",
        "  sample_counts:",
        "    total:",
        '      json_file: "vc_nonstream0/wer_results.json"',
        '      json_path: "summary.total_samples"',
        "    ok:",
        '      json_file: "vc_nonstream0/wer_results.json"',
        '      json_path: "summary.evaluated"',
        "  metrics:",
        "    corpus_wer:",
        '      source: "HIGGS_VC_WER_MAX_CORPUS"',
        '      json_file: "vc_nonstream0/wer_results.json"',
        '      json_path: "summary.wer_corpus"',
        "      worst: max",
        "      display:",
        '        label: "Corpus WER (%)"',
        "        scale: 100",
        "        digits: 2",
        "      status: OK",
    ]
    assert [(gap.group, gap.missing) for gap in made.discovery.gaps] == [("speed", ("moss",))]


SCALARS = st.one_of(
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda number: number != int(number)),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["1.10", "no", "on", "null", "~", "12e4", "0x1f", "1:20", "2026-05-22", "- a", "a: b", "#", NOW, ""]
    ),
)
KEYS = st.one_of(
    st.sampled_from(["test", "title", "extra_env", "scale", "yes", "12", "a b"]), st.text(min_size=1, max_size=6)
)
KEYS = KEYS.filter(lambda key: key != "<<" and not any(0xD800 <= ord(char) < 0xE000 for char in key))


@given(
    st.dictionaries(
        KEYS,
        st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=8)
        | st.lists(SCALARS, max_size=3),
        max_size=5,
    )
)
def test_what_is_written_reads_back(document: dict[str, Json]) -> None:
    text = yaml_text(document)
    assert load(text.encode(), "x").value == (document or None)
    assert all(line == line.rstrip() for line in text.splitlines())


def test_old_readers_read_the_same() -> None:
    text = (example_folder() / "models" / "tiny-lab" / "stages.yaml").read_text()
    ours = load(text.encode(), "x").value
    assert isinstance(ours, dict)
    assert stages_text(ours) == text
    theirs = yaml.safe_load(text)
    for stage in theirs.values():
        stage["last_discovered_at"] = f"{stage['last_discovered_at']:%Y-%m-%dT%H:%M:%SZ}"
    assert theirs == ours
    # A hash that looks like a number to some of them.
    assert yaml.safe_load(stages_text({"a": {"test_file_sha256": "12e45"}})) == {"a": {"test_file_sha256": "12e45"}}

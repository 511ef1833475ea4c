from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.schema import Manifest, parse_manifest
from gates.calibration.select import SelectionError, aliases, base_of, bases, select_stages
from gates.documents import Json
from tests.gates.calibration.samples import stage_data, stage_of

pytestmark = pytest.mark.travels


def tts() -> Manifest:
    stages: dict[str, Json] = {
        "qwen3_asr_wer": stage_data(test="tests/test_qwen3_asr.py", group="wer"),
        "qwen3_asr_speed": stage_data(test="tests/test_qwen3_asr.py", group="speed"),
    }
    for preset in ("higgs", "moss"):
        for variant in ("nonstream", "stream"):
            for group in ("wer", "speed"):
                stages[f"tts_{preset}_{variant}_{group}"] = stage_data(
                    test="tests/test_tts_ci.py", group=group, variant=variant, calibration_preset=preset
                )
    return parse_manifest(stages)


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (["ALL"], 10),
        (["qwen3_asr_wer"], 1),
        (["qwen3_asr"], 2),
        (["tts"], 8),
        (["tts_higgs"], 4),
        (["tts_nonstream"], 4),
        (["tts_higgs_nonstream"], 2),
        (["tts_higgs_nonstream_wer"], 1),
        (["@wer"], 5),
        (["@wer,@speed"], 10),
        (["tts_higgs", "tts_moss"], 8),
        ([" qwen3_asr , ,tts_moss_stream "], 4),
        (["tts", "tts_higgs", "tts"], 8),
    ],
)
def test_every_form_of_a_name(asked: list[str], count: int) -> None:
    manifest = tts()
    chosen = select_stages(manifest, asked)
    assert len(chosen) == count
    assert list(chosen) == [key for key in manifest.keys if key in chosen]


def test_one_preset_never_brings_another() -> None:
    assert all("moss" not in key for key in select_stages(tts(), ["tts_higgs"]))
    assert all("_stream_" not in key for key in select_stages(tts(), ["tts_nonstream"]))


@pytest.mark.parametrize(
    ("asked", "near"),
    [("tts_higs", "tts_higgs"), ("qwen3_asr_were", "qwen3_asr_wer"), ("@were", "@wer"), ("ALLL", "ALL")],
)
def test_an_unknown_name_brings_the_near_ones(asked: str, near: str) -> None:
    with pytest.raises(SelectionError, match=near):
        select_stages(tts(), [asked])


@pytest.mark.parametrize("asked", [[], [""], [" , "]])
def test_nothing_asked_is_an_error_that_lists_the_bases(asked: list[str]) -> None:
    with pytest.raises(SelectionError, match=r"known are qwen3_asr, tts and ALL"):
        select_stages(tts(), asked)


@pytest.mark.parametrize("asked", ["zzz\n\x1b[2J", "q" * 1000, "@", "all"])
def test_an_unknown_name_is_one_printable_line(asked: str) -> None:
    with pytest.raises(SelectionError) as caught:
        select_stages(tts(), [asked])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_bases_name_their_file_and_groups() -> None:
    asr, speech = bases(tts())
    assert (asr.name, asr.tests, asr.groups) == ("qwen3_asr", ("tests/test_qwen3_asr.py",), ("wer", "speed"))
    assert (speech.name, speech.groups, len(speech.stages)) == ("tts", ("wer", "speed"), 8)


def test_the_base_of_a_stage_that_does_not_carry_its_variant() -> None:
    manifest = parse_manifest({"tts_higgs_wer": stage_data(group="wer", variant="stream", calibration_preset="higgs")})
    assert base_of(stage_of(manifest, "tts_higgs_wer")) == "tts"
    assert select_stages(manifest, ["tts_higgs_stream"]) == ("tts_higgs_wer",)


def test_an_exact_key_wins_over_an_alias() -> None:
    manifest = parse_manifest(
        {
            "mmmu": stage_data(group="speed"),
            "mmmu_speed": stage_data(group="speed"),
            "mmmu_accuracy": stage_data(group="accuracy"),
        }
    )
    assert select_stages(manifest, ["mmmu"]) == ("mmmu",)


NAMES = st.sampled_from(["a", "b", "a_b", "b_a"])


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    stages: dict[str, Json] = {}
    for _ in range(draw(st.integers(1, 8))):
        parts: dict[str, str | None] = {name: draw(st.none() | NAMES) for name in ("calibration_preset", "variant")}
        group = draw(NAMES)
        key = "_".join([draw(NAMES), *(part for part in parts.values() if part), group])
        stages[key] = stage_data(group=group, **dict(parts))
    return parse_manifest(stages)


@given(manifests(), st.data())
def test_a_selection_is_in_order_and_without_repeats(manifest: Manifest, data: st.DataObject) -> None:
    known = aliases(manifest)
    asked = data.draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=4))
    chosen = select_stages(manifest, asked)
    assert set(chosen) == {key for name in asked for key in known[name]}
    assert list(chosen) == [key for key in manifest.keys if key in chosen]
    assert select_stages(manifest, [",".join(asked)]) == chosen
    for key in manifest.keys:
        assert select_stages(manifest, [key]) == (key,)
    assert select_stages(manifest, ["ALL"]) == manifest.keys
    assert {key for base in bases(manifest) for key in base.stages} == set(manifest.keys)

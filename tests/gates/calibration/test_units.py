from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.schema import Manifest, SchemaError, parse_manifest
from gates.calibration.units import units_of
from gates.documents import Json
from tests.gates.calibration.samples import manifest_of, stage_data

pytestmark = pytest.mark.travels


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    stages: dict[str, Json] = {}
    for number in range(draw(st.integers(1, 8))):
        more: dict[str, Json] = {
            "test": draw(st.sampled_from(["tests/test_a.py", "tests/test_b.py", "more/test_a.py"])),
            "extra_env": dict(draw(st.sampled_from([{}, {"A": "1"}, {"A": "1", "B": "2"}, {"B": "2", "A": "1"}]))),
            "calibration_preset": draw(st.sampled_from([None, "higgs", "moss", "a/b"])),
            "gpus": draw(st.sampled_from([None, 0, 1, 2])),
        }
        stages[f"s{number}"] = stage_data(**more)
    return parse_manifest(stages)


@given(manifests(), st.data())
def test_units_part_the_stages(manifest: Manifest, data: st.DataObject) -> None:
    asked = data.draw(st.lists(st.sampled_from(manifest.keys), unique=True))
    units = units_of(manifest, asked)
    fed = [key for unit in units for key in unit.stages]
    assert sorted(fed) == sorted(asked)
    assert len({unit.key for unit in units}) == len(units)
    assert len({(unit.test, unit.extra_env) for unit in units}) == len(units)
    for unit in units:
        assert "/" not in unit.key
        for key in unit.stages:
            stage = manifest.get(key)
            assert stage is not None
            assert (stage.test, stage.extra_env) == (unit.test, unit.extra_env)
    first = [manifest.keys.index(unit.stages[0]) for unit in units_of(manifest, manifest.keys)]
    assert first == sorted(first)


@given(manifests(), st.data())
def test_a_unit_is_called_the_same_whatever_was_asked(manifest: Manifest, data: st.DataObject) -> None:
    asked = data.draw(st.lists(st.sampled_from(manifest.keys), unique=True))
    names = {(unit.test, unit.extra_env): unit.key for unit in units_of(manifest, manifest.keys)}
    assert all(names[unit.test, unit.extra_env] == unit.key for unit in units_of(manifest, asked))


def test_the_names_are_those_of_old_runs() -> None:
    manifest = manifest_of(
        mmmu_accuracy=stage_data(),
        mmmu_speed=stage_data(gpus=2),
        tts_higgs_wer=stage_data(
            test="tests/test_tts_ci.py", calibration_preset="higgs", extra_env={"P": "higgs"}, gpus=1
        ),
        tts_moss_wer=stage_data(test="tests/test_tts_ci.py", calibration_preset="moss", extra_env={"P": "moss"}),
    )
    units = units_of(manifest, manifest.keys)
    assert [unit.key for unit in units] == ["test_mmmu_ci", "test_tts_ci__higgs", "test_tts_ci__moss"]
    assert units[0].stages == ("mmmu_accuracy", "mmmu_speed")
    assert [unit.gpus_hint for unit in units] == [2, 1, None]


def test_two_units_of_one_name_are_told_apart() -> None:
    manifest = manifest_of(a=stage_data(extra_env={"A": "1"}), b=stage_data(extra_env={"A": "2"}))
    keys = [unit.key for unit in units_of(manifest, manifest.keys)]
    assert len(set(keys)) == 2
    assert all(key.startswith("test_mmmu_ci__") for key in keys)


def test_a_stage_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SchemaError, match="not in the manifest: nowhere"):
        units_of(manifest_of(a=stage_data()), ["a", "nowhere"])

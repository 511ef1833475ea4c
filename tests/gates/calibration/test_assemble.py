from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.assemble import assemble
from gates.documents import Broken, Document, Json
from gates.journal import Event, Journal
from tests.gates.calibration.samples import manifest_of, plan_data, record_data, stage_data

pytestmark = pytest.mark.travels

MANIFEST = manifest_of(a=stage_data(), b=stage_data())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def journal(*said: tuple[str, dict[str, object]]) -> Journal:
    events = [Event(f"id{n}", n, {}, "2026-05-25T02:43:02Z", kind, data) for n, (kind, data) in enumerate(said, 1)]
    return Journal(tuple(events))


def cell(stage: str = "a", run: int = 1, **more: object) -> dict[str, object]:
    return {"stage": stage, "run": run, **more}


def test_an_empty_directory() -> None:
    run = assemble({})
    assert (run.plan, run.manifest, run.manifest_from, run.fingerprint, run.journal) == (None, None, None, None, None)
    assert run.findings == ()
    assert not run.cells


def test_an_old_run_is_judged_by_the_checkout() -> None:
    run = assemble({"plan.json": plan_data(["a"]), "a/run1.json": record_data()}, MANIFEST)
    assert (run.manifest, run.manifest_from) == (MANIFEST, "checkout")
    assert set(run.cells) == {("a", 1)}
    assert run.findings == ()


def test_the_frozen_manifest_wins() -> None:
    documents: dict[str, Document] = {
        "plan.json": plan_data(["a"]),
        "stages.yaml": {"a": stage_data(expected_samples=20)},
    }
    run = assemble(documents, MANIFEST)
    assert run.manifest_from == "frozen"
    assert run.manifest is not None
    assert run.manifest.keys == ("a",)
    assert run.notes == ()


def test_a_checkout_that_measures_something_else_is_a_note() -> None:
    documents: dict[str, Document] = {
        "plan.json": plan_data(["a"]),
        "stages.yaml": {"a": stage_data(test="tests/test_old.py")},
    }
    run = assemble(documents, MANIFEST)
    assert run.findings == ()
    assert "a.test" in run.notes[0]


@pytest.mark.parametrize("broken", [Broken("stages.yaml:3:1: no"), None, {}, {"a": {"test": 5}}])
def test_a_broken_frozen_manifest_is_a_finding(broken: Document) -> None:
    run = assemble({"plan.json": plan_data(["a"]), "stages.yaml": broken}, MANIFEST)
    assert run.manifest_from == "checkout"
    assert len(run.findings) == 1
    assert run.findings[0].startswith("stages.yaml")


@pytest.mark.parametrize("broken", [Broken("plan.json:1:1: empty"), None, {}, []])
def test_a_broken_plan_is_a_finding(broken: Document) -> None:
    run = assemble({"plan.json": broken}, MANIFEST)
    assert run.plan is None
    assert len(run.findings) == 1


def test_a_planned_stage_that_the_manifest_lacks_is_a_finding() -> None:
    assert assemble({"plan.json": plan_data(["a", "gone"])}, MANIFEST).findings == (
        "gone is in plan.json and not in the manifest",
    )


def test_an_artifact_that_is_not_planned_is_a_note() -> None:
    run = assemble({"plan.json": plan_data(["a"]), "b/run1.json": record_data()}, MANIFEST)
    assert run.findings == ()
    assert run.notes == ("b/ holds artifacts and is not in plan.json",)


def test_a_file_that_holds_null_is_broken_and_not_absent() -> None:
    assert isinstance(assemble({"a/run1.json": None}).cells["a", 1], Broken)


def test_the_frozen_manifest_is_held_to_its_hash() -> None:
    plan = plan_data(["a"], stages_yaml_sha256="1" * 64)
    documents: dict[str, Document] = {"plan.json": plan, "stages.yaml": {"a": stage_data()}}
    assert assemble(documents, sha256={"stages.yaml": "1" * 64}).findings == ()
    assert "sha256" in assemble(documents, sha256={"stages.yaml": "2" * 64}).findings[0]


def test_a_discard_holds_until_the_repeat_was_run_again() -> None:
    discard = ("cell.discarded", cell(why="discard", reason="thermal throttling"))
    aside = ("cell.discarded", cell(why="set-aside", reason="incomplete"))
    recorded = ("cell.recorded", cell(sha256="1" * 64))
    documents: dict[str, Document] = {"a/run1.json": record_data()}
    assert dict(assemble(documents, journal=journal(recorded, discard)).discards) == {("a", 1): "thermal throttling"}
    assert not assemble(documents, journal=journal(discard, recorded)).discards
    assert not assemble(documents, journal=journal(discard, aside)).discards
    assert not assemble(documents, journal=journal(aside)).discards


def test_a_discard_by_anybody_else_does_not_count() -> None:
    assert not assemble({}, journal=journal(("cell.discarded", cell(reason="outlier")))).discards


def test_recorded_and_no_longer_there_is_a_finding() -> None:
    recorded = ("cell.recorded", cell())
    finding = "a/run1.json: recorded at 2026-05-25T02:43:02Z and no longer there"
    assert assemble({}, journal=journal(recorded)).findings == (finding,)
    assert assemble({"a/run1.json": record_data()}, journal=journal(recorded)).findings == ()
    for why in ("set-aside", "discard"):
        assert assemble({}, journal=journal(recorded, ("cell.discarded", cell(why=why)))).findings == ()


def test_changed_since_it_was_recorded_is_a_finding() -> None:
    documents: dict[str, Document] = {"a/run1.json": record_data()}
    said = journal(("cell.recorded", cell(sha256="1" * 64)))
    assert assemble(documents, journal=said, sha256={"a/run1.json": "1" * 64}).findings == ()
    assert "changed since" in assemble(documents, journal=said, sha256={"a/run1.json": "2" * 64}).findings[0]


def test_a_broken_line_of_the_journal_is_a_note() -> None:
    run = assemble({}, journal=Journal((), ("events.jsonl:3: not a JSON object",), torn=True))
    assert (run.findings, run.notes) == ((), ("events.jsonl:3: not a JSON object",))


def test_findings_are_bounded() -> None:
    said = journal(*(("cell.recorded", cell(run=n)) for n in range(1, 500)))
    findings = assemble({}, journal=said).findings
    assert len(findings) == 51
    assert findings[-1] == "and 449 more"


PATHS = (
    st.sampled_from(["plan.json", "stages.yaml", "environment-fingerprint.json", "a/run1.json", "b/run2.json"])
    | st.text()
)


@given(st.dictionaries(PATHS, JSON | st.builds(Broken, st.text()), max_size=5), st.integers())
def test_the_order_of_documents_changes_nothing(documents: dict[str, Document], seed: int) -> None:
    items = list(documents.items())
    Random(seed).shuffle(items)
    one, other = assemble(documents, MANIFEST), assemble(dict(items), MANIFEST)
    assert (one.findings, one.notes, one.manifest, one.manifest_from) == (
        *(other.findings, other.notes, other.manifest, other.manifest_from),
    )
    assert one.cells.keys() == other.cells.keys()
    assert all(document is not None for document in one.cells.values())


EVENT_DATA = st.dictionaries(st.sampled_from(["stage", "run", "why", "reason", "sha256"]), JSON)


@given(st.lists(st.tuples(st.sampled_from(["cell.recorded", "cell.discarded", "x"]), EVENT_DATA)))
def test_whatever_the_journal_says_it_is_read(said: list[tuple[str, dict[str, Json]]]) -> None:
    events = [Event("i", n, {}, "t\n", kind, dict(data)) for n, (kind, data) in enumerate(said)]
    run = assemble({}, journal=Journal(tuple(events)))
    assert all(finding.isprintable() for finding in run.findings)

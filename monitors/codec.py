"""A calibration's snapshot as JSON, and back: a history or another screen shows what was seen, not a retelling.

What follows from the rest is not kept: the journal from its bytes, run and audit from the documents and from what
the monitor judged them by. So a snapshot cannot be made to say READY by editing a word of it, and whoever reads
it gets the verdicts of his own gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Union, cast

from gates.calibration.assemble import assemble
from gates.calibration.audit import audit
from gates.calibration.schema import Locator, Manifest, SchemaError, Stage, parse_manifest
from gates.documents import Broken, Document, Json
from gates.journal import decode_journal
from gates.verdict import Decision, Evidence, Offer, Verdict
from hosts.host import ProcRef, ProcSeen, PytestSeen
from hosts.local.locks import Holder
from hosts.local.wire import WireError, from_wire, to_wire
from monitors.calibration.body import Calibration, LogSeen, Supervision
from monitors.snapshot import Active, Eta, Progress, Seen, Snapshot, State

VERSION = 3

_Value = Union[str, int, float, None]


def to_json(snapshot: Snapshot[Calibration]) -> Json:
    """A snapshot as JSON data. Bytes that are not UTF-8 become lone surrogates, which strict JSON can carry."""
    return {
        "v": VERSION,
        "system": "calibration",
        "watch": snapshot.watch,
        "state": snapshot.state.value,
        "seen": to_wire(snapshot.seen),
        "progress": to_wire(snapshot.progress),
        "eta": None if snapshot.eta is None else to_wire(snapshot.eta),
        "active": [to_wire(item) for item in snapshot.active],
        "verdicts": [cast(Json, verdict.to_json()) for verdict in snapshot.verdicts],
        "offers": [to_wire(offer) for offer in snapshot.offers],
        "error": snapshot.error,
        "body": _body_json(snapshot.body),
    }


def from_json(data: Json) -> Snapshot[Calibration]:
    """The snapshot that `to_json` wrote.

    Raises:
        WireError: It is something else, or of another version; the message names the key.
    """
    parts = _object(data, "snapshot")
    if parts.get("v") != VERSION or parts.get("system") != "calibration":
        raise WireError(f"snapshot: expected a calibration's of version {VERSION}")
    eta = parts.get("eta")
    try:
        state = State(parts.get("state"))
    except ValueError:
        raise WireError("state: not a state that is known here") from None
    return Snapshot(
        watch=_text(parts, "watch"),
        state=state,
        seen=from_wire(Seen, parts.get("seen"), "seen"),
        progress=from_wire(Progress, parts.get("progress"), "progress"),
        eta=None if eta is None else from_wire(Eta, eta, "eta"),
        active=tuple(from_wire(Active, item, "active") for item in _list(parts, "active")),
        verdicts=tuple(_verdict(item) for item in _list(parts, "verdicts")),
        offers=tuple(from_wire(Offer, item, "offers") for item in _list(parts, "offers")),
        error=None if parts.get("error") is None else _text(parts, "error"),
        body=_body(_object(parts.get("body"), "body")),
    )


def _body_json(body: Calibration) -> Json:
    return {
        "documents": {path: _document_json(document) for path, document in body.documents.items()},
        "sums": dict(body.sums),
        "journal": body.written.decode("utf-8", "surrogateescape"),
        "holder": None if body.holder is None else to_wire(body.holder),
        "runner": body.runner,
        "processes": [to_wire(process) for process in body.processes],
        "words": body.words,
        "unread": dict(body.unread),
        "times": dict(body.times),
        "stopped": [to_wire(ref) for ref in body.stopped],
        "logs": {path: to_wire(log) for path, log in body.logs.items()},
        "pytests": None if body.pytests is None else [to_wire(seen) for seen in body.pytests],
        "supervision": to_wire(body.supervision),
        "node": body.node,
        "manifest": None if body.manifest is None else manifest_json(body.manifest),
        "reference": body.reference,
        "judged": body.run is not None,
    }


def _body(parts: Mapping[str, Json]) -> Calibration:
    documents = MappingProxyType(
        {path: _document(item, path) for path, item in _object(parts.get("documents"), "documents").items()}
    )
    sums = _texts(parts, "sums")
    written = _text(parts, "journal").encode("utf-8", "surrogateescape")
    journal = decode_journal(written)
    holder, manifest, reference = parts.get("holder"), _manifest(parts.get("manifest")), parts.get("reference")
    run = None
    if parts.get("judged") is True:
        run = assemble(documents, manifest, journal, reference=reference, sha256=sums)
    return Calibration(
        documents=documents,
        sums=sums,
        journal=journal,
        written=written,
        holder=None if holder is None else from_wire(Holder, holder, "holder"),
        runner=_text(parts, "runner"),
        processes=tuple(from_wire(ProcSeen, item, "processes") for item in _list(parts, "processes")),
        words=_text(parts, "words"),
        unread=_texts(parts, "unread"),
        times=_numbers(parts, "times"),
        stopped=tuple(from_wire(ProcRef, item, "stopped") for item in _list(parts, "stopped")),
        logs=MappingProxyType(
            {path: from_wire(LogSeen, item, "logs") for path, item in _object(parts.get("logs"), "logs").items()}
        ),
        pytests=None
        if parts.get("pytests") is None
        else tuple(from_wire(PytestSeen, item, "pytests") for item in _list(parts, "pytests")),
        supervision=from_wire(Supervision, parts.get("supervision"), "supervision"),
        node=_text(parts, "node"),
        manifest=manifest,
        reference=reference,
        run=run,
        audit=None if run is None else audit(run),
    )


def _document_json(document: Document) -> Json:
    return {"broken": document.reason} if isinstance(document, Broken) else {"value": document}


def _document(data: Json, where: str) -> Document:
    parts = _object(data, where)
    if "value" in parts:
        return parts["value"]
    return Broken(_text(parts, "broken"))


def manifest_json(manifest: Manifest) -> Json:
    """A manifest as the data of a stages.yaml: `parse_manifest` makes the same one of it."""
    return {stage.key: _stage_json(stage) for stage in manifest.stages}


def _stage_json(stage: Stage) -> Json:
    counts = stage.sample_counts
    parts: dict[str, Json] = {
        "test": stage.test,
        "title": stage.title,
        "group": stage.group,
        "extra_env": dict(stage.extra_env),
        "context_vars": list(stage.context_vars),
        "variant": stage.variant,
        "calibration_preset": stage.calibration_preset,
        "gpus": stage.gpus,
        "hf_model_ids": list(stage.hf_model_ids),
        "test_file_sha256": stage.test_file_sha256,
        "last_discovered_at": stage.last_discovered_at,
        "expected_samples": stage.expected_samples,
        "threshold_file": stage.threshold_file,
        "threshold_file_sha256": stage.threshold_file_sha256,
        "observation_validity": _locator_json(stage.observation_validity),
        "allowed_pytest_failure": _locator_json(stage.allowed_pytest_failure),
        "sample_counts": None
        if counts is None
        else {"total": _locator_json(counts.total), "ok": _locator_json(counts.ok)},
        "metrics": {
            metric.key: {
                **(_locator_json(metric.locator) or {}),
                "source": metric.source,
                "worst": metric.worst,
                "display": to_wire(metric.display),
                "status": metric.status,
            }
            for metric in stage.metrics
        },
    }
    return {key: value for key, value in parts.items() if value is not None}


def _locator_json(locator: Locator | None) -> dict[str, Json] | None:
    return None if locator is None else {"json_file": locator.json_file, "json_path": locator.json_path}


def _manifest(data: Json) -> Manifest | None:
    try:
        return None if data is None else parse_manifest(data, "manifest")
    except SchemaError as error:
        raise WireError(str(error)) from None


def _verdict(data: Json) -> Verdict:
    parts = _object(data, "verdict")
    try:
        decision = Decision(parts.get("decision"))
    except ValueError:
        raise WireError("decision: not one that is known here") from None
    return Verdict(
        gate=_text(parts, "gate"),
        decision=decision,
        outcome=_text(parts, "outcome"),
        failure=_text_or_none(parts, "failure"),
        detail=_text(parts, "detail"),
        evidence=tuple(_evidence(_object(item, "evidence")) for item in _list(parts, "evidence")),
        missing=tuple(_plain_text(item, "missing") for item in _list(parts, "missing")),
        action=_text_or_none(parts, "action"),
        parts=tuple(_verdict(item) for item in _list(parts, "parts")),
    )


def _evidence(parts: Mapping[str, Json]) -> Evidence:
    line = parts.get("line")
    if line is not None and type(line) is not int:
        raise WireError("line: expected a whole number")
    return Evidence(
        what=_text(parts, "what"),
        file=_text_or_none(parts, "file"),
        line=line,
        value=_scalar(parts, "value"),
        limit=_scalar(parts, "limit"),
    )


def _scalar(parts: Mapping[str, Json], key: str) -> _Value:
    value = parts.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
        raise WireError(f"{key}: expected text, a number or null")
    return value


def _object(data: Json, where: str) -> dict[str, Json]:
    if not isinstance(data, dict):
        raise WireError(f"{where}: expected an object")
    return data


def _list(parts: Mapping[str, Json], key: str) -> list[Json]:
    value = parts.get(key)
    if not isinstance(value, list):
        raise WireError(f"{key}: expected an array")
    return value


def _text(parts: Mapping[str, Json], key: str) -> str:
    return _plain_text(parts.get(key), key)


def _text_or_none(parts: Mapping[str, Json], key: str) -> str | None:
    return None if parts.get(key) is None else _text(parts, key)


def _numbers(parts: Mapping[str, Json], key: str) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for name, value in _object(parts.get(key), key).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise WireError(f"{key}: expected numbers")
        found[name] = value
    return MappingProxyType(found)


def _plain_text(value: Json, key: str) -> str:
    if not isinstance(value, str):
        raise WireError(f"{key}: expected text")
    return value


def _texts(parts: Mapping[str, Json], key: str) -> Mapping[str, str]:
    found = _object(parts.get(key), key)
    return MappingProxyType({name: _plain_text(value, key) for name, value in found.items()})

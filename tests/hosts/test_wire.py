from __future__ import annotations

import json
from typing import Any

import pytest

from hosts.host import (
    Accelerators,
    Chunk,
    Cursor,
    DiskSeen,
    FileSeen,
    GpuDevice,
    GpuProcess,
    Load,
    MigDevice,
    Observation,
    ProcRef,
    ProcSeen,
    ProcsSeen,
    ProcsWant,
    TailSeen,
    TailWant,
    TreeSeen,
    TreeWant,
    Wants,
)
from hosts.local.wire import WireError, from_wire, to_wire

pytestmark = pytest.mark.travels

REF = ProcRef("h", "boot", 12, 345, 6, 7)
TREE = TreeWant("/runs", ("*.json", "a/b"), 99)
WANTS = Wants((TREE,), (TailWant("/log", 5),), ProcsWant((REF,), ("A=b",)), True, True, ("~", "/data"))
OBSERVATION = Observation(
    host="h",
    at=1.5,
    received=2.0,
    rtt=0.25,
    cursor=Cursor("t"),
    trees=(
        TreeSeen(TREE, {"\udcff": FileSeen("\udcff", 3, 4, 5, b"\x00\xff\n"), "b": FileSeen("b", 1, 2, 3)}, ("c",)),
    ),
    tails=(TailSeen("/log", 10, 5, b"hello", 1, 2),),
    procs=ProcsSeen((ProcSeen(REF, ("python", "-c", ""), "S", ("A=b",)),), (REF,)),
    accelerators=Accelerators(
        (
            GpuDevice(0, None, None, 1, 2, None, power=1.5, processes=(GpuProcess(1, None),)),
            GpuDevice(
                1,
                "H200",
                "GPU-1",
                3,
                4,
                5,
                processes=(
                    GpuProcess(9, 8, "ann", "python", 1.5, 7, ("A=b", "\udcff"), "/run"),
                    GpuProcess(10, 1, marks=()),
                ),
                power_limit=700.0,
                mig=(MigDevice(0, "MIG-1", "1g.18gb", 1, 2), MigDevice(1, None, None)),
                ghost=0,
            ),
        ),
        "nvml",
    ),
    load=Load((0.1, 0.2, 0.3), 2, None, 5, "boot", 12.5, "h", "6.1"),
    disks=(DiskSeen("~", 1 << 60, 1 << 62, "nfs4", True), DiskSeen("/x", None, None, error="not there")),
    errors={"procs": "no"},
)


@pytest.mark.parametrize(
    "value", [WANTS, OBSERVATION, Chunk(b"x", 1, 2, 3, 4, "f"), Wants(), Load(None, None, None, None)]
)
def test_what_is_sent_arrives(value: Any) -> None:
    assert from_wire(type(value), json.loads(json.dumps(to_wire(value)))) == value


def test_unknown_keys_are_passed_over_and_defaults_filled_in() -> None:
    assert from_wire(TailWant, {"path": "/x", "new": 1}) == TailWant("/x")


@pytest.mark.parametrize(
    ("cls", "data", "why"),
    [
        (Chunk, None, "expected an object"),
        (Chunk, {"data": "eA=="}, "offset is missing"),
        (TailWant, {"path": "/x", "size": True}, "size: expected int"),
        (TailWant, {"path": "/x", "size": "1"}, "size: expected int"),
        (TailWant, {"path": None}, "path: expected str"),
        (TreeWant, {"root": "/", "globs": "ab"}, "globs: expected an array"),
        (TreeWant, {"root": "/", "globs": [1]}, "globs: expected str"),
        (Load, {"averages": [1.0], "cores": 1, "memory_total": 1, "memory_available": 1}, "expected 3 items"),
        (Load, {"averages": [1, 2, 10**400], "cores": 1, "memory_total": 1, "memory_available": 1}, "out of range"),
        (TreeSeen, {"want": {"root": "/", "globs": []}, "files": []}, "files: expected an object"),
        (FileSeen, {"path": "a", "size": 1, "mtime_ns": 1, "inode": 1, "data": "not base64!"}, "data: expected base64"),
    ],
)
def test_anything_else_is_refused_by_key(cls: type[Any], data: Any, why: str) -> None:
    with pytest.raises(WireError, match=why):
        from_wire(cls, data)

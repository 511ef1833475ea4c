from __future__ import annotations

import pytest

from hosts.local.mounts import file_system, has_events, is_network, point_of

pytestmark = pytest.mark.travels

MOUNTS = r"""
22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /data rw shared:3 master:2 - nfs4 server:/x rw,vers=4.2
31 30 0:41 / /data/my\040runs rw - xfs /dev/sdb rw
32 22 0:42 / /mnt rw - ext4 /dev/sdc rw
33 32 0:43 / /mnt rw - fuse.sshfs host:/ rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/x", "ext4"),
        ("/data", "nfs4"),
        ("/data/runs/r5", "nfs4"),
        ("/database", "ext4"),
        ("/data/my runs/r5", "xfs"),
        ("/mnt/x", "fuse.sshfs"),
    ],
)
def test_the_nearest_mount_decides(path: str, kind: str) -> None:
    assert file_system(path, MOUNTS) == kind


@pytest.mark.parametrize(
    ("path", "point"), [("/data/runs/r5", "/data"), ("/data/my runs/x", "/data/my runs"), ("/x", "/")]
)
def test_where_it_is_mounted(path: str, point: str) -> None:
    assert point_of(path, MOUNTS) == point
    assert point_of(path, "") == ""


def test_this_machine_knows_its_own() -> None:
    assert file_system("/proc/self") == "proc"
    assert file_system("/tmp", "") is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ext4", True),
        ("xfs", True),
        ("tmpfs", True),
        ("overlay", True),
        ("nfs4", False),
        ("fuse.sshfs", False),
        (None, False),
    ],
)
def test_which_report_changes(kind: str | None, expected: bool) -> None:
    assert has_events(kind) is expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nfs4", True),
        ("lustre", True),
        ("fuse.sshfs", True),
        ("fuse.lxcfs", False),
        ("fuseblk", False),
        ("overlay", False),
        (None, False),
    ],
)
def test_which_are_served_by_another_machine(kind: str | None, expected: bool) -> None:
    assert is_network(kind) is expected

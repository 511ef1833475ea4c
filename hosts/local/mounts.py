"""What kind of file system a path lies on: some report no changes made elsewhere."""

from __future__ import annotations

import os
import re

_REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "beegfs", "gpfs", "ceph", "glusterfs", "9p", "afs", "pvfs2"}
    | {"ocfs2", "gfs2", "panfs", "wekafs", "virtiofs", "vboxsf", "vmhgfs"}
)
# File systems in user space whose files are here all the same
_HERE = frozenset({"fuse.lxcfs", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.bindfs", "fuse.gocryptfs", "fuse.encfs"})
_OCTAL = re.compile(r"\\([0-7]{3})")


def file_system(path: str, mountinfo: str | None = None) -> str | None:
    """The type of the file system that `path` lies on, such as ext4 or nfs4; None where the kernel does not tell.

    Args:
        mountinfo: The content of /proc/self/mountinfo, for tests; read where it is None.
    """
    if mountinfo is None:
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                mountinfo = file.read()
        except OSError:
            return None
    return type_of(os.path.realpath(path), mountinfo)


def type_of(path: str, mountinfo: str) -> str | None:
    """As `file_system`, of a path without links, from the content of /proc/self/mountinfo, here or elsewhere."""
    return _nearest(path, mountinfo)[1]


def point_of(path: str, mountinfo: str) -> str:
    """Where the file system is mounted that such a path lies on; "" where the kernel does not tell."""
    return _nearest(path, mountinfo)[0]


def _nearest(path: str, mountinfo: str) -> tuple[str, str | None]:
    best, kind = "", None
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        fields, kinds = left.split(" "), right.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = fields[4]
        if "\\" in point:
            point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), point)
        # A later mount on the same place covers an earlier one.
        if len(point) >= len(best) and (path == point or path.startswith(point.rstrip("/") + "/")):
            best, kind = point, kinds[0]
    return best, kind


def has_events(kind: str | None) -> bool:
    """Whether changes on a file system of this type are reported, whoever makes them."""
    return kind is not None and kind not in _REMOTE and not kind.startswith("fuse")


def is_network(kind: str | None) -> bool:
    """Whether a file system of this type is served by another machine, as far as a type tells."""
    return kind is not None and (kind in _REMOTE or (kind.startswith("fuse.") and kind not in _HERE))

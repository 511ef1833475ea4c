"""The lines of `hosts check`: what each kind of answer is judged as, and what mends it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from hosts.connection import Connection, Way
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Accelerators, Chunk, DiskSeen, GpuDevice, Load, Observation
from hosts.profiles import HostProfile, Reference, Ssh
from jobs.host_check import GIB, check_host

_NEWER = "; install Python 3.10 or newer there, or name one as python: of the profile"
_FILES = {"release": "/etc/os-release", "python": "/usr/bin/python3"}
FAR = HostProfile(name="box", launcher="ssh", ssh=Ssh(host="far", user="op", port=2222))
BEHIND = FAR.model_copy(update={"ssh": Ssh(host="far", user="op", port=2222, proxy_jump="jo@hop")})
_ASKING = "-p 2222 -o StrictHostKeyChecking=ask -o ControlPath=none"
_DRIVER = "nvidia-smi there has to list every GPU; see to the driver, or to the GPU, until it does"
INFOROM = "WARNING: infoROM is corrupted at gpu 0000:65:00.0"
CARD = GpuDevice(0, "NVIDIA H200", "GPU-1", 0, 143771, 0)
WELL = Observation(
    host="box",
    at=1000.0,
    received=1000.02,
    rtt=0.04,
    accelerators=Accelerators((CARD, CARD), "nvml", "580.1"),
    load=Load((1.5, 1, 1), 192, 2048 * 1024, 1024 * 1024, hostname="n1", kernel="5.15"),
    disks=(DiskSeen("~", 100 * GIB, 200 * GIB, "ext4"), DiskSeen("/nfs", 50 * GIB, 90 * GIB, "nfs4", True)),
)


class Told:
    """A host whose answers are given, and that has these files."""

    name = "box"

    def __init__(self, seen: Observation | GatewatchError, way: Way = Way.UP, **files: str) -> None:
        self._seen = seen
        self._files = {_FILES[name]: text for name, text in files.items() if text}
        self.connection = Connection(way, time.time())

    async def observe(self, *_: Any) -> Observation:
        if isinstance(self._seen, GatewatchError):
            raise self._seen
        return self._seen

    async def query(self, *_: Any) -> Any:
        return {"python": "3.12.1"}

    async def read(self, path: str, *_: Any) -> Chunk:
        if path not in self._files:
            raise InputError("not there")
        return Chunk(self._files[path].encode(), 0, 0, 1, 0, "")


async def lines(seen: Observation | GatewatchError, profile: HostProfile = FAR, **more: Any) -> tuple[list[str], int]:
    told: Any = Told(seen, **more)
    found = await check_host(told, profile, 5)
    assert found.ok is all(item.ok for item in found.items)
    return [
        f"{item.mark} {item.name}: {item.detail}{f' | {item.mend}' if item.mend else ''}" for item in found.items
    ], (found.code)


async def test_all_is_well() -> None:
    assert await lines(WELL) == (
        [
            "✓ reachable: a look takes 40 ms",
            "✓ python: python3 is 3.12.1",
            "✓ GPUs: 2 × NVIDIA H200, by nvml, driver 580.1",
            "✓ machine: n1, Linux 5.15, 192 cores, 1024 of 2048 GiB memory free, load 1.5",
            "✓ clock: as ours, to 0.1 s",
            "✓ room in ~: 100 of 200 GiB free, ext4",
            "✓ room in /nfs: 50 of 90 GiB free, nfs4 from another machine: what changes there is looked for, not told",
        ],
        0,
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"at": 1010.0}, "✗ clock: 10.0 s ahead of ours, to 0.1 s | sudo timedatectl set-ntp true"),
        ({"at": 990.0}, "✗ clock: 10.0 s behind ours, to 0.1 s | sudo timedatectl set-ntp true"),
        ({"at": 1001.0}, "✓ clock: 1.0 s ahead of ours, to 0.1 s"),
        ({"disks": (DiskSeen("~", GIB, 9 * GIB, "xfs"),)}, "✗ room in ~: 1 of 9 GiB free, xfs; what may be removed"),
        ({"disks": (DiskSeen("~", None, None, error="not there"),)}, "✗ room in ~: not there; make the folder there"),
        (
            {"accelerators": Accelerators((), "unknown", detail="the driver hangs")},
            "✗ GPUs: the driver hangs; nvidia-smi there has to list every GPU; see to the driver, or",
        ),
        ({"accelerators": Accelerators((), "none")}, "✓ GPUs: none"),
        (
            {"accelerators": Accelerators((), "none", detail="nvidia-smi: no devices were found")},
            "✗ GPUs: none: nvidia-smi: no devices were found; nvidia-smi there has to list every GPU; why it does not",
        ),
        (
            {"accelerators": Accelerators((), "none", "580.1", detail="the driver is loaded and sees no GPU")},
            "✗ GPUs: none: the driver is loaded and sees no GPU; nvidia-smi there has to list every GPU; why",
        ),
        (
            {"accelerators": Accelerators((CARD,), "nvidia-smi", detail=f"nvidia-smi: {INFOROM}; {INFOROM}")},
            f"✗ GPUs: 1 × NVIDIA H200, by nvidia-smi; nvidia-smi: {INFOROM}; {INFOROM}; every GPU is listed and can be",
        ),
        (
            {"accelerators": Accelerators((CARD,), "nvidia-smi", detail=f"nvidia-smi: GPU 1: GPU is lost; {INFOROM}")},
            f"✗ GPUs: 1 × NVIDIA H200, by nvidia-smi; nvidia-smi: GPU 1: GPU is lost; {INFOROM}; nvidia-smi there has",
        ),
        ({"load": None, "errors": {"load": "no /proc"}}, "✗ machine: no /proc; check again; where it stays so"),
        ({"disks": (DiskSeen("~", None, None),)}, "✗ room in ~: unknown, a file system of unknown type; look by hand"),
        (
            {"accelerators": None, "errors": {"accelerators": "no answer in time"}},
            "✗ GPUs: no answer in time; check again; where it stays so",
        ),
    ],
)
async def test_what_is_wrong_is_one_line(change: dict[str, Any], line: str) -> None:
    found, code = await lines(replace(WELL, **change))
    assert [one for one in found if one.startswith(line)]
    assert code == (1 if line.startswith("✗") else 0)


@pytest.mark.parametrize(
    "names",
    [
        {"gpu_include": (0, 1)},
        {"gpu_exclude": (7,)},
        {"gpu_group_cpusets": {"0,1": "0-15"}},
        {"reference": Reference(gpu_model="NVIDIA H200")},
    ],
    ids=lambda names: next(iter(names)),
)
async def test_no_gpu_is_wrong_where_the_profile_names_some(names: dict[str, Any]) -> None:
    found, code = await lines(replace(WELL, accelerators=Accelerators((), "none")), FAR.model_copy(update=names))
    assert [one for one in found if one.startswith("✗ GPUs: none, and no NVIDIA driver, but the profile names GPUs; ")]
    assert code == 1


@pytest.mark.parametrize(
    ("release", "mend"),
    [
        ("ID=ubuntu\nID_LIKE=debian\n", " | sudo apt-get install -y python3"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', " | sudo dnf install -y python3"),
        ("ID=$(id)\n", _NEWER),
        ("", _NEWER),
    ],
)
async def test_without_a_python(release: str, mend: str) -> None:
    found, code = await lines(replace(WELL, errors={"python": "no python there: none"}), release=release)
    assert f"✗ python: no python there: none; logs and GPUs can be watched, nothing can be run{mend}" in found
    assert code == 1


@pytest.mark.parametrize(
    ("named", "missing", "there", "told"),
    [
        (
            "python-none",
            "no python there: none",
            "x",
            "nothing can be run; /usr/bin/python3 is there: name it as python: of the profile",
        ),
        ("python-none", "no python there: none", "", f"nothing can be run{_NEWER}"),
        ("python3", "it is 3.8; gatewatch needs 3.10 or newer there", "", f"nothing can be run{_NEWER}"),
    ],
)
async def test_another_python_that_is_installed_mends_nothing(named: str, missing: str, there: str, told: str) -> None:
    profile = FAR.model_copy(update={"python": named})
    seen = replace(WELL, errors={"python": missing})
    found, _ = await lines(seen, profile, release="ID=ubuntu\n", python=there)
    assert f"✗ python: {missing}; logs and GPUs can be watched, {told}" in found


@pytest.mark.parametrize("missing", ["it runs no commands: no", "the helper did not start: it ended with status 0: no"])
async def test_of_an_account_that_runs_nothing_no_other_python_and_no_driver_are_asked_for(missing: str) -> None:
    cards = Accelerators((), "unknown", detail="nvidia-smi: no")
    seen = replace(WELL, errors={"python": missing}, accelerators=cards)
    for named in ("python3", "/opt/python"):
        found, code = await lines(seen, FAR.model_copy(update={"python": named}), release="ID=ubuntu\n", python="x")
        needed = "the account has to be able to run a command without output of its own"
        assert f"✗ python: {missing}; files can be read, nothing can be run; {needed}" in found
        assert f"✗ GPUs: nvidia-smi: no; {needed}" in found
        (told, _), driver = await lines(replace(seen, accelerators=replace(cards, detail="the driver hangs"))), _DRIVER
        assert f"✗ GPUs: the driver hangs; {driver}" in told
        assert code == 1


@pytest.mark.parametrize(
    ("error", "way", "said", "mend"),
    [
        ("far: its host key is unknown: …", Way.REFUSED, "its host key is unknown", f"ssh {_ASKING} op@far true"),
        ("far: login refused: no", Way.REFUSED, "login refused", "ssh-copy-id -p 2222 op@far"),
        ("far: login refused: no", Way.CONNECTING, "login refused", "ssh-copy-id -p 2222 op@far"),
        ("far: on the way there, hop: login refused: no", Way.REFUSED, "login refused", "ssh-copy-id jo@hop"),
        (
            "far: connection refused",
            Way.WAITING,
            "connection refused; no SSH server listens there",
            "sudo systemctl start ssh || sudo systemctl start sshd",
        ),
        (
            "far: retry in 1 s (ssh: connect to host far port 2222: Connection refused)",
            Way.WAITING,
            "Connection refused); no SSH server listens there",
            "sudo systemctl start ssh || sudo systemctl start sshd",
        ),
        ("far: on the way there, hop: connection refused", Way.WAITING, "refused; start the SSH server there", None),
        ("far: no login within 20 s", Way.WAITING, "20 s; see whether far is up", None),
        ("far: no answer to observe within 20 s", Way.UP, "20 s; it lets us in and does not answer", None),
        ("far: the helper did not start within 45 s", Way.UP, "45 s; it lets us in and does not answer", None),
        (
            "far: the helper did not start: more than 9 bytes came before the first frame: x",
            Way.UP,
            "frame: x; the account has to be able to run a command without output of its own",
            None,
        ),
        (
            "far: the helper did not start: it ended with status 1: /proc is not readable here",
            Way.UP,
            "readable here; it lets us in, and our helper has to be able to run there: see to what it says",
            None,
        ),
        ("far: no session could be opened: open failed", Way.UP, "failed; MaxSessions in sshd_config there", None),
        ("far: it takes no more sessions: 9 are open", Way.UP, "9 are open; MaxSessions in sshd_config there", None),
        (
            "far: no session could be opened: Session request failed",
            Way.UP,
            "failed; the account has to be able to run a command without output of its own",
            None,
        ),
        ("far: the helper stopped answering", Way.STALE, "answering; it lets us in: check again; where it", None),
        (
            "it runs no commands: This account is currently not available.; and no SFTP: far: no session",
            Way.UP,
            "no session; the account has to be able to run a command without output of its own, or to use SFTP",
            None,
        ),
        (
            "no python there: python3 cannot be run on far; and no SFTP: far: no session",
            Way.UP,
            "no session; install Python 3.10 or newer there",
            None,
        ),
        ("far: its host key cannot be trusted (k): no", Way.REFUSED, "no; ask whoever runs the host", None),
        ("far: no common way to encrypt: no", Way.WAITING, "no; its SSH server has to allow", None),
        ("far: Name or service not known", Way.WAITING, "not known; give its address as ssh.host", None),
        (
            "far: its host key has changed; if that is right, remove the old one: ssh-keygen -R far -f known",
            Way.KEY_CHANGED,
            "its host key has changed",
            "ssh-keygen -R far -f known",
        ),
    ],
)
async def test_one_that_cannot_be_reached(error: str, way: Way, said: str, mend: str | None) -> None:
    told: Any = Told(UnreachableError(error), way)
    found = await check_host(told, BEHIND if ", hop: " in error else FAR, 5)
    [item] = found.items
    assert (item.ok, item.name, item.mend, found.code) == (False, "reachable", mend, 4)
    assert said in item.detail
    assert "ssh-keygen" not in item.detail

"""`gatewatch hosts watch`: on a real terminal, over real ways to this machine, and without a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hosts.errors import InputError
from tests.peers import sshd
from tests.peers.quick import Quick, until
from tests.tui.test_cli_watch import PATIENCE_S, Screen
from tui.cli.hosts_watch import find_fleet

pytestmark = pytest.mark.timeout(240)


def test_without_a_terminal_it_says_what_to_do_instead(quick: Quick) -> None:
    done = quick.gatewatch("hosts", "watch")
    assert (done.code, done.out) == (2, b"")
    told = "gatewatch hosts gpus [HOST ...] [--json]"
    assert done.said == f"gatewatch: error: the dashboard needs a terminal; without one: {told}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-oProxyCommand=x",), "unrecognized arguments: -oProxyCommand=x"),
        (("--", "-oProxyCommand=x"), "'-oProxyCommand=x' is not a host"),
        (("a b",), "'a b' is not a host"),
        ((), "no profile in"),
        (("--interval", "0"), "more than 0 and at most 120 s"),
    ],
    ids=" ".join,
)
def test_what_is_no_host_needs_no_screen(words: tuple[str, ...], complaint: str, quick: Quick) -> None:
    with Screen(quick.argv("hosts", "watch", *words), quick.folder, (24, 400)) as screen:
        assert screen.wait() == 2
        assert complaint in screen.text
        assert b"\x1b[?1049h" not in screen.output, "no screen was opened for it"


def test_a_folder_with_nothing_but_profiles_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no hosts/\*\.yaml in .*; or name a host: gatewatch hosts watch HOST$"):
        find_fleet([], None)
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "gpu-a.yaml").write_text("launcher: ssh\nssh: {host: 127.0.0.1, port: 2200}\n")
    assert [profile.name for profile in find_fleet([], None).profiles] == ["gpu-a"]
    (named,) = find_fleet(["gpu-a"], None).profiles
    assert named.ssh is not None
    assert named.ssh.port == 2200, "the profile is meant and not a host of that name"


def test_all_profiles_are_watched_and_one_that_is_wrong_is_told(quick: Quick) -> None:
    quick.hop("near")
    quick.hop("far")
    (quick.folder / "hosts" / "bad.yaml").write_text("launcher: rocket\n")
    (quick.folder / "hosts" / "queue.yaml").write_text("launcher: slurm\n")
    with Screen(quick.argv("hosts", "watch"), quick.folder, (40, 160)) as screen:
        for told in ("near", "far", "rocket", "slurm is not supported"):
            screen.until(told, PATIENCE_S)
        screen.press_and_see(b"\x1b", "No run is watched")
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0
        screen.left_clean()


def test_a_passphrase_is_typed_on_a_real_terminal_and_never_shown(quick: Quick, tmp_path: Path) -> None:
    key = sshd.make_key(tmp_path / "key", "ecdsa")
    (tmp_path / "server").mkdir()
    with sshd.running(tmp_path / "server") as peer:
        (peer.folder / "allowed").write_text(f"{sshd.public(key)}\n")
        argv = ["ssh-keygen", "-q", "-p", "-a", "1", "-m", "PKCS8", "-N", "Zq7-open", "-f", str(key)]
        subprocess.run(argv, check=True, capture_output=True)
        way = f"host: 127.0.0.1, port: {peer.port}, identity_file: {key}, known_hosts: {peer.known_hosts}"
        (quick.folder / "hosts").mkdir()
        text = f"launcher: ssh\nssh: {{{way}}}\npython: {sys.executable}\n"
        (quick.folder / "hosts" / "box.yaml").write_text(text)
        with Screen(quick.argv("hosts", "watch"), quick.folder, (24, 160)) as screen:
            screen.until("asks for: passphrase of", PATIENCE_S)

            def heard() -> bool:
                screen.press(b"?")  # text here; what comes too soon is not heard
                return "•" in screen.text

            until(heard, "that it hears what is typed", PATIENCE_S)
            screen.press(b"\x15Zq7-open\r")
            screen.until("up ", PATIENCE_S)
            screen.press(b"q")
            assert screen.wait(PATIENCE_S) == 0
            screen.left_clean()
            assert b"Zq7" not in screen.output


def test_a_profile_counts_before_what_ssh_makes_of_a_name(quick: Quick) -> None:
    quick.hop("near")
    root = str(quick.folder)
    near, other, login = find_fleet(["near", "elsewhere", "me@near", "near"], root).profiles
    assert (near.name, near.python) == ("near", sys.executable)
    assert other.ssh is not None
    assert (other.ssh.host, other.ssh.user) == ("elsewhere", None)
    assert login.ssh is not None
    assert (login.ssh.host, login.ssh.user) == ("near", "me")


def test_of_two_hosts_of_one_name_the_second_is_told(tmp_path: Path) -> None:
    """A copied profile must not hide behind the one it was copied from."""
    (tmp_path / "hosts").mkdir()
    for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")):
        called = "gpu" if name < "c" else "other"
        profile = f"name: {called}\nlauncher: ssh\nssh: {{host: {address}}}\n"
        (tmp_path / "hosts" / f"{name}.yaml").write_text(profile)
    fleet = find_fleet([], str(tmp_path))
    assert [(one.name, one.ssh and one.ssh.host) for one in fleet.profiles] == [
        ("gpu", "10.0.0.1"),
        ("gpu", "10.0.0.2"),
        ("other", "10.0.0.3"),
    ]
    [note] = fleet.notes
    assert note == f"{tmp_path}/hosts/b.yaml is called gpu, as a.yaml is; give it another as name:"


def test_a_profile_of_another_machine_without_a_way_there_is_told_and_not_shown_as_this_one(quick: Quick) -> None:
    quick.hop("near")
    (quick.folder / "hosts" / "far.yaml").write_text("hostname: far.lab\n")
    root = str(quick.folder)
    fleet = find_fleet([], root)
    assert [one.name for one in fleet.profiles] == ["near"]
    assert fleet.notes[0].startswith("far: its hostname is far.lab and this machine is ")
    with pytest.raises(InputError, match=r"far: its hostname is far\.lab"):
        find_fleet(["near", "far"], root)


def test_where_every_profile_is_wrong_the_first_is_told(quick: Quick) -> None:
    folder = Path(quick.folder / "hosts")
    folder.mkdir()
    (folder / "bad.yaml").write_text("launcher: rocket\n")
    with pytest.raises(InputError, match="rocket"):
        find_fleet([], str(quick.folder))

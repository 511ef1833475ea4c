"""Which host a name means, and which one somebody may have meant who typed another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Wants
from hosts.profiles import HostProfile
from jobs.connect import _guessing, open_reader
from jobs.named_host import TypedHost, likely, named_profile


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two hosts, and an ssh configuration that names others."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TUNE_HOST", "")
    (tmp_path / "hosts").mkdir()
    (tmp_path / "models").mkdir()
    for name, profile in (
        ("h20-a", "launcher: ssh\nssh: {host: 127.0.0.1}\n"),
        ("lab", "name: lab-gpu\n"),
        ("bad", "["),
    ):
        (tmp_path / "hosts" / f"{name}.yaml").write_text(profile)
    (tmp_path / ".ssh" / "more").mkdir(parents=True)
    text = 'Include more/*\nInclude none\nHost * !x\n  User me\nHost=bastion "quoted" node*.lab ?\n'
    (tmp_path / ".ssh" / "config").write_text(text)
    (tmp_path / ".ssh" / "more" / "a").write_text("host included-one\n\tHostName 10.0.0.1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("h20a", "h20-a"),
        ("op@h20-b", "h20-a"),
        ("lab-gpus", "lab-gpu"),
        ("bastoin", "bastion"),
        ("quote", "quoted"),
        ("included-two", "included-one"),
        ("node7.lab", ""),
        ("bastion", ""),
        ("op@bastion", ""),
        ("something.else.entirely", ""),
        ("x", ""),
    ],
)
def test_a_name_like_one_that_is_known_is_asked_about(typed: str, meant: str, root: Path) -> None:
    profile = named_profile(typed, str(root))
    assert isinstance(profile, TypedHost)
    assert likely(profile) == meant


def test_a_configuration_that_includes_itself_ends(root: Path) -> None:
    with (root / ".ssh" / "config").open("a") as file:
        file.write("Include config\n")
    profile = named_profile("bastoin", str(root))
    assert isinstance(profile, TypedHost)
    assert likely(profile) == "bastion"


def test_among_very_many_names_the_likely_one_is_found_soon(root: Path) -> None:
    """Some sites write a name for each of their machines."""
    with (root / ".ssh" / "config").open("a") as file:
        file.writelines(f"Host node{number:06d}.cluster.example.org\n" for number in range(20000))
    for typed, meant in (
        ("nodee004711.cluster.example.org", "node004711.cluster.example.org"),
        ("mode004711.cluster.example.org", "node004711.cluster.example.org"),
        ("bastoin", "bastion"),
    ):
        profile = named_profile(typed, str(root))
        assert isinstance(profile, TypedHost)
        began = time.process_time()
        assert likely(profile) == meant
        assert time.process_time() - began < 2.0


@pytest.mark.parametrize("written", ['"gpu box"', "'gpu box'", "gpu\x1b[31m", '"gpu-?"', "!gpu-a"])
def test_what_is_written_there_and_is_no_host_is_not_meant(written: str, root: Path) -> None:
    with (root / ".ssh" / "config").open("a") as file:
        file.write(f"Host {written}\n")
    profile = named_profile("gpub", str(root))
    assert isinstance(profile, TypedHost)
    assert likely(profile) == ""


async def test_the_files_are_read_once_however_often_a_host_is_tried(root: Path) -> None:
    async def opener(_: tuple[str, ...]) -> object:
        raise UnreachableError("bastoin: [Errno -2] Name or service not known")

    profile = await asyncio.to_thread(named_profile, "bastoin", str(root))
    assert isinstance(profile, TypedHost)
    opened = _guessing(opener, profile)  # type: ignore[arg-type]  # it gives nothing
    for _ in range(2):
        with pytest.raises(UnreachableError, match=r"did you mean bastion\?$"):
            await opened(("python3",))
        (root / ".ssh" / "config").unlink(missing_ok=True)


def test_who_has_no_files_at_all_is_asked_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    profile = named_profile("h20-a")
    assert isinstance(profile, TypedHost)
    assert likely(profile) == ""


def test_a_profile_is_taken_as_it_is(root: Path) -> None:
    assert type(named_profile("h20-a", str(root))) is HostProfile


async def test_a_host_that_nobody_knows_is_not_reached_and_the_likely_one_named(root: Path) -> None:
    (root / ".ssh/known_hosts").mkdir(parents=True, exist_ok=True)  # no key can be looked up, so no name is
    typed = await asyncio.to_thread(named_profile, "h20a", str(root))
    reader = await asyncio.to_thread(open_reader, typed)
    with pytest.raises(InputError, match=r"cannot be checked; did you mean h20-a\?$") as told:
        await reader.observe(Wants(), None, 20.0)
    assert told.value.code == 2, "as it was without the guess"
    await reader.close()


@pytest.mark.parametrize(
    ("error", "guessed"),
    [
        (UnreachableError("h20a: [Errno -2] Name or service not known"), True),
        (UnreachableError("h20a: connection refused"), False),
        (InputError("h20a: its host key is unknown: known_hosts has no key for it"), True),
        (InputError("h20a: login refused: no"), False),
    ],
    ids=str,
)
async def test_only_who_is_unknown_is_guessed_at(error: GatewatchError, guessed: bool, root: Path) -> None:
    async def opener(_: tuple[str, ...]) -> object:
        raise error

    profile = await asyncio.to_thread(named_profile, "h20a", str(root))
    assert isinstance(profile, TypedHost)
    opened: Callable[[tuple[str, ...]], object] = opener
    with pytest.raises(type(error)) as told:
        await _guessing(opened, profile)(("python3",))  # type: ignore[arg-type]  # it gives nothing
    assert str(told.value) == f"{error}{'; did you mean h20-a?' if guessed else ''}"


def test_which_of_several_profiles_is_meant_is_asked_and_not_guessed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        model = tmp_path / "repo" / ".claude" / "skills" / name / "models" / "m"
        model.mkdir(parents=True)
        (model / "config.yaml").write_text("{}")
    hosts = tmp_path / "repo" / ".claude" / "skills" / "a" / "hosts"
    hosts.mkdir()
    (hosts / "inc.yaml").write_text("enter: [env, IN=container]\n")
    (tmp_path / "repo" / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    with pytest.raises(InputError, match=r"several folders hold models: .*; choose one with --root, or work in it"):
        named_profile("inc")
    assert named_profile("inc", str(hosts.parent)).enter == ("env", "IN=container")
    for known_to_no_profile in ("op@inc", "bastion"):
        assert isinstance(named_profile(known_to_no_profile), TypedHost)


@pytest.mark.parametrize("name", ["lab-gpu", "bastion", "op@bastion"])
def test_a_folder_that_is_named_and_not_there_is_told(name: str, root: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        named_profile(name, str(root / "none"))

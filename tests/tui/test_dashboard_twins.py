"""Hosts of one name that are several machines, and several profiles that are one host."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hosts.profiles import AgentPolicy, HostProfile, Ssh
from tests.peers import sshd
from tests.peers.quick import old_run
from tests.tui.test_dashboard import desk
from tests.tui.test_dashboard_hosts import _nobody_at_home, hosts_of, peer  # noqa: F401 - fixtures
from tui.dashboard import DashboardApp
from tui.dashboard_begin import Sight
from tui.dashboard_runs import HERE, Wanted
from tui.screens.hosts import HostsScreen
from tui.screens.run import RunScreen

pytestmark = pytest.mark.timeout(240)


def checkout(folder: Path, name: str, profile: str) -> Path:
    """A checkout with one profile of this name."""
    (folder / "hosts").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "hosts" / f"{name}.yaml").write_text(profile)
    return folder


def hop(mark: str) -> str:
    """A way to this machine of its own kind, which its helper's environment tells."""
    return f"enter: [env, TWIN={mark}]\npython: {sys.executable}\n"


async def test_the_hosts_of_two_checkouts_that_have_one_name_are_two(tmp_path: Path) -> None:
    first, second = (checkout(tmp_path / name / "tune", "gpu", hop(name)) for name in ("one", "two"))
    run = old_run(tmp_path / "runs" / "far")
    runs = tuple(Wanted(f"gpu:{run}", root=str(root)) for root in (first, second))
    async with desk(Sight(runs=runs), size=(120, 40)) as at:
        await at.until(lambda: len(at.app.entries) == 2, "the same path on both")
        await at.until(lambda: all(entry.look for entry in at.app.entries.values()), "both seen")
        assert [station.name for station in at.app._stations] == ["gpu", "gpu (two)"]
        readers = {entry.place.reader for entry in at.app.entries.values() if entry.place is not None}
        assert len(readers) == 2
        assert {entry.where for entry in at.app.entries.values()} == {"gpu", "gpu (two)"}
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen))
        await at.until(lambda: any("gpu (two)" in row for row in at.rows) and "2 hosts" in at.rows[0])


async def test_a_run_that_is_opened_from_another_checkout_is_on_its_own_host(tmp_path: Path) -> None:
    first, second = (checkout(tmp_path / name, "gpu", hop(name)) for name in ("one", "two"))
    runs = [old_run(tmp_path / "runs" / name) for name in ("a", "b")]
    async with desk(Sight(runs=(Wanted(f"gpu:{runs[0]}", root=str(first)),)), size=(120, 40)) as at:
        await at.until(lambda: at.looked("/a"))
        at.app.open_run(str(runs[1]), "gpu", str(second))
        await at.until(lambda: at.looked("/b"))
        await at.until(lambda: isinstance(at.app.screen, RunScreen) and "@gpu (two)" in "".join(at.rows))
        assert at.app.entries[f"gpu (two):{runs[1]}"].where == "gpu (two)"


async def test_two_files_of_one_checkout_with_one_name_are_told_apart_by_where_they_lead(tmp_path: Path) -> None:
    root = checkout(tmp_path / "repo", "a", "name: gpu\n" + hop("a"))
    (root / "hosts" / "b.yaml").write_text("name: gpu\n" + hop("b"))
    run = old_run(tmp_path / "runs" / "far")
    runs = tuple(Wanted(f"{name}:{run}", root=str(root)) for name in ("a", "b"))
    async with desk(Sight(runs=runs), size=(120, 40)) as at:
        await at.until(lambda: len(at.app.entries) == 2)
        assert [station.name for station in at.app._stations] == ["gpu", "gpu (env TWIN=b)"]


async def test_twins_over_ssh_are_named_with_their_address_or_else_a_number() -> None:
    def far(host: str, **more: str) -> HostProfile:
        return HostProfile(name="gpu", launcher="ssh", ssh=Ssh(host=host, port=9, user="anna"), **more)  # type: ignore[arg-type]

    fleet = (far("127.0.0.1"), far("127.0.0.2"), far("127.0.0.2", python="/opt/python"))
    async with desk(Sight(), start=hosts_of(*fleet), size=(120, 40)) as at:
        await at.until(lambda: len(at.app._stations) == 3)
        names = [station.name for station in at.app._stations]
        assert names == ["gpu", "gpu (anna@127.0.0.2:9)", "gpu (2)"]
        assert set(names) <= at.app.hosts.keys()


async def test_profiles_that_lead_to_one_host_in_one_way_are_one(peer: sshd.SshPeer) -> None:  # noqa: F811
    ssh = Ssh(
        host="127.0.0.1",
        port=peer.port,
        identity_file=str(peer.keys["plain"]),
        known_hosts=str(peer.known_hosts),
    )
    calm = HostProfile(name="gpu", launcher="ssh", ssh=ssh, python=sys.executable, repo_root="/")
    often = calm.model_copy(update={"repo_root": "/tmp", "agent_policy": AgentPolicy(poll_interval_max_s=1.0)})
    async with desk(Sight(), start=hosts_of(calm, often), interval=120.0) as at:
        await at.until(lambda: at.app._stations.named("gpu"))
        (station,) = at.app._stations
        await at.until(lambda: {disk.path for disk in at.app.hosts["gpu"].body.disks} >= {"/", "/tmp"})
        await at.until(lambda: station._watch.looks >= 3, "as often as the more cautious of the two says")


async def test_this_machine_is_looked_at_as_often_as_its_own_profile_says() -> None:
    own = HostProfile(name="own", launcher="local", agent_policy=AgentPolicy(poll_interval_max_s=1.0))
    async with desk(Sight(), start=hosts_of(own), interval=120.0) as at:
        await at.until(lambda: at.app._stations.named("own"))
        (station,) = at.app._stations
        await at.until(lambda: station._watch.looks >= 3, "look after look, though nothing changes")


async def test_a_profile_of_this_machine_that_comes_later_counts_too(tmp_path: Path) -> None:
    run = old_run(tmp_path / "run")
    own = HostProfile(name="own", launcher="local", agent_policy=AgentPolicy(poll_interval_max_s=1.0))
    async with desk(Sight(runs=(Wanted(str(run)), Wanted("none"))), interval=120.0) as at:
        await at.until(lambda: at.looked("run"))
        (station,) = at.app._stations
        assert station.name == HERE
        looks = station._watch.looks
        await at.app.add_host(own)
        await at.until(lambda: station._watch.looks >= looks + 3)


async def test_a_second_profile_of_this_machine_is_told_of(tmp_path: Path) -> None:
    told: list[str] = []
    own, other = (HostProfile(name=name, launcher="local") for name in ("own", "other"))
    hopped = HostProfile(name="hopped", enter=("env", "TWIN=a"), python=sys.executable)

    async def begin(app: DashboardApp) -> None:
        told.extend(await app.add_hosts((own, other, hopped, own)))

    async with desk(Sight(), start=begin, size=(120, 40)) as at:
        await at.until(lambda: len(at.app._stations) == 2 and told)
        assert [station.name for station in at.app._stations] == ["own", "hopped"]
        assert told == ["host other is this machine, which is shown as own"]


async def test_a_profile_of_this_machine_that_is_watched_for_its_runs_is_told_of(tmp_path: Path) -> None:
    run = old_run(tmp_path / "run")
    own = HostProfile(name="own", launcher="local")
    async with desk(Sight(runs=(Wanted(str(run)), Wanted("none")))) as at:
        await at.until(lambda: at.looked("run"))
        assert await at.app.add_hosts([own]) == [f"host own is this machine, which is shown as {HERE}"]

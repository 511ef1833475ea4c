"""`gatewatch hosts …`: the host profiles of a checkout, which one is meant here, what hosts have, commands there."""

from __future__ import annotations

import argparse
import os
import socket
from typing import Any

from tui.cli.commands import Entry, Group, add_json

CLI = Group(
    "hosts",
    "list the host profiles, show the accelerators of hosts, watch and check hosts, and run a command there",
    (
        Entry("list", "list the host profiles", "tui.cli.hosts", "LIST"),
        Entry("gpus", "show the accelerators of hosts, and who holds them", "tui.cli.hosts_gpus", "GPUS"),
        Entry(
            "watch",
            "watch hosts on a screen: their accelerators, who holds them, how they are reached",
            "tui.cli.hosts_watch",
            "WATCH",
        ),
        Entry("check", "say whether a host has what runs need", "tui.cli.hosts_check", "CHECK"),
        Entry("exec", "run a command on hosts", "tui.cli.hosts_exec", "EXEC"),
    ),
)


class HostList:
    """Lists the profiles; one that cannot be read is told and does not hide the others."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        from tui.cli.calibration_options import add_host, add_root

        add_root(parser)
        add_host(parser)
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        from hosts.errors import GatewatchError
        from hosts.profiles import profile_paths, read_profile, select_profile
        from jobs.calibration.checkout import find_hosts
        from tui import console
        from tui.exits import combine

        folder = find_hosts(args.root)
        here = socket.gethostname()
        codes: list[int] = []
        hosts: list[dict[str, Any]] = []
        for path in profile_paths(folder):
            try:
                file = read_profile(path)
            except GatewatchError as error:
                codes.append(error.code)
                console.error(str(error))
                hosts.append({"name": path.stem, "file": str(path), "error": str(error)})
                continue
            for warning in file.warnings:
                console.warn(warning)
            hosts.append(_host(file, here))
        selected = None
        if not codes or args.host is not None:
            try:
                selected = select_profile(folder, args.host, os.environ, here)
            except GatewatchError as error:
                if str(error) not in [host.get("error") for host in hosts]:
                    console.error(str(error))
                codes.append(error.code)
        _mark(hosts, selected)
        if args.json:
            console.print_json({"folder": str(folder), "this_host": here, "hosts": hosts})
        elif hosts:
            console.print_table(
                ("HOST", "HOSTNAME", "WAY", "REPO", "GPUS EXCLUDED", ""), [_row(host) for host in hosts]
            )
        else:
            console.print_text(f"no profile in {folder}")
        return combine(codes)


LIST = HostList()


def _host(file: Any, here: str) -> dict[str, Any]:
    profile = file.profile
    return {
        "name": profile.name,
        "file": str(file.path),
        "hostname": profile.hostname,
        "is_this_machine": profile.is_here(here),
        "launcher": profile.launcher or ("ssh" if profile.ssh else "local"),
        "repo_root": profile.repo_root,
        "venv_python": list(profile.venv_python),
        "gpu_exclude": list(profile.gpu_exclude),
        "gpu_include": None if profile.gpu_include is None else list(profile.gpu_include),
        "physical": profile.physical.model_dump(include=set(type(profile.physical).model_fields)),
        "gpu_groups": [{"gpus": list(group.gpus), "cpus": group.cpus_text} for group in profile.cpusets],
        "poll_cap_s": profile.poll_cap,
        "error": None,
    }


def _mark(hosts: list[dict[str, Any]], selected: Any) -> None:
    for host in hosts:
        chosen = selected is not None and host["file"] == str(selected.file.path)
        host["selected_by"] = selected.source if chosen else None


def _row(host: dict[str, Any]) -> tuple[str, ...]:
    if host["error"]:
        return host["name"], "—", "—", "—", "—", "cannot be read"
    excluded = ",".join(str(index) for index in host["gpu_exclude"]) or "none"
    words = {"flag": "← --host", "env": "← $TUNE_HOST", "hostname": "← this machine", None: ""}
    return (
        host["name"],
        host["hostname"] or "—",
        host["launcher"],
        host["repo_root"] or "—",
        excluded,
        words[host["selected_by"]],
    )

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hosts.errors import InputError
from hosts.profiles import HostProfile, Ssh, numbers, profile_paths, read_profile, select_profile

FULL = """
name: h20-a
hostname: h20-a.example.org
repo_root: /sgl-workspace/omni
venv_python: /venv/bin/python
gpu_exclude: [7]
gpu_include: [0, 1, 2, 7]
physical: {hf_hub: /hub, speaker_sim: /sim, omni_ci_home: /ci}
gpu_group_cpusets: {"0,1": "0-15,64-79", "2,3": "16-31"}
precheck_checklist: [a, b]
speaker_similarity_bootstrap: {any: thing}
agent_policy: {env_check: strict, poll_interval_max_s: 90}
handoff: |
  Ask before lunch.
ssh: {host: h20-a, port: 2222, user: op, identity_file: ~/.ssh/id, known_hosts: ~/.ssh/kh, proxy_jump: "me@gate:22,b"}
enter: [docker, exec, -i, omni]
reference: {gpu_model: NVIDIA H20, image: "omni:1", pins: {torch: 2.10}}
launcher: ssh
python: /usr/bin/python3.10
"""


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def profile(tmp_path: Path, text: str) -> HostProfile:
    return read_profile(write(tmp_path / "hosts", "h.yaml", text)).profile


def test_every_key_of_the_format_is_known(tmp_path: Path) -> None:
    file = read_profile(write(tmp_path / "hosts", "x.yaml", FULL))
    assert file.warnings == ()
    read = file.profile
    assert (read.name, read.way(), read.ssh_host, read.poll_cap) == ("h20-a", "ssh", "h20-a", 90)
    assert read.venv_python == ("/venv/bin/python",)
    assert read.reference.pins == {"torch": "2.10"}
    assert (read.gpu_exclude, read.gpu_include) == ((7,), (0, 1, 2, 7))
    assert [(group.gpus, len(group.cpus), group.cpus_text) for group in read.cpusets] == [
        ((0, 1), 32, "0-15,64-79"),
        ((2, 3), 16, "16-31"),
    ]
    assert read.enter == ("docker", "exec", "-i", "omni")
    assert read.handoff == "Ask before lunch.\n"


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    read = profile(tmp_path, "hostname: here\nphysical:\n")
    assert (read.name, read.way(), read.poll_cap, read.python) == ("h", "local", 120, "python3")
    assert (read.gpu_exclude, read.gpu_include) == ((), None)
    assert profile(tmp_path, "ssh: {host: far}").way() == "ssh"
    assert profile(tmp_path, "agent_policy: {poll_interval_max_s: 900}").poll_cap == 120


def test_slurm_is_one_line_when_it_is_used(tmp_path: Path) -> None:
    read = profile(tmp_path, "launcher: slurm")
    with pytest.raises(InputError, match="launcher: slurm is not supported yet"):
        read.way()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpu_exclude: 7", "gpu_exclude: expected a list, found 7"),
        ("gpu_exclude: ['7']", r"gpu_exclude\[0\]: expected a whole number"),
        ("gpu_group_cpusets: {'0,a': '0-3'}", "gpu_group_cpusets: '0,a' is not a list of indices"),
        ("gpu_group_cpusets: {'0': '9-3'}", "'9-3' runs backwards"),
        ("gpu_group_cpusets: {'0': '0-3', '0,1': '4'}", "GPU 0 is in more than one group"),
        ("agent_policy: {poll_interval_max_s: 0}", r"agent_policy\.poll_interval_max_s: .*greater than or equal to 1"),
        ("launcher: cron", "launcher: input should be 'local', 'ssh' or 'slurm', found 'cron'"),
        ("launcher: ssh", "launcher: ssh needs ssh.host"),
        ("ssh: {host: -oProxyCommand=id}", r"ssh\.host: '-oProxyCommand=id' is not a host name"),
        ("ssh: {host: a, proxy_jump: -oX}", r"ssh\.proxy_jump: '-oX' is not"),
        ("ssh: {host: a, proxy_jump: 'b,gate:70000'}", r"ssh\.proxy_jump: bad port 70000 for host gate"),
        ("ssh: {host: a, proxy_jump: 'gate:٣'}", r"'gate:٣' is not \[user@\]host\[:port\]"),
        ("ssh: {host: a, proxy_jump: gäte}", r"ssh\.proxy_jump: bad host name 'gäte'"),
        ("ssh: {host: a, user: -l}", r"ssh\.user: '-l' is not a login name"),
        ("ssh: {host: a, port: 70000}", r"ssh\.port: .*less than or equal to 65535"),
        ("enter: docker exec", "enter: expected a list"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        profile(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "hosts" / "h.yaml"))
    assert "\n" not in str(caught.value)


def test_an_unknown_key_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "hosts", "h.yaml", "name: h\nssh:\n  hots: a\n")
    assert read_profile(path).warnings == (f"{path}:3: unknown key ssh.hots (did you mean host?) is ignored",)


@pytest.mark.parametrize("text", ["", "1-", "-1", "1,,2", "a", "1,1", "0-2,1"])
def test_what_is_no_list_of_indices(text: str) -> None:
    with pytest.raises(ValueError, match=r"index|indices|backwards"):
        numbers(text)


def test_a_list_of_indices_is_sorted() -> None:
    assert numbers("8, 0-2") == (0, 1, 2, 8)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    folder = tmp_path / "hosts"
    write(folder, "h20-a.yaml", "hostname: box-a")
    write(folder, "h20-b.yaml", "hostname: box-b.example.org")
    write(folder, "odd.yml", "name: h100")
    write(folder, "README.md", "not a profile")
    return folder


def chosen(folder: Path, flag: str | None = None, env: str = "", hostname: str = "elsewhere") -> tuple[str, str] | None:
    selected = select_profile(folder, flag, {"TUNE_HOST": env}, hostname)
    return None if selected is None else (selected.file.profile.name, selected.source)


def test_the_flag_wins_then_the_variable_then_this_machine(three: Path) -> None:
    assert chosen(three, "h100", "h20-b", "box-a") == ("h100", "flag")
    assert chosen(three, None, "h20-b", "box-a") == ("h20-b", "env")
    assert chosen(three, None, "", "BOX-A") == ("h20-a", "hostname")
    assert chosen(three, None, "", "box-b") == ("h20-b", "hostname")
    assert chosen(three, None, "", "box-b.other.org") is None
    assert chosen(three) is None


def test_no_profile_is_no_obstacle(tmp_path: Path) -> None:
    assert profile_paths(tmp_path / "none") == []
    assert chosen(tmp_path / "none") is None


def test_an_unknown_name_is_told_with_the_near_one(three: Path) -> None:
    with pytest.raises(
        InputError, match=r"--host h20-c: no such profile in .*did you mean h20-[ab]\? \(there are: h100, h20-a"
    ):
        chosen(three, "h20-c")
    with pytest.raises(InputError, match=r"\$TUNE_HOST zzz: no such profile"):
        chosen(three, None, "zzz")


def test_a_broken_neighbour_is_no_obstacle_to_a_named_one(three: Path) -> None:
    write(three, "broken.yaml", "gpu_exclude: none")
    assert chosen(three, "h20-a") == ("h20-a", "flag")
    with pytest.raises(InputError, match="gpu_exclude"):
        chosen(three)


def test_two_profiles_of_one_machine_are_told(three: Path) -> None:
    write(three, "again.yaml", "hostname: box-a")
    with pytest.raises(InputError, match=r"several profiles have this machine's hostname box-a: .*again.*choose one"):
        chosen(three, None, "", "box-a")


@pytest.mark.parametrize("wanted", ["strict", "accept-new"])
def test_how_new_host_keys_are_met(tmp_path: Path, wanted: str) -> None:
    ssh = read_profile(write(tmp_path, "h.yaml", f"ssh:\n  host: box\n  host_keys: {wanted}")).profile.ssh
    assert ssh is not None
    assert ssh.host_keys == wanted
    assert HostProfile(name="h", ssh=Ssh(host="box")).ssh == Ssh(host="box", host_keys="strict")


@pytest.mark.parametrize("off", ["no", "off", "ask", "''", "none", "false"])
def test_no_word_turns_the_check_of_host_keys_off(tmp_path: Path, off: str) -> None:
    with pytest.raises(InputError, match=r"h\.yaml:3: ssh\.host_keys"):
        read_profile(write(tmp_path, "h.yaml", f"ssh:\n  host: box\n  host_keys: {off}"))


def test_a_broken_neighbour_is_no_obstacle_to_one_of_another_name_than_its_files(three: Path) -> None:
    write(three, "broken.yaml", "gpu_exclude: none")
    write(three, "file.yaml", "name: other")
    assert chosen(three, "other") == ("other", "flag")
    write(three, "again.yaml", "name: other")
    with pytest.raises(InputError, match="several profiles have that name"):
        chosen(three, "other")
    with pytest.raises(InputError, match="gpu_exclude"):
        chosen(three, "none of these")


def test_what_is_no_file_is_told_and_not_waited_for(three: Path) -> None:
    os.mkfifo(three / "pipe.yaml")
    (three / "zero.yaml").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(InputError, match=f"cannot read .*{name}.yaml: not a regular file"):
            chosen(three, name)

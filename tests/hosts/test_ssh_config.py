"""How a file of settings is read, each held against what `ssh -G` makes of the same file."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hosts import ssh_shim
from hosts.connects import Connects
from hosts.errors import InputError
from hosts.ssh import SshHost
from hosts.ssh_config import words
from hosts.ssh_files import Files, find_files, find_way
from hosts.ssh_spec import SshSpec
from tests.peers import sshd

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH")

# Lines of a configuration, with <me> for who runs this and <dir> for its own folder, in which the files of _PARTS lie
_READ = {
    "a name and its value": "Host far\n  HostName 1.2.3.4\n  User op\n  Port 2222\n",
    "the first that stands counts": "User a\nPort 1\nHost far\n  User b\nHost *\n  Port 2\n  User c\n",
    "signs of equality": "HostName=1.2.3.4\nPort = 33\nUser\t=\tx\n",
    "quotes": 'User "a b"\nIdentityFile "~/a key"\nHostName "1.2.3.4"\n',
    "single quotes": "User 'a b'\nIdentityFile '~/a key'\n",
    "a quote that is meant": 'User a\\"b\nIdentityFile ~/a\\ key\n',
    "a backslash that is meant": "IdentityFile ~/a\\key\nHostName far\\\\er\n",
    "letters of any size": "hOST far\n  HOSTNAME 1.2.3.4\n  uSER x\n",
    "tabs and blanks": "\tHost\tfar  \n\t\tUser\tx\t\n \t \n  #\n",
    "a form feed and a carriage return": "User x\f\r\nPort 5\r\n",
    "a comment behind a value": "HostName 1.2.3.4 # there\nUser x #y\nPort 22 #\n",
    "a sign of a comment in a word": "User x#y\nIdentityFile ~/#1\nHost far#x\n  Port 5\n",
    "a sign of a comment in quotes": 'IdentityFile "~/# 1"\nUser "#x"\n',
    "an apostrophe in a comment": "Host other\n  User x # it's\nHost far\n  User y # it isn't\n",
    "a comment behind the names of hosts": 'Host y # like far\n  User bob\nHost far # and "x\n  Port 5\n',
    "a comment behind Match": "Match all # it's\n  User x\nMatch host far # exec\n  Port 5\n",
    "names that are not meant": "Host * !far\n  User x\nHost !near far\n  Port 5\nHost !far\n  IdentityFile ~/x\n",
    "patterns": "Host f?r\n  User x\nHost *a*\n  Port 5\nHost f[a]r\n  IdentityFile ~/x\n",
    "commas are no blanks": "Host near,far\n  User x\nMatch host near,far\n  Port 5\n",
    "names in large letters": "Host FAR\n  User x\nMatch host FAR\n  Port 5\n",
    "names that were called in large letters": "Match originalhost FAR\n  IdentityFile ~/m\n",
    "several keys": "IdentityFile ~/a\nHost far\n  IdentityFile ~/b\nHost *\n  IdentityFile ~/a\n",
    "no key": "IdentityFile none\n",
    "of its name": "HostName %h.example.org\nMatch host far.example.org\n  User x\n",
    "Match all": "Host other\n  User x\nMatch all\n  Port 5\n",
    "Match user": "User x\nMatch user x\n  Port 5\nMatch user <me>\n  IdentityFile ~/x\n",
    "Match user unnamed": "Match user <me>\n  Port 5\nMatch user !<me>,*\n  IdentityFile ~/x\n",
    "Match localuser": "User x\nMatch localuser <me>\n  Port 5\nMatch localuser x\n  IdentityFile ~/x\n",
    "Match that is negated": "Match !host far\n  User x\nMatch !host near\n  Port 5\nMatch !localuser <me>\n  User y\n",
    "Match of several": "Match host far localuser <me>\n  Port 5\nMatch host far user x\n  IdentityFile ~/x\n",
    "Match host in quotes": 'Match host "far"\n  User x\nMatch host="far"\n  Port 5\n',
    "Match host with a sign of equality": "Match host=far user=<me>\n  User y\n",
    "Match host by its address": "Host far\n  HostName 1.2.3.4\nMatch host far\n  User x\nMatch host 1.2.*\n  Port 5\n",
    "Match originalhost": "HostName 1.2.3.4\nMatch originalhost far\n  User x\nMatch originalhost 1.*\n  Port 5\n",
    "Match final": "Match final\n  User b\n  Port 5\nHost *\n  User a\n",
    "Match final behind": "Host far\n  User a\nMatch final host far\n  User b\n  Port 5\n",
    "Match that is not final": "Match !final\n  User b\nMatch final\n  Port 5\n",
    "Match final all": "Match final all\n  User b\n",
    "Match final with keys": "IdentityFile ~/a\nMatch final\n  IdentityFile ~/b\nHost *\n  IdentityFile ~/c\n",
    "Match final by the address": "Host far\n  HostName 1.2.3.4\nMatch final host 1.2.3.4\n  User x\n",
    "Host by the address in the end": "Host far\n  HostName 1.2.3.4\nHost 1.2.3.4\n  User x\nMatch final\n  Port 5\n",
    "Host by the address": "Host far\n  HostName 1.2.3.4\nHost 1.2.3.4\n  User x\n",
    "Match final originalhost": "HostName 1.2.3.4\nMatch final originalhost far\n  Port 5\n",
    "Match canonical": "Match canonical\n  User x\nMatch !canonical\n  Port 5\n",
    "Match canonical and final": "Match canonical\n  User x\nMatch final\n  Port 5\n",
    "CanonicalizeHostname": "CanonicalizeHostname yes\nHost far\n  HostName 1.2.3.4\nHost 1.2.3.4\n  User x\n",
    "CanonicalizeHostname of nothing": "CanonicalizeHostname yes\nHost far\n  User x\nMatch canonical\n  Port 5\n",
    "CanonicalizeHostname not": "CanonicalizeHostname no\nHost far\n  HostName 1.2.3.4\nHost 1.2.3.4\n  User x\n",
    "Match exec": 'Match exec "true"\n  User x\nMatch exec false\n  Port 5\nMatch !exec "exit 3"\n  Port 6\n',
    "Match exec with signs of equality": 'Match exec "test 1 = 1"\n  User x\nMatch exec "test 1 = 2"\n  Port 5\n',
    "Match exec with tokens": 'Match originalhost far exec "echo %n | grep -qx far"\n  User x\n',
    "Match exec with more tokens": (
        "HostName %h.org\nPort 5\nHostKeyAlias al\n"
        'Match exec "test %h-%n-%p-%r-%u-%k-%% = far.org-far-5-<me>-<me>-al-%%"\n  User x\n'
    ),
    "Match exec with the host's key": 'Match exec "test %k-%i = far-$(id -u)"\n  User x\n',
    "Match exec of a machine": 'Match exec "test %l = $(uname -n)"\n  User x\nMatch exec "test -d %d"\n  Port 5\n',
    "Match exec with a variable": 'Match exec "test ${NOT_SET:-x} = x"\n  User x\n',
    "Match exec in single quotes": "Match exec \"sh -c 'test 1 = 1'\"\n  User x\n",
    "Match exec that is not asked": 'Match host near exec "touch <dir>/asked"\n  User x\n',
    "Include in order": "Include <dir>/order/*.conf\n",
    "Include of several": "Include <dir>/order/3* <dir>/order/1*\n  \nUser y\n",
    "Include of one with a comment": "Include <dir>/order/30.conf # it's\n",
    "Include of nothing": "Include <dir>/nothing-*\nInclude <dir>/nothing\nUser x\n",
    "Include of a Host": "Host far\n  Include <dir>/hosts.conf\n  Port 5\n",
    "Include for others": "Host near\n  Include <dir>/order/*.conf\nHost far\n  Port 5\n",
    "Include with blanks": 'Include "<dir>/a b.conf"\n',
    "Include in an Include": "Include <dir>/nested.conf\nUser late\n",
    "ProxyJump": "ProxyJump u@h:22,[::1]:3\n",
    "ProxyJump with a scheme": "ProxyJump ssh://root@h:2222\n",
    "ProxyJump with a comment": "ProxyJump h # it's\n",
    "ProxyJump none": "ProxyJump none\nHost *\n  ProxyJump h\n",
    "ProxyJump none and a command": "ProxyJump none\nProxyCommand nc %h %p\n",
    "ProxyJump before a command": "ProxyJump h\nProxyCommand nc\n",
    "ProxyJump behind a command": "ProxyCommand nc\nProxyJump h\n",
    "ProxyJump behind no command": "ProxyCommand none\nProxyJump h\n",
    "ProxyCommand": 'ProxyCommand nc  "a  b" # c\nUser x\n',
    "ProxyCommand with signs of equality": "ProxyCommand = nc -o a=b\n",
    "times": "ServerAliveInterval 1m\nConnectTimeout 1h10s\nUser x\nConnectTimeout none\n",
    "PubkeyAuthentication": "PubkeyAuthentication unbound\nUser x\n",
    "PubkeyAuthentication bound": "PubkeyAuthentication host-bound\nUser x\n",
    "what is no business of ours": "ForwardAgent $NOT_SET\nRequestTTY force\nRekeyLimit 1G 1h\nUser x\n",
    "bytes that are no text": "# gr\udcfc\udcdfe\nUser x # \udce4\nIdentityFile ~/\udcfc\n",
    "an agent": "IdentityAgent ~/agent\nUser x\n",
    "no agent": "IdentityAgent none\nUser x\n",
}
_PARTS = {
    **{
        f"order/{number}.conf": f"User user{number}\nIdentityFile ~/{number}\n"
        for number in (*range(37, 9, -3), *range(38, 9, -3), *range(39, 10, -3))
    },
    "hosts.conf": "Host near\n  User x\nHost far\n  User y\nHost other\n",
    "a b.conf": "User x\n",
    "nested.conf": "Include <dir>/hosts.conf\nIdentityFile ~/n\n",
}
_REFUSED = {
    "a quotation that is not closed": "User it's\n",
    "more than one value": "HostName 1.2.3.4 extra\n",
    "a Match of nothing known": "Match nonsense x\n",
    "a Match without its pattern": "Match host\n",
}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a configuration and its parts, and gives its path."""

    def filled(text: str) -> bytes:
        return (
            text.replace("<dir>", str(tmp_path)).replace("<me>", getpass.getuser()).encode("utf-8", "surrogateescape")
        )

    def make(text: str) -> Path:
        (tmp_path / "order").mkdir()
        for name, part in _PARTS.items():
            (tmp_path / name).write_bytes(filled(part))
        config = tmp_path / "config"
        config.write_bytes(filled(text))
        return config

    return make


def of_ssh(config: Path) -> dict[str, list[str]]:
    """What ssh makes of it."""
    words = ["ssh", "-G", "-F", str(config), "far"]
    ended = subprocess.run(words, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    found: dict[str, list[str]] = {}
    for line in ended.stdout.decode("utf-8", "surrogateescape").splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found


async def ours(config: Path, **more: Any) -> Files:
    return await find_files(SshSpec("far", config_file=str(config), host_keys="accept-new", **more), Connects())


@needs_ssh
@pytest.mark.parametrize("case", _READ)
async def test_it_is_read_as_ssh_reads_it(write: Any, tmp_path: Path, case: str) -> None:
    config = write(_READ[case])
    expected = of_ssh(config)
    files = await ours(config)
    assert files.settings is not None
    read: Any = files.settings.config
    # What ssh tells is in small letters, where that is a name
    assert files.settings.host.lower() == expected["hostname"][0]
    assert [files.settings.username] == expected["user"]
    assert [str(files.settings.port)] == expected["port"]
    keys = [name.replace("~", str(Path.home()), 1) for name in expected["identityfile"]]
    usual = any(name.endswith("/.ssh/id_rsa") for name in keys)
    assert list(files.identities) == ([] if usual or keys == ["none"] else keys)
    jumps = ",".join(expected.get("proxyjump", []))
    assert SshSpec("far").hops(files.jumps) == SshSpec("far").hops(jumps)
    command = "".join(expected.get("proxycommand", [])).replace("%h", "far").replace("%p", "22")
    assert (read.get("ProxyCommand") or "") == command
    assert not (tmp_path / "asked").exists()


@needs_ssh
@pytest.mark.parametrize("case", _REFUSED)
async def test_what_ssh_refuses_is_refused_by_its_place(write: Any, case: str) -> None:
    config = write(f"User x\n{_REFUSED[case]}")
    with pytest.raises(subprocess.CalledProcessError):
        of_ssh(config)
    with pytest.raises(InputError, match=r"config line 2: (?!.* line )"):
        await ours(config)


async def test_a_shell_that_is_not_there(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/no/shell")
    with pytest.raises(InputError, match=r"config line 2: Match exec cannot run /no/shell: No such file"):
        await ours(write("User x\nMatch exec true\n"))


async def test_what_is_included_lies_in_the_folder_of_ssh(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There ssh itself looks in the home of the account, whatever HOME says."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "part").write_text("User x\n")
    (tmp_path / "part").write_text("User y\n")
    files = await ours(write("Include part\nInclude ~/part\n"))
    assert files.settings is not None
    assert files.settings.username == "x"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("$AGENT", "/of/agent"),
        ("${AGENT}/x", "/of/agent/x"),
        ("SSH_AUTH_SOCK", "/usual"),
        ("$NOT_SET", ""),
        ("none", ""),
        ("/x/%n", "/x/far"),
    ],
)
async def test_the_agent_that_is_named(write: Any, monkeypatch: pytest.MonkeyPatch, value: str, path: str) -> None:
    monkeypatch.setenv("AGENT", "/of/agent")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/usual")
    files = await ours(write(f"IdentityAgent {value}\n"))
    assert files.settings is not None
    options = asyncssh.SSHClientConnectionOptions(files.settings, host="far", config=None, client_keys=())
    assert options.agent_path == path


async def test_variables_of_a_program_to_connect_with_are_left_to_its_shell(write: Any) -> None:
    files = await ours(write("ProxyCommand nc ${OPTIONS:--v} $X %h\n"))
    assert files.settings is not None
    assert files.settings.config.get("ProxyCommand") == "nc ${OPTIONS:--v} $X far"


async def test_a_file_is_read_once_more_by_the_full_name(write: Any) -> None:
    """As asyncssh does when it has found that name, by CanonicalizeHostname."""
    config = write(
        "CanonicalizeHostname yes\nCanonicalDomains example.org\nHost far\n  User short\n  IdentityFile ~/%%\n"
        "Host far.example.org\n  User full\n  Port 5\n  IdentityFile ~/b\nMatch canonical originalhost far\n"
        '  HostKeyAlias al\nMatch canonical host far.example.org exec "test %n-%h = far-far.example.org"\n'
        "  ProxyCommand nc %n %h\n"
    )
    files = await ours(config)
    assert files.settings is not None
    for _ in range(2):  # each time that it connects
        options = asyncssh.SSHClientConnectionOptions(
            files.settings, host="far", config=None, client_keys=None, reload=False, final=False
        )
        again = {"host": "far.example.org", "reload": True, "canonical": True, "final": False}
        await asyncio.to_thread(options.update, **again)
        assert (options.host, options.username, options.port) == ("far.example.org", "short", 5)
        assert options.host_key_alias == "al"
        read: Any = options.config
        assert read.get("ProxyCommand") == "nc far far.example.org"
        assert list(dict.fromkeys(read.get("IdentityFile"))) == ["~/%", "~/b"]


@pytest.mark.blocks_loop(reason="asyncssh reads the file anew where it has looked up the name")
async def test_a_host_with_a_full_name(
    write: Any, ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def resolved(host: Any, *more: Any, **options: Any) -> Any:
        if host != "far.example.org":
            return look_up(host, *more, **options)
        found = look_up("127.0.0.1", *more, **options)
        return [(family, kind, protocol, host, at) for family, kind, protocol, _, at in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    me = getpass.getuser()
    config = write(
        f"CanonicalizeHostname yes\nCanonicalDomains example.org\nHost far\n  User {me}\n  Port 1\n"
        f"Match canonical host far.example.org\n  User nobody\n  IdentityFile {tmp_path}/none\n"
    )
    spec = SshSpec(
        "far",
        ssh_peer.port,
        None,
        str(ssh_peer.keys["plain"]),
        str(tmp_path / "known"),
        None,
        str(config),
        "accept-new",
    )
    host = SshHost(spec)
    try:
        pipe = await host.open(("echo", "in"))
        assert await pipe.read() == b"in\n"
        await pipe.close(5)
    finally:
        await host.close()


async def test_hosts_on_the_way_with_a_scheme(write: Any) -> None:
    config = write("Host far\n  ProxyJump ssh://root@h:2222,ssh://[::1]/\n")
    way = await find_way(SshSpec("far", config_file=str(config), host_keys="accept-new"), Connects())
    hops = [(hop.user, hop.host, hop.port) for hop, _ in way]
    assert hops == [("root", "h", 2222), (None, "::1", None), (None, "far", None)]


def test_the_words_of_a_line() -> None:
    assert words("a  'b c'\t\"d 'e\"f \\\"g\\ h #i") == ["a", "b c", "d 'ef", '"g h']
    with pytest.raises(ValueError, match="closing"):
        words("a 'b")


def test_what_of_asyncssh_it_stands_on() -> None:
    """Told apart from a mistake of ours, when a version of it changes."""
    options = asyncssh.SSHClientConnectionOptions(host="far", config=None)
    assert type(options.config) is ssh_shim.Config
    for name in ("_handlers", "_percent_expand", "_options", "_tokens", "_orig_host", "_local_user", "_canonical"):
        assert hasattr(options.config, name), name
    assert all(keyword in ssh_shim.Config._handlers for keyword in ssh_shim._UNUSED)

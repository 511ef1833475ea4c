"""Which paths of a host without a Python are not asked about, after what was and was not answered."""

from __future__ import annotations

import pytest

from hosts.bare_hung import Hung, NoAnswerError, Request

OPEN, STAT = 3, 17
MOUNTS = """22 1 259:1 / / rw - ext4 /dev/root rw
30 22 0:40 / /data rw - nfs4 server:/x rw
"""


def stat(path: str) -> Request:
    return Request(STAT, path)


def test_a_file_server_that_is_gone_takes_its_mount_with_it() -> None:
    now = 0.0
    hung = Hung(lambda: now)
    hung.add(stat("/data/run/log"), MOUNTS)
    with pytest.raises(NoAnswerError, match="cannot read /data/x: no answer about /data; asked again in 60 s"):
        hung.check(stat("/data/x"))
    hung.check(stat("/database"))
    hung.add(stat("/home/x"), MOUNTS)
    hung.check(stat("/home"))
    with pytest.raises(NoAnswerError):
        hung.check(stat("/home/x/y"))
    now = 61.0
    hung.check(stat("/data/run/log"))
    hung.answered(stat("/data/run/log"))
    hung.add(stat("/data/x"), MOUNTS)
    now = 62.0 + 60.0
    hung.check(stat("/data/x"))


def test_a_mount_of_which_more_is_answered_about_is_not_gone() -> None:
    now = 0.0
    hung = Hung(lambda: now)
    hung.add(Request(OPEN, "/data/run/log"), MOUNTS)
    now = 61.0
    hung.answered(stat("/data/run/log"))
    hung.answered(Request(OPEN, "/data/x"))
    hung.add(Request(OPEN, "/data/run/log"), MOUNTS)
    hung.check(stat("/data/x"))
    with pytest.raises(NoAnswerError, match="no answer about /data/run/log; asked again once there is one"):
        hung.check(Request(OPEN, "/data/run/log"))


def test_home_is_where_it_is() -> None:
    hung = Hung()
    hung.add(stat("~/runs/a/log"), MOUNTS, "/data/me")
    for path in ("~/runs/b/log", "~", "runs", "/data/me/runs/a/log", "/data"):
        with pytest.raises(NoAnswerError, match="no answer about /data; asked again in 60 s"):
            hung.check(stat(path))
    hung.check(stat("/home/me"))
    hung = Hung()
    hung.add(stat("~/runs/a/log"), "", "/home/me")
    with pytest.raises(NoAnswerError, match="no answer about /home/me/runs/a/log"):
        hung.check(stat("/home/me/runs/a/log"))
    hung.check(stat("~/runs/b"))
    hung.answered(stat("~/runs/a/log"))
    hung.check(stat("/home/me/runs/a/log"))


def test_what_hangs_for_ever_holds_two_sessions_and_no_more() -> None:
    now = 0.0
    hung = Hung(lambda: now)
    for _ in range(2):
        hung.check(stat("/data/x"))
        hung.add(stat("/data/x"), MOUNTS)
        now += 61.0
    now += 100_000.0
    with pytest.raises(NoAnswerError, match="asked again once there is one"):
        hung.check(stat("/data/x"))
    hung.forget()  # a person wants it
    hung.check(stat("/data/x"))
    hung.add(stat("/data/x"), MOUNTS)
    with pytest.raises(NoAnswerError):
        hung.check(stat("/data/x"))
    hung.ended(stat("/data/x"))  # the connection was lost
    now += 1_000.0
    hung.check(stat("/data/x"))


def test_the_more_hangs_the_less_is_asked_about() -> None:
    hanging = 2
    hung = Hung(hanging=lambda: hanging)
    hung.answered(stat("/well"))
    hung.add(stat("/dead"), "")
    hung.forget()
    hung.check(stat("/dead"))
    hanging = 3
    with pytest.raises(NoAnswerError, match="no answer about /dead; asked again once there is one"):
        hung.check(stat("/dead"))
    hanging = 4
    hung.check(stat("/new"))
    hanging = 5
    hung.check(stat("/well"))
    for request in (stat("/new"), Request(OPEN, "/well")):
        with pytest.raises(NoAnswerError, match="5 SFTP sessions hang there; asked for once one of them goes on"):
            hung.check(request)
    hanging = 6
    with pytest.raises(NoAnswerError, match="6 SFTP sessions hang there"):
        hung.check(stat("/well"))
    hung.check(stat("/proc/loadavg"))
    hung.add(stat("/proc/uptime"), "")  # some containers have a file system of their own there
    hung.check(stat("/proc/loadavg"))
    with pytest.raises(NoAnswerError, match="no answer about /proc/uptime"):
        hung.check(stat("/proc/uptime"))


def test_a_host_whose_root_is_served_is_not_all_left_alone() -> None:
    hung = Hung()
    hung.add(stat("/home/x"), "22 1 0:40 / / rw - nfs4 server:/x rw\n")
    hung.check(stat("/proc/loadavg"))
    hung.check(stat("/home/y"))

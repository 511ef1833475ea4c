"""A command that is shown is right when it is pasted, whatever its words hold."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

import pytest

from hosts.local.pasting import pasted, quoted

pytestmark = pytest.mark.travels

ODD = [
    "d:/runs/new\nline",
    "tab\there\rand\x07bell",
    "\x1b[2J",
    "it's\n\\n 5!6",
    "\n1\x012",
    "a\u202eb\u200b\ufeff",
    "c1\x9b",
    "blank\u3164",
    "no\udcffutf8",
    "e" + "\u0301" * 9,
    "模型\n",
]
PLAIN = ["/runs/r", "a b; $(touch never)", "it's", "模型 5", "é", "e\u0301", ""]
SHELLS = ["bash", *(shell for shell in ("zsh", "ksh", "busybox") if shutil.which(shell))]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("word", [*ODD, *PLAIN])
def test_a_shell_reads_what_was_meant(word: str, shell: str) -> None:
    words = [shell, *(["sh"] if shell == "busybox" else []), "-c", pasted(["printf", "%s|", word, "end"])]
    done = subprocess.run(words, capture_output=True, check=True)
    assert done.stdout == os.fsencode(word) + b"|end|"


@pytest.mark.parametrize("word", PLAIN)
def test_what_everybody_sees_stands_as_every_shell_has_it(word: str) -> None:
    assert quoted(word) == shlex.quote(word)


@pytest.mark.parametrize("word", ODD)
def test_nothing_is_left_that_a_terminal_would_obey(word: str) -> None:
    shown = quoted(word)
    assert shown.isprintable()
    assert shown.startswith("$'")


def test_a_name_in_a_line() -> None:
    assert pasted(["gatewatch", "--run-dir", "d:/a\nb"]) == r"gatewatch --run-dir $'d:/a\nb'"

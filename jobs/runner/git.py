"""What git says of a repository, asked without letting the repository run anything of its own (SAFETY G1, G2)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hosts.errors import InputError

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_TIMEOUT_S = 120.0
_LONGEST_NAME = 256
_DIFF_LIMIT = 64 << 20
_SAFE = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.quotePath", "true"),
    ("diff.external", ""),
    ("diff.suppressBlankEmpty", "false"),
)
# The same text whatever a person has configured: its hash says later whether the working tree is still the same.
_DIFF = (
    *("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--relative", f"-O{os.devnull}"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--unified=3", "--inter-hunk-context=0", "--diff-algorithm=myers"),
    *("--indent-heuristic", "--full-index", "--submodule=short", "--ignore-submodules=dirty"),
)
# What `git lfs install` writes. Without it every file that it keeps would count as changed.
_LFS = {"clean": "git-lfs clean -- %f", "process": "git-lfs filter-process", "required": "true"}


@dataclass(frozen=True)
class Provenance:
    """Which code a run measures.

    Attributes:
        sha: Full commit id of HEAD.
        branch: Branch name, or None on a detached HEAD.
        diff: What the working tree changes against HEAD, tracked files only; b"" when clean.
        untracked: Paths that git neither tracks nor ignores.
    """

    sha: str
    branch: str | None
    diff: bytes
    untracked: tuple[str, ...]

    @property
    def dirty(self) -> bool:
        """True when the working tree differs from HEAD."""
        return bool(self.diff or self.untracked)

    @property
    def diff_sha256(self) -> str:
        """Names the state of the tracked files."""
        return hashlib.sha256(self.diff).hexdigest()


def provenance(repo: Path, without: Sequence[str] = ()) -> Provenance:
    """HEAD, branch and local changes of `repo`, and the local changes of the submodules in it.

    Args:
        without: Files and folders (relative to `repo`) whose changes do not count: our own configuration.

    Raises:
        InputError: `repo` is no git checkout, has no commit, or git is not there.
    """
    sha = head(repo)
    branch = _git(repo, "symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1)).decode("utf-8", "replace").strip()
    measured = [".", *(f":(exclude,literal){name}" for name in without)]
    diff = _git(repo, *_DIFF, "--binary", "HEAD", "--", *measured)
    others = _names(_git(repo, "ls-files", "--others", "--exclude-standard", "-z"))
    untracked = [name for name in others if not below(name, without)]
    for path in _submodules(repo):
        inner = provenance(repo / path, [name[len(path) + 1 :] for name in without if below(name, [path])])
        if inner.diff:
            diff += b"Submodule " + os.fsencode(path) + b" contains modified content\n" + inner.diff
        untracked.extend(f"{path}/{name}" for name in inner.untracked)
    return Provenance(sha, branch or None, diff, tuple(untracked))


def head(repo: Path) -> str:
    """The full commit id of HEAD.

    Raises:
        InputError: `repo` is no git checkout, or has no commit yet.
    """
    try:
        sha = (
            _git(repo, "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}").decode("ascii", "replace").strip()
        )
    except InputError as error:
        raise InputError(
            f"{repo} is not a git checkout with a commit, so the calibration's commit cannot be recorded: {error}"
        ) from error
    if not _SHA.match(sha):
        raise InputError(f"{repo}: git names HEAD as {sha!r}")
    return sha


def remote_url(repo: Path, name: str = "origin") -> str | None:
    """Where a remote is, as it is configured; None where there is none of that name."""
    answer = _run(repo, "config", "--null", "--get", f"remote.{name}.url")
    return answer.stdout.decode("utf-8", "replace").rstrip("\0") or None if answer.returncode == 0 else None


def is_ignored(repo: Path, path: Path) -> bool:
    """True when git would not track `path` (absolute): it is ignored, or lies outside `repo`'s checkout."""
    real = Path(os.path.realpath(path))
    if (above := top(repo)) != real and above not in real.parents:
        return True
    answer = _run(repo, "check-ignore", "--quiet", "--", str(real / "plan.json"))
    if answer.returncode not in (0, 1):
        raise _refused(repo, "check-ignore", answer)
    return answer.returncode == 0


def top(repo: Path) -> Path:
    """The top of the checkout that `repo` lies in, links resolved."""
    said = _git(repo, "rev-parse", "--show-toplevel").decode("utf-8", "surrogateescape").rstrip("\n")
    return Path(os.path.realpath(said))


def changed_files(repo: Path, old: str, new: str) -> tuple[str, ...]:
    """Paths (relative to `repo`) that differ between two commits.

    Raises:
        InputError: A name is not a full commit id, or a commit is not there.
    """
    for sha in (old, new):
        if not _SHA.match(sha):
            raise InputError(f"{sha!r} is not a full commit id")
        if _run(repo, "cat-file", "-e", f"{sha}^{{commit}}").returncode != 0:
            raise InputError(f"commit {sha} is not in {repo}; fetch it, or name the repository that has it with --repo")
    return _names(_git(repo, *_DIFF, "--name-only", "-z", old, new, "--", "."))


def resolve(repo: Path, name: str) -> str:
    """The full id of the commit that `name` means: a full or abbreviated commit id, a tag, a branch, `HEAD~3`.

    Raises:
        InputError: It means no commit of `repo`, or several.
    """
    if not name.isprintable() or not name.strip() or len(name) > _LONGEST_NAME:
        raise InputError(f"{name[:_LONGEST_NAME]!r} is not the name of a commit")
    answer = _run(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    sha = answer.stdout.decode("ascii", "replace").strip()
    if answer.returncode != 0 or not _SHA.match(sha):
        raise InputError(f"commit {name} is not in {repo}; fetch it, or name the repository that has it with --repo")
    return sha


@dataclass(frozen=True)
class History:
    """The commits that `new` has and `old` has not.

    Attributes:
        commits: (full id, committed at, subject), newest first; at most as many as were asked for.
        count: How many there are in all.
        is_ancestor: Whether `new` was built on `old`.
    """

    commits: tuple[tuple[str, str, str], ...]
    count: int
    is_ancestor: bool


def history(repo: Path, old: str, new: str, most: int) -> History:
    """What was committed between two commits, both given as full ids.

    Raises:
        InputError: A name is not a full commit id, or a commit is not there.
    """
    for sha in (old, new):
        if not _SHA.match(sha):
            raise InputError(f"{sha!r} is not a full commit id")
    between = f"{old}..{new}"
    count = _git(repo, "rev-list", "--count", between, "--").decode("ascii", "replace").strip()
    form = "--format=tformat:%H%x1f%cI%x1f%s"
    said = _git(
        repo,
        "log",
        "-z",
        "--no-show-signature",
        "--no-color",
        "--encoding=UTF-8",
        form,
        f"--max-count={most}",
        between,
        "--",
    )
    fields = (entry.decode("utf-8", "replace").split("\x1f", 2) for entry in said.split(b"\0") if entry)
    ancestor = _run(repo, "merge-base", "--is-ancestor", old, new).returncode == 0
    return History(
        tuple((parts[0], parts[1], parts[2]) for parts in fields if len(parts) == 3),
        int(count) if count.isdecimal() else 0,
        ancestor,
    )


def file_at(repo: Path, sha: str, path: str) -> bytes | None:
    """The content of a file (relative to `repo`) in a commit, or None when it is not in it."""
    if not _SHA.match(sha):
        raise InputError(f"{sha!r} is not a full commit id")
    answer = _run(repo, "cat-file", "blob", f"{sha}:./{path}")
    return answer.stdout if answer.returncode == 0 else None


def below(name: str, folders: Sequence[str]) -> bool:
    """True when the path `name` lies in one of `folders`."""
    return any(name == folder or name.startswith(folder.rstrip("/") + "/") for folder in folders)


def _submodules(repo: Path) -> list[str]:
    """Submodules that are checked out. Git would run what their own configuration says, so we ask each ourselves."""
    entries = _names(_git(repo, "ls-files", "--stage", "-z"))
    paths = dict.fromkeys(entry.partition("\t")[2] for entry in entries if entry.startswith("160000 "))
    return [path for path in paths if os.path.lexists(repo / path / ".git")]


def _settings(repo: Path) -> list[tuple[str, str]]:
    """What is set for every command: nothing may run a program that the repository names."""
    said = _start(repo, _SAFE, "config", "--null", "--get-regexp", r"^(filter|lfs\.extension)\.")
    if said.returncode not in (0, 1):
        raise _refused(repo, "config", said)
    drivers: dict[str, list[tuple[str, str]]] = {}
    extended = False
    for entry in said.stdout.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        extended = extended or section == "lfs"
        if section == "filter":
            name, _, variable = rest.rpartition(".")
            drivers.setdefault(name, []).append((variable, value))
    off: list[tuple[str, str]] = []
    for name, values in drivers.items():
        if "=" in name:
            raise InputError(
                f"{repo}: a filter is called {name!r}, and git cannot be kept from running one of that name"
            )
        usual = name == "lfs" and not extended and shutil.which("git-lfs") is not None
        if usual and all(variable == "smudge" or _LFS.get(variable) == value for variable, value in values):
            continue
        off.extend((f"filter.{name}.{variable}", "") for variable in ("clean", "smudge", "process"))
        off.append((f"filter.{name}.required", "false"))
    return [*_SAFE, *off]


def _names(data: bytes) -> tuple[str, ...]:
    return tuple(os.fsdecode(name) for name in data.split(b"\0") if name)


def _git(repo: Path, *arguments: str, ok: Sequence[int] = (0,)) -> bytes:
    answer = _run(repo, *arguments)
    if answer.returncode not in ok:
        raise _refused(repo, arguments[0], answer)
    if len(answer.stdout) > _DIFF_LIMIT:
        raise InputError(f"git {arguments[0]} in {repo} gave more than {_DIFF_LIMIT >> 20} MiB")
    return answer.stdout


def _refused(repo: Path, command: str, answer: subprocess.CompletedProcess[bytes]) -> InputError:
    said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
    graver = [line for line in said if line.startswith(("fatal: ", "error: "))]
    return InputError(f"git {command} in {repo}: {(graver or said or [f'exit {answer.returncode}'])[0]}")


def _run(repo: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return _start(repo, _settings(repo), *arguments)


def _start(repo: Path, settings: Sequence[tuple[str, str]], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    safe = [word for name, value in settings for word in ("-c", f"{name}={value}")]
    try:
        return subprocess.run(
            ["git", "--no-pager", *safe, *arguments],
            cwd=repo,
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        missing = "git is not installed" if repo.is_dir() else f"{repo} is not a folder"
        raise InputError(missing) from error
    except NotADirectoryError as error:
        raise InputError(f"{repo} is not a folder") from error
    except OSError as error:
        raise InputError(f"git cannot be run in {repo}: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"git {arguments[0]} in {repo} did not answer within {_TIMEOUT_S:.0f} s") from error


def _environment(shell: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in shell.items() if not name.startswith("GIT_")}
    # A partial clone would fetch what it lacks, and a transport runs what the repository's configuration names.
    never = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    return {**kept, **never, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hosts.errors import InputError
from jobs.runner import git
from jobs.runner.git import Provenance, changed_files, file_at, head, is_ignored, provenance

pytestmark = [pytest.mark.travels, pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")]

_OURS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "file",
    **{f"GIT_{role}_{what}": "somebody@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@dataclass(frozen=True)
class Repository:
    """A real repository, and a marker that whatever it makes us run would leave."""

    path: Path
    marker: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env={**os.environ, **_OURS}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, name: str, content: str | bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, message: str = "x") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def config(self, **values: str) -> None:
        for name, value in values.items():
            self.git("config", name.replace("__", "."), value.replace("MARK", f"touch {self.marker};"))

    def attributes(self, text: str) -> None:
        self.write(".git/info/attributes", text)


def make(path: Path) -> Repository:
    path.mkdir(parents=True)
    repository = Repository(path, path.parent / f"{path.name}.marker")
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.write("a.txt", "one\n")
    repository.write("data.bin", b"\0\1\2")
    repository.write("sub/b.txt", "one\n")
    repository.write(".gitignore", "/.tune-runs/\n")
    repository.commit()
    return repository


@pytest.fixture(autouse=True)
def _nothing_of_the_person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The person's own configuration has a say in what git shows; these tests bring theirs."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make(tmp_path / "repo")


def test_a_clean_checkout(repository: Repository) -> None:
    sha = repository.git("rev-parse", "HEAD")
    found = provenance(repository.path)
    assert found == Provenance(sha, "main", b"", ())
    assert found.dirty is False
    assert head(repository.path) == sha


def test_what_has_changed(repository: Repository) -> None:
    repository.write("a.txt", "two\n")
    repository.write("data.bin", b"\0\1\3")
    repository.write("staged.txt", "new\n")
    repository.git("add", "staged.txt")
    repository.write("new dir/ünï\n.txt", "x")
    repository.write(".tune-runs/r/plan.json", "{}")
    found = provenance(repository.path)
    assert found.dirty is True
    assert found.untracked == ("new dir/ünï\n.txt",)
    assert b"+two" in found.diff
    assert b"GIT binary patch" in found.diff
    assert b"+new" in found.diff
    clone = make(repository.path.parent / "clone")
    (clone.path / "diff").write_bytes(found.diff)
    clone.git("apply", "diff")
    assert (clone.path / "data.bin").read_bytes() == b"\0\1\3", "the diff brings all of it back"


def test_untracked_alone_is_dirty(repository: Repository) -> None:
    repository.write("new.txt", "x")
    found = provenance(repository.path)
    assert (found.diff, found.untracked, found.dirty) == (b"", ("new.txt",), True)


def test_our_own_configuration_does_not_count(repository: Repository) -> None:
    repository.write("models/m/stages.yaml", "{}")
    repository.write("models/m[1]*/x", "{}")
    repository.write("hosts/a.yaml", "{}")
    repository.commit()
    clean = provenance(repository.path).diff_sha256
    repository.write("models/m/stages.yaml", "{a: 1}")
    repository.write("models/m[1]*/x", "{a: 1}")
    repository.write("models/m/new.yaml", "x")
    without = ("models/m", "models/m[1]*", "hosts/a.yaml")
    found = provenance(repository.path, without)
    assert (found.dirty, found.diff_sha256) == (False, clean)
    repository.write("hosts/a.yaml2", "x")
    repository.write("a.txt", "two\n")
    found = provenance(repository.path, without)
    assert found.untracked == ("hosts/a.yaml2",)
    assert found.diff.count(b"diff --git") == 1


def test_a_repository_below_the_top_of_its_checkout(repository: Repository) -> None:
    """--repo may name a folder of a larger repository: all paths are relative to it, and the rest does not count."""
    old = repository.git("rev-parse", "HEAD")
    inner = repository.path / "sub"
    repository.write("a.txt", "two\n")
    assert provenance(inner, ("models",)).dirty is False
    repository.write("sub/b.txt", "two\n")
    repository.write("sub/new", "x")
    for without in ((), ("models",)):
        found = provenance(inner, without)
        assert b"+two" in found.diff
        assert b"a.txt" not in found.diff
        assert found.untracked == ("new",)
    assert provenance(inner, ("b.txt", "new")).dirty is False
    new = repository.commit()
    assert changed_files(inner, old, new) == ("b.txt", "new")
    assert file_at(inner, old, "b.txt") == b"one\n"
    assert file_at(inner, new, "b.txt") == b"two\n"


def test_the_hash_of_a_change_hangs_on_nobodys_taste(repository: Repository) -> None:
    """A resume asks whether the working tree is still the same; how somebody likes diffs shown is no difference."""
    repository.write("a.txt", "".join(f"{number}\n" for number in range(40)))
    repository.write("b.txt", "x\n\ny\n")
    repository.commit()
    repository.write("a.txt", "".join(f"{number}\n" for number in range(40) if number != 20))
    repository.write("b.txt", "x\n\nz\n")
    (repository.path / "sub/b.txt").rename(repository.path / "sub/c.txt")
    repository.git("add", "--all")
    before = provenance(repository.path).diff
    repository.write("order", "s*\nb*\n")
    repository.write(".git/info/exclude", "order\n")
    repository.config(
        color__ui="always",
        color__diff="always",
        diff__noprefix="true",
        diff__context="9",
        diff__interHunkContext="50",
        diff__renames="copies",
        diff__algorithm="patience",
        diff__indentHeuristic="false",
        diff__suppressBlankEmpty="true",
        diff__relative="true",
        diff__orderFile="order",
        diff__colorMoved="zebra",
        core__quotePath="false",
        core__abbrev="40",
    )
    assert provenance(repository.path).diff == before


def test_a_detached_head(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "--detach")
    assert provenance(repository.path).branch is None


@pytest.mark.parametrize("name", ["-h", "--upload-pack=touch MARK", "-c", "main;touch MARK", "$(touch MARK)", "ünï"])
def test_branch_names_are_only_ever_text(repository: Repository, name: str) -> None:
    branch = name.replace("MARK", str(repository.marker)).replace(" ", "${IFS}")
    sha = repository.git("rev-parse", "HEAD")
    repository.write(f".git/refs/heads/{branch}", f"{sha}\n")
    repository.write(".git/HEAD", f"ref: refs/heads/{branch}\n")
    found = provenance(repository.path)
    assert (found.sha, found.branch, found.dirty) == (sha, branch, False)
    assert not repository.marker.exists()


def test_file_names_are_only_ever_text(repository: Repository) -> None:
    names = ["-h", "--output=x", ":(top)a", "a b", "*", "$(touch MARK)", ":!sub", "\\", '"']
    for name in names:
        repository.write(name, "1\n")
    old = repository.commit()
    for name in names:
        repository.write(name, "2\n")
    assert provenance(repository.path).diff.count(b"diff --git") == len(names)
    for name in names:
        assert provenance(repository.path, (name,)).diff.count(b"diff --git") == len(names) - 1, name
    new = repository.commit()
    assert set(changed_files(repository.path, old, new)) == set(names)
    assert {file_at(repository.path, new, name) for name in names} == {b"2\n"}
    assert not (repository.path / "x").exists()


def _hooks(repository: Repository) -> None:
    for name in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        repository.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch {repository.marker}\n")
        (repository.path / ".git/hooks" / name).chmod(0o755)


def _hooks_elsewhere(repository: Repository) -> None:
    _hooks(repository)
    (repository.path / ".git/hooks").rename(repository.path / ".git/moved")
    repository.config(core__hooksPath=".git/moved")


def _filter(repository: Repository) -> None:
    repository.config(filter__evil__clean="MARK cat", filter__evil__smudge="MARK cat", filter__evil__required="true")
    repository.attributes("* filter=evil\n")


def _filter_process(repository: Repository) -> None:
    repository.config(filter__evil__process="MARK false", filter__evil__required="true")
    repository.attributes("* filter=evil\n")


def _filter_called_lfs(repository: Repository) -> None:
    repository.config(filter__lfs__clean="MARK cat", filter__lfs__required="true")
    repository.attributes("* filter=lfs\n")


def _filter_with_an_odd_name(repository: Repository) -> None:
    repository.git("config", "filter.My.Evil-ü.clean", f"touch {repository.marker}; cat")
    repository.attributes("* filter=My.Evil-ü\n")


def _text_conversion(repository: Repository) -> None:
    repository.config(diff__evil__textconv="MARK cat", diff__evil__command="MARK true", diff__external="MARK true")
    repository.attributes("* diff=evil\n")


def _lazy_fetch(repository: Repository, url: str = "ssh://box/x") -> None:
    """A partial clone that lacks what is asked for."""
    blob = repository.git("rev-parse", "HEAD:a.txt")
    repository.config(
        core__repositoryFormatVersion="1",
        extensions__partialClone="origin",
        remote__origin__promisor="true",
        remote__origin__url=url,
        core__sshCommand="MARK false",
        credential__helper="!MARK false",
    )
    (repository.path / ".git/objects" / blob[:2] / blob[2:]).unlink()


def _submodule(repository: Repository) -> None:
    """What a submodule's own configuration says would be run by a git that looks into it."""
    other = make(repository.path.parent / "other")
    repository.git("submodule", "--quiet", "add", str(other.path), "module")
    repository.commit()
    inner = Repository(repository.path / "module", repository.marker)
    inner.config(core__fsmonitor="MARK false", filter__evil__clean="MARK cat")
    (repository.path / ".git/modules/module/info").mkdir(exist_ok=True)
    (repository.path / ".git/modules/module/info/attributes").write_text("* filter=evil\n")
    inner.write("a.txt", "two\n")


HOSTILE: dict[str, Callable[[Repository], None]] = {
    "fsmonitor": lambda repository: repository.config(core__fsmonitor="MARK false"),
    "pager": lambda repository: repository.config(core__pager="MARK cat", pager__diff="MARK cat"),
    "alias": lambda repository: repository.config(**{"alias.diff": "!MARK", "alias.rev-parse": "!MARK"}),
    "programs": lambda repository: repository.config(
        core__editor="MARK", core__askPass="MARK", gpg__program="MARK", log__showSignature="true", core__gitProxy="MARK"
    ),
    "hooks": _hooks,
    "hooks elsewhere": _hooks_elsewhere,
    "filter": _filter,
    "filter process": _filter_process,
    "filter called lfs": _filter_called_lfs,
    "filter with an odd name": _filter_with_an_odd_name,
    "text conversion": _text_conversion,
    "submodule": _submodule,
    "lazy fetch": _lazy_fetch,
    "lazy fetch, ext": lambda repository: _lazy_fetch(repository, f"ext::sh -c touch% {repository.marker}"),
    "lazy fetch, https": lambda repository: _lazy_fetch(repository, "https://127.0.0.1:9/x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_repository_runs_nothing(repository: Repository, name: str) -> None:
    """Safety G1 and G2: every payload is laid out, and nothing of it leaves its marker."""
    HOSTILE[name](repository)
    sha = repository.git("rev-parse", "HEAD") if name != "programs" else head(repository.path)
    repository.marker.unlink(missing_ok=True)  # laying it out may have sprung it
    repository.write("a.txt", "two\n")
    repository.write("data.bin", b"\0\1\3")
    if name.startswith("lazy"):
        with pytest.raises(InputError, match=r"git diff in .*: fatal: ") as caught:
            provenance(repository.path)
        assert "\n" not in str(caught.value)
    else:
        for without in ((), ("hosts",)):
            found = provenance(repository.path, without)
            assert b"+two" in found.diff
    is_ignored(repository.path, repository.path / ".tune-runs" / "r")
    changed_files(repository.path, sha, sha)
    file_at(repository.path, sha, "sub/b.txt")
    assert not repository.marker.exists()


def test_the_payloads_work(repository: Repository) -> None:
    """Plain git does run them: otherwise the test above would prove nothing."""
    sprung = []
    for name, lay_out in HOSTILE.items():
        trap = make(repository.path.parent / name.replace(" ", "-").replace(",", ""))
        lay_out(trap)
        trap.marker.unlink(missing_ok=True)
        trap.write("a.txt", "two\n")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        for command in (["diff", "--ext-diff", "HEAD"], ["status"], ["log", "-1"], ["add", "a.txt"], ["gc", "--auto"]):
            subprocess.run(["git", *command], cwd=trap.path, env=environment, capture_output=True, timeout=50)
        if trap.marker.exists():
            sprung.append(name)
        shutil.rmtree(trap.path.parent / "other", ignore_errors=True)
    quiet = {
        "pager",
        "alias",
        "programs",
        "lazy fetch, ext",
        "lazy fetch, https",
    }  # need a terminal, a server, a newer git
    assert set(HOSTILE) - quiet <= set(sprung)


def test_a_filter_that_cannot_be_switched_off_is_refused(repository: Repository) -> None:
    repository.git("config", "filter.a=b.clean", f"touch {repository.marker}; cat")
    repository.attributes("* filter=a=b\n")
    repository.write("a.txt", "two\n")
    with pytest.raises(InputError, match="a filter is called 'a=b'"):
        provenance(repository.path)
    assert not repository.marker.exists()


def _stand_in_lfs(folder: Path) -> None:
    """A `git-lfs` that keeps the first line of a file, as a pointer."""
    folder.mkdir()
    (folder / "git-lfs").write_text("#!/bin/sh\nhead -n 1\n")
    (folder / "git-lfs").chmod(0o755)


@pytest.mark.parametrize("extended", [False, True])
def test_large_files_are_not_taken_for_changed_ones(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extended: bool
) -> None:
    _stand_in_lfs(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    repository.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
    repository.git("config", "filter.lfs.smudge", "git-lfs smudge -- %f")
    repository.write(".gitattributes", "*.big filter=lfs\n")
    repository.write("model.big", "pointer\nall the rest\n")
    repository.commit()
    assert repository.git("cat-file", "blob", "HEAD:model.big") == "pointer"
    if extended:
        repository.git("config", "lfs.extension.evil.clean", f"touch {repository.marker}; cat")
    os.utime(repository.path / "model.big", (1, 1))  # as after a copy of the whole checkout
    assert provenance(repository.path).dirty is extended, "with an extension it is no longer the usual filter"
    assert not repository.marker.exists()


def test_submodules_count(repository: Repository, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    deep = make(tmp_path / "deep")
    other.git("submodule", "--quiet", "add", str(deep.path), "deep")
    other.commit()
    repository.git("submodule", "--quiet", "add", str(other.path), "lib/other")
    repository.git("submodule", "--quiet", "update", "--init", "--recursive")
    repository.commit()
    clean = provenance(repository.path)
    assert clean.dirty is False
    repository.write("lib/other/deep/a.txt", "changed deep down\n")
    repository.write("lib/other/new.txt", "x")
    repository.config(diff__ignoreSubmodules="all", submodule__lib_other__ignore="all")
    found = provenance(repository.path)
    assert b"+changed deep down" in found.diff
    assert b"Submodule lib/other contains modified content" in found.diff
    assert found.untracked == ("lib/other/new.txt",)
    assert provenance(repository.path, ("lib/other/deep", "lib/other/new.txt")).dirty is False
    (repository.path / "lib/other/deep/a.txt").write_text("one\n")
    (repository.path / "lib/other/new.txt").unlink()
    assert provenance(repository.path) == clean
    old = clean.sha
    Repository(repository.path / "lib/other", repository.marker).git("checkout", "--quiet", "HEAD~1")
    assert b"Subproject commit" in provenance(repository.path).diff, "another commit of it is another code"
    repository.git("config", "--unset", "diff.ignoreSubmodules")
    new = repository.commit()
    repository.config(diff__ignoreSubmodules="all")
    assert "lib/other" in changed_files(repository.path, old, new)


def test_a_submodule_that_is_not_checked_out(repository: Repository, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    repository.git("submodule", "--quiet", "add", str(other.path), "module")
    repository.commit()
    repository.git("submodule", "--quiet", "deinit", "--force", "module")
    assert provenance(repository.path).dirty is False


def test_a_worktree(repository: Repository) -> None:
    repository.git("worktree", "add", "--quiet", "../tree", "-b", "side")
    tree = repository.path.parent / "tree"
    (tree / "a.txt").write_text("two\n")
    found = provenance(tree)
    assert (found.branch, found.sha) == ("side", head(repository.path))
    assert b"+two" in found.diff
    assert provenance(repository.path).dirty is False
    assert is_ignored(tree, tree / ".tune-runs" / "r")
    assert not is_ignored(tree, tree / "runs" / "r")


def test_a_nested_repository_is_untracked(repository: Repository) -> None:
    make(repository.path / "nested")
    assert provenance(repository.path).untracked == ("nested/",)


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        (".tune-runs/r", True),
        (".tune-runs/-x/*[a]", True),
        ("runs/r", False),
        (".", False),
        ("..", True),
        ("../elsewhere/r", True),
        ("link/r", True),
        ("a.txt", False),
    ],
)
def test_whether_git_would_track_a_run(repository: Repository, path: str, ignored: bool) -> None:
    (repository.path / "link").symlink_to(".tune-runs")
    assert is_ignored(repository.path, repository.path / path) is ignored


def test_no_commit_yet(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    Repository(tmp_path / "new", tmp_path / "marker").git("init", "--quiet")
    with pytest.raises(InputError, match="is not a git checkout with a commit") as caught:
        provenance(tmp_path / "new")
    assert "\n" not in str(caught.value)


def test_no_repository(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match=r"is not a git checkout with a commit.*not a git repository"):
        provenance(tmp_path / "plain")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no", tmp_path / "file"):
        with pytest.raises(InputError, match="is not a folder"):
            head(path)


def test_a_damaged_repository(repository: Repository) -> None:
    repository.write(".git/HEAD", "nonsense\n")
    with pytest.raises(InputError, match="is not a git checkout with a commit"):
        provenance(repository.path)
    repository.write(".git/HEAD", "ref: refs/heads/main\n")
    repository.write(".git/config", "[core\n")
    with pytest.raises(InputError, match="bad config line 1"):
        provenance(repository.path)


def test_no_git(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git is not installed"):
        provenance(repository.path)


def test_git_that_hangs(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git, "_TIMEOUT_S", 0.2)
    with pytest.raises(InputError, match="did not answer within"):
        head(repository.path)


@pytest.mark.parametrize("sha", ["HEAD", "main", "-h", "--output=x", "", "a" * 39, "A" * 40, "a" * 40 + "\n"])
def test_only_full_commit_ids_are_passed_on(repository: Repository, sha: str) -> None:
    good = head(repository.path)
    for ask in (
        lambda: changed_files(repository.path, sha, good),
        lambda: changed_files(repository.path, good, sha),
        lambda: file_at(repository.path, sha, "a.txt"),
    ):
        with pytest.raises(InputError, match="is not a full commit id"):
            ask()
    assert not (repository.path / "x").exists()


def test_a_commit_that_is_not_there(repository: Repository) -> None:
    with pytest.raises(InputError, match=f"commit {'a' * 40} is not in "):
        changed_files(repository.path, "a" * 40, head(repository.path))
    assert file_at(repository.path, "a" * 40, "a.txt") is None


def test_what_changed_between_two_commits(repository: Repository) -> None:
    old = head(repository.path)
    repository.write("a.txt", "two\n")
    (repository.path / "sub/b.txt").rename(repository.path / "sub/c.txt")
    new = repository.commit()
    assert changed_files(repository.path, old, new) == ("a.txt", "sub/b.txt", "sub/c.txt")
    assert changed_files(repository.path, new, new) == ()
    assert file_at(repository.path, old, "a.txt") == b"one\n"
    assert file_at(repository.path, new, "sub/b.txt") is None


def test_the_callers_git_variables_do_not_reach_git(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make(repository.path.parent / "other")
    for name, value in (
        ("GIT_DIR", str(other.path / ".git")),
        ("GIT_WORK_TREE", str(other.path)),
        ("GIT_EXTERNAL_DIFF", f"touch {repository.marker}"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
        ("GIT_CONFIG_VALUE_0", f"touch {repository.marker}"),
        ("GIT_TRACE2_EVENT", str(repository.marker)),
    ):
        monkeypatch.setenv(name, value)
    repository_sha = (repository.path / ".git/refs/heads/main").read_text().strip()
    (repository.path / "a.txt").write_text("two\n")
    found = provenance(repository.path)
    assert found.sha == repository_sha
    assert b"+two" in found.diff
    assert not repository.marker.exists()

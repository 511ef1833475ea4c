"""Models and datasets in a real folder of the hub's layout, with locks that real processes hold."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.runner.calibration import assets
from tests.peers.quick import tree, until

pytestmark = pytest.mark.travels

MODEL = "models--org--name"
REVISION = "0123456789abcdef0123456789abcdef01234567"


def repository(hub: Path, name: str = MODEL, files: tuple[str, ...] = ("config.json", "model.safetensors")) -> Path:
    """A repository as the hub's own client leaves it."""
    folder = hub / name
    snapshot = folder / "snapshots" / REVISION
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    snapshot.mkdir(parents=True)
    for number, file in enumerate(files):
        (folder / "blobs" / f"{number:040x}").write_text("{}")
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / file).symlink_to(folder / "blobs" / f"{number:040x}")
    return folder


def environment(home: Path) -> dict[str, str]:
    return {"HF_HOME": str(home), "HF_ENDPOINT": "https://mirror.invalid"}


def test_a_whole_model_is_there_and_nothing_is_changed(tmp_path: Path) -> None:
    repository(tmp_path / "hub")
    before = tree(tmp_path)
    item = assets.look_at_asset(assets.MODEL, "org/name", environment(tmp_path), "hf")
    assert item.ok
    assert tree(tmp_path) == before


def test_a_missing_one_is_mended_by_its_own_download(tmp_path: Path) -> None:
    model = assets.look_at_asset(assets.MODEL, "org/name", environment(tmp_path / "a b"), "hf")
    assert (model.ok, model.mend) == (
        False,
        f"HF_HOME='{tmp_path}/a b' HF_ENDPOINT=https://mirror.invalid hf download org/name",
    )
    dataset = assets.look_at_asset(assets.DATASET, "org/data", environment(tmp_path), "hf")
    assert dataset.mend is not None
    assert dataset.mend.endswith("hf download --repo-type dataset org/data")


def test_a_dataset_lies_elsewhere_than_a_model(tmp_path: Path) -> None:
    repository(tmp_path / "hub", "datasets--org--name")
    assert assets.look_at_asset(assets.DATASET, "org/name", environment(tmp_path), "hf").ok
    assert not assets.look_at_asset(assets.MODEL, "org/name", environment(tmp_path), "hf").ok


def test_hostile_names_are_never_in_a_command(tmp_path: Path) -> None:
    for name in ("--local-dir=/", "a;id", "../../x"):
        item = assets.look_at_asset(assets.MODEL, name, environment(tmp_path), "hf")
        assert (item.ok, item.mend) == (False, None)


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    (folder / "blobs" / f"{1:040x}").unlink()
    assert assets.incomplete(folder) == "model.safetensors leads nowhere"


def test_a_shard_that_is_missing(tmp_path: Path) -> None:
    folder = repository(tmp_path, files=("sub/model.safetensors.index.json", "sub/model-1.safetensors"))
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "blobs" / f"{0:040x}").write_text(json.dumps(index))
    assert assets.incomplete(folder) == "sub/model-2.safetensors is missing"


def test_an_empty_snapshot_and_a_wrong_revision(tmp_path: Path) -> None:
    folder = repository(tmp_path, files=())
    assert assets.incomplete(folder) == "the snapshot is empty"
    (folder / "refs" / "main").write_text("f" * 40)
    assert assets.incomplete(folder) == "revision ffffffffffff of main is not there"


def test_a_download_that_was_begun(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    (folder / "blobs" / f"{0:040x}.incomplete").write_text("")  # its blob is there by now
    assert assets.incomplete(folder) is None
    (folder / "blobs" / f"{9:040x}.incomplete").write_text("")
    assert "begun and not finished" in str(assets.incomplete(folder))


def test_without_a_ref_any_whole_snapshot_will_do(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    (folder / "refs" / "main").unlink()
    (folder / "snapshots" / "other").mkdir()
    assert assets.incomplete(folder) is None


@pytest.mark.parametrize(
    ("variables", "hub"),
    [
        ({"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}, "/c"),
        ({"HF_HOME": "/h"}, "/h/hub"),
        ({"HOME": "/u"}, "/u/.cache/huggingface/hub"),
        ({"HOME": "/u", "XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
    ],
)
def test_where_the_cache_is(variables: dict[str, str], hub: str) -> None:
    assert assets.hub_of(variables) == Path(hub)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A process that holds the lock of a download, and its pid."""
    path = tmp_path / ".locks" / MODEL / "x.lock"
    path.parent.mkdir(parents=True)
    script = (
        "import fcntl, sys, time\n"
        f"file = open({str(path)!r}, 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        yield path, process.pid
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def test_a_held_lock_names_its_holder(tmp_path: Path, holder: tuple[Path, int]) -> None:
    path, pid = holder
    until(lambda: assets.held_locks(tmp_path, [MODEL]), "the kernel's word on the lock", 5)
    (found,) = assets.held_locks(tmp_path, [MODEL])
    assert (found.path, found.pid, found.alive) == (path, pid, True)
    item = assets.look_at_locks([found], {pid: "me python"})
    assert (item.ok, item.mend) == (False, None)
    assert f"held by pid {pid} (me python): wait until" in item.detail
    assert f"pid {pid} (me python)" in item.detail
    assert assets.held_locks(tmp_path, ["models--other--one"]) == []


def test_a_lock_that_nobody_holds_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / ".locks" / MODEL / "x.lock"
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert assets.held_locks(tmp_path, [MODEL]) == []
    assert assets.look_at_locks([], {}).ok


def test_a_stale_lock_of_a_dead_process_is_removed_by_its_mend(tmp_path: Path) -> None:
    path = tmp_path / ".locks" / MODEL / "x.lock"
    path.parent.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(20)
    path.write_text(f"{dead.pid}\nhost\n")
    (found,) = assets.held_locks(tmp_path, [MODEL])
    assert (found.pid, found.alive) == (dead.pid, False)
    assert assets.look_at_locks([found], {}).mend == f"rm {path}"


def test_the_speaker_model(tmp_path: Path) -> None:
    assert not assets.look_at_speaker(None, None).ok
    for name in assets.SPEAKER_FILES[:2]:
        (tmp_path / name).write_text("")
    item = assets.look_at_speaker(str(tmp_path), "bash warm.sh")
    assert (item.ok, item.mend) == (False, "bash warm.sh")
    assert "wavlm_large_finetune.pth missing" in item.detail
    (tmp_path / assets.SPEAKER_FILES[2]).write_text("")
    assert assets.look_at_speaker(str(tmp_path), None).ok


def test_the_client_of_the_tests(tmp_path: Path) -> None:
    client = tmp_path / "hf"
    client.write_text("")
    client.chmod(0o755)
    assert assets.client_of(str(tmp_path / "python")) == str(client)
    client.rename(tmp_path / "huggingface-cli")
    assert assets.client_of(str(tmp_path / "python")) == f"{tmp_path}/huggingface-cli"


def test_where_no_client_is_one_is_installed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert assets.client_of(None, None) is None
    item = assets.look_at_asset(assets.MODEL, "org/name", environment(tmp_path), None)
    assert (item.ok, item.mend) == (False, None)
    assert "huggingface_hub is needed" in item.detail
    python = tmp_path / "v e" / "python"
    python.parent.mkdir()
    client = assets.client_of(str(python), "echo install")
    item = assets.look_at_asset(assets.MODEL, "org/name", environment(tmp_path), client)
    (python.parent / "hf").write_text("#!/bin/sh\necho $HF_HOME $*\n")
    (python.parent / "hf").chmod(0o755)
    done = subprocess.run(["/bin/sh", "-c", f"PATH=/bin:/usr/bin; {item.mend}"], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["install huggingface_hub", f"{tmp_path} download org/name"]

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from hosts.errors import InputError
from hosts.host import Accelerators, GpuDevice
from jobs.runner.fingerprint import CACHE_VARIABLES, IMAGE_VARIABLE, fingerprint, fingerprint_of, fingerprinted, probe

pytestmark = pytest.mark.travels

NONE = Accelerators((), "none")


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def device(index: int, name: str | None = "H20") -> GpuDevice:
    return GpuDevice(index, name, None, 0, 1, 0)


def test_this_interpreter() -> None:
    found = fingerprint(sys.executable, dict(os.environ), NONE, ("pytest", "no-such-distribution"))
    assert found["python"] == platform.python_version()
    assert found["hostname"] == platform.node()
    pins = found["pins"]
    assert isinstance(pins, dict)
    assert pins["pytest"] == pytest.__version__
    assert pins["no-such-distribution"] is None
    assert set(pins) == {"torch", "sglang", "flashinfer-python", "pytest", "no-such-distribution"}
    assert (found["gpu_model"], found["gpu_count"]) == (None, 0)


def test_an_interpreter_that_was_asked_for_more_need_not_be_asked_again() -> None:
    pins, environment = ("pytest", "No.Such_Distribution"), dict(os.environ)
    said = probe(sys.executable, environment, ("pluggy", *fingerprinted(pins)))
    assert fingerprint_of(said, environment, NONE, pins) == fingerprint(sys.executable, environment, NONE, pins)


def test_the_environment_is_the_jobs_and_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNI_CI_HOME", "/ours")
    monkeypatch.setenv(IMAGE_VARIABLE, "registry/image:1")
    environment = {"PATH": os.environ["PATH"], "HF_HOME": "/data/hf", "HOME": "/root"}
    found = fingerprint(sys.executable, environment, NONE)
    assert found["cache_paths"] == {**dict.fromkeys(CACHE_VARIABLES), "HF_HOME": "/data/hf", "HOME": "/root"}
    assert found["image"] == "registry/image:1"


@pytest.mark.parametrize(
    ("seen", "model", "count"),
    [
        (Accelerators((device(0), device(1)), "nvml", "550", "12.4"), "H20", 2),
        (Accelerators((device(0, "H20"), device(1, "A100")), "nvidia-smi"), "A100, H20", 2),
        (Accelerators((device(0, None),), "nvml"), None, 1),
        (Accelerators((), "unknown", detail="the driver hangs"), None, None),
        (NONE, None, 0),
    ],
)
def test_accelerators(seen: Accelerators, model: str | None, count: int | None) -> None:
    found = fingerprint(sys.executable, dict(os.environ), seen)
    assert (found["gpu_model"], found["gpu_count"]) == (model, count)
    assert (found["driver"], found["cuda"]) == (seen.driver, seen.cuda)


def test_what_is_installed_is_not_imported(tmp_path: Path) -> None:
    """Importing torch takes seconds, and a broken one would take the answer with it."""
    (tmp_path / "torch.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    probe(sys.executable, {**os.environ, "PYTHONPATH": str(tmp_path)}, ("torch",))
    assert not (tmp_path / "marker").exists()


def test_pytest_is_found_and_not_imported(tmp_path: Path) -> None:
    """It takes a third of a second of a core, and every start asks twice."""
    (tmp_path / "pytest.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    assert probe(sys.executable, {**os.environ, "PYTHONPATH": str(tmp_path)}, ())["pytest"] == pytest.__version__
    assert not (tmp_path / "marker").exists()


def test_half_a_pytest_is_none(tmp_path: Path) -> None:
    (tmp_path / "_pytest.py").write_text("__version__ = '8.4.0'\n")
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [{str(tmp_path)!r}]\n"
    )
    for name in ("pluggy", "pytest"):
        assert probe(sys.executable, {**os.environ, "PYTHONPATH": str(tmp_path)}, ())["pytest"] is None
        (tmp_path / f"{name}.py").write_text("")
    assert probe(sys.executable, {**os.environ, "PYTHONPATH": str(tmp_path)}, ())["pytest"] == "8.4.0"


@pytest.mark.parametrize("told", [True, False], ids=["with metadata", "without"])
def test_a_pytest_without_what_it_needs_is_none(tmp_path: Path, told: bool) -> None:
    """As somebody leaves it who removes a package, or copies some; what it needs depends on the Python."""
    packages = tmp_path / "packages"
    packages.mkdir()
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [{str(packages)!r}]\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    if told:
        folder = Path(pytest.__file__).parents[1] / f"pytest-{pytest.__version__}.dist-info"
        (packages / folder.name).symlink_to(folder)
    for name in ("_pytest", "pytest", "py", "pluggy", "packaging", "typing_extensions"):
        link(name, packages)
    for name in ("exceptiongroup", "tomli", "iniconfig", "pygments"):  # the first two in an older Python alone
        if sys.version_info < (3, 11) or name not in ("exceptiongroup", "tomli"):
            assert probe(sys.executable, environment, ())["pytest"] is None, name
            link(name, packages)
    assert probe(sys.executable, environment, ())["pytest"] == pytest.__version__
    subprocess.run([sys.executable, "-m", "pytest", "--version"], env=environment, cwd="/", check=True)


def link(name: str, folder: Path) -> None:
    """Have a module or a package that is installed here there too, if it is."""
    spec = importlib.util.find_spec(name)
    for place in (spec.submodule_search_locations or [str(spec.origin)]) if spec is not None else []:
        (folder / Path(place).name).symlink_to(place)


def test_an_interpreter_that_talks_when_it_starts(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nprint('welcome {', end='')\nprint('hm', file=sys.stderr)\n")
    found = probe(sys.executable, {**os.environ, "PYTHONPATH": str(tmp_path)}, ())
    assert found["python"] == platform.python_version()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo 'no libpython' >&2; exit 127", "does not run: no libpython"),
        ("exit 3", "does not run: exit 3"),
        ("true", "does not run: exit 0"),
        ("echo hello", "does not answer as a Python does: its answer:1:1"),
        ("echo '[]'", "has no pytest"),
        ("""echo '{"python": "3.9.1", "pytest": null, "pins": {}}'""", "has no pytest; install it there"),
    ],
)
def test_what_is_no_python_with_pytest(tmp_path: Path, body: str, why: str) -> None:
    python = script(tmp_path / "python", body)
    with pytest.raises(InputError, match=why) as caught:
        fingerprint(python, dict(os.environ), NONE)
    assert "\n" not in str(caught.value)


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    for path in (tmp_path / "no", tmp_path / "plain", tmp_path):
        with pytest.raises(InputError, match="does not exist or cannot be executed; pass --venv-python"):
            probe(str(path), {}, ())
    broken = script(tmp_path / "broken", "")
    Path(broken).write_text("#!/no/such/interpreter\n")
    with pytest.raises(InputError, match="does not run"):
        probe(broken, {}, ())


def test_a_python_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.runner.fingerprint._TIMEOUT_S", 0.2)
    with pytest.raises(InputError, match=r"does not run: .*timed out"):
        probe(script(tmp_path / "python", "exec sleep 600"), dict(os.environ), ())


OLDER = [
    path
    for name in ("3.6", "3.8")
    for path in sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{name}.*/bin/python"))
]


@pytest.mark.parametrize("python", OLDER, ids=lambda path: path.parts[-3])
def test_an_old_interpreter_of_a_project(python: Path) -> None:
    """A project's own Python may be older than any that we run on."""
    said = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True
    )
    assert probe(str(python), dict(os.environ), ("pip",))["python"] == said.stdout.strip()

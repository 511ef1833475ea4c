"""A GPU driver for tests: a compiled stand-in for libnvidia-ml.so.1, and a script that stands for nvidia-smi."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("fake_nvml.c")
COMPILER = shutil.which("gcc") or shutil.which("cc")


class FakeNvml:
    """The driver in one folder; `environment` makes a child process load it."""

    def __init__(self, library: Path, state: Path) -> None:
        self._library = library
        self._state = state

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self._library.parent), "FAKE_NVML": str(self._state)}

    def says(self, *lines: str) -> None:
        """What it answers from now on, also to a process that runs already (fake_nvml.c has the lines' form)."""
        new = self._state.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self._state)


def gpu(index: int, *, used: int = 1000, total: int = 81559, utilisation: int = 50) -> tuple[str, ...]:
    """The lines of one ordinary GPU without processes."""
    return (
        f"{index} name NVIDIA H100 80GB HBM3",
        f"{index} uuid GPU-00000000-0000-0000-0000-{index:012d}",
        f"{index} total {total}",
        f"{index} used {used}",
        f"{index} reserved 551",
        f"{index} utilisation {utilisation}",
        f"{index} temperature 41",
        f"{index} milliwatts 123456",
        f"{index} limit 700000",
        f"{index} mig 0",
        f"{index} processes yes",
        f"{index} drawers yes",
        f"{index} sharers yes",
    )


def build(folder: Path, *flags: str) -> Path:
    """Compile the library into `folder`."""
    assert COMPILER is not None, "there is no C compiler"
    library = folder / "libnvidia-ml.so.1"
    argv = [COMPILER, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-Wl,-soname,{library.name}", "-o", str(library)]
    subprocess.run([*argv, *flags, str(SOURCE)], check=True)
    return library


def smi_script(folder: Path, gpus: str, apps: str = "", *, code: int = 0, apps_code: int = 0, before: str = "") -> Path:
    """Write an executable `nvidia-smi` that prints fixed answers to our two questions."""
    script = folder / "nvidia-smi"
    script.write_text(
        f"#!/bin/sh\n{before}\n"
        f'case "$1" in\n--query-gpu=*) printf %s {shlex.quote(gpus)}; exit {code};;\n'
        f"--query-compute-apps=*) printf %s {shlex.quote(apps)}; exit {apps_code};;\nesac\nexit 99\n"
    )
    script.chmod(0o755)
    return script

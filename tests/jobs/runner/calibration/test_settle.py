"""After a launch: memory counts as given back where that is seen, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hosts.host import Accelerators, GpuDevice
from jobs.runner.calibration import loop
from jobs.runner.calibration.attempt import Attempt
from jobs.runner.calibration.job import GpuRules

pytestmark = pytest.mark.travels

UNIT: Any = SimpleNamespace(gpus=2, key="a")
ATTEMPT = Attempt("token", 1, (), (0, 1), "")


def device(index: int, used: int = 3) -> GpuDevice:
    return GpuDevice(index, "H20", f"GPU-{index}", used, 97_000, 0, processes=())


def seen(*devices: GpuDevice, source: str = "nvidia-smi", detail: str = "") -> Accelerators:
    return Accelerators(devices, source, detail=detail)


@pytest.fixture
def settle(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], float]]:
    """Settles on accelerators that change as time goes by: what was said, and how long it took."""

    def settle(looks: Callable[[float], Accelerators], lost: bool = False) -> tuple[list[str], float]:
        now = [0.0]
        said: list[str] = []

        def sleep(seconds: float) -> None:
            now[0] += seconds

        monkeypatch.setattr(loop, "monotonic", lambda: now[0])
        monkeypatch.setattr("jobs.runner.calibration.loop.time.sleep", sleep)
        monkeypatch.setattr(loop, "read_accelerators", lambda: looks(now[0]))
        context: Any = SimpleNamespace(
            job=SimpleNamespace(gpu=GpuRules(settle_s=3.0)),
            control=SimpleNamespace(lost=lost),
            note=lambda _kind, _data, line: said.append(line),
        )
        loop._settle(context, UNIT, ATTEMPT)
        return said, now[0]

    return settle


@pytest.mark.parametrize(
    ("accelerators", "why"),
    [
        (seen(source="unknown", detail="the driver hangs"), ["the driver hangs", "the driver hangs"]),
        (seen(device(0), device(7), detail="GPU is lost"), [None, "GPU is lost"]),
        (seen(device(0)), [None, "it is gone"]),
        (seen(source="none"), ["it is gone", "it is gone"]),
    ],
)
def test_a_gpu_that_cannot_be_seen_gave_nothing_back(
    settle: Callable[..., tuple[list[str], float]], accelerators: Accelerators, why: list[str | None]
) -> None:
    reasons = [f"GPU {index} cannot be seen: {told}" for index, told in enumerate(why) if told]
    said, lasted = settle(lambda _: accelerators)
    assert said == [f"WAIT not released: {'; '.join(reasons)}"]
    assert lasted == 3.5


def test_a_gpu_that_is_seen_again_in_time_is_not_told_of(settle: Callable[..., tuple[list[str], float]]) -> None:
    said, lasted = settle(
        lambda now: seen(source="unknown", detail="the driver hangs") if now < 2 else seen(device(0), device(1))
    )
    assert (said, lasted) == ([], 2.0)


def test_other_gpus_are_not_waited_for(settle: Callable[..., tuple[list[str], float]]) -> None:
    assert settle(lambda _: seen(device(0), device(1), device(2, 70_000))) == ([], 0.0)


def test_a_run_that_was_lost_says_nothing(settle: Callable[..., tuple[list[str], float]]) -> None:
    assert settle(lambda _: seen(source="unknown", detail="the driver hangs"), lost=True) == ([], 0.0)

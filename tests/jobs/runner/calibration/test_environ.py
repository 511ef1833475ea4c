from __future__ import annotations

import pytest

from jobs.runner.calibration.environ import complete, early_stops, past_proxies, without_early_stop

pytestmark = pytest.mark.travels


def test_the_shell_lies_below_and_the_gpus_above() -> None:
    shell = {
        "PATH": "/bin",
        "A": "shell",
        "CUDA_VISIBLE_DEVICES": "7",
        "GATEWATCH_TOKEN": "x",
        "https_proxy": "http://p:3128",
    }
    result = complete(shell, {"A": "overlay", "CUDA_VISIBLE_DEVICES": "6"}, [0, 1])
    assert result == {
        "PATH": "/bin",
        "A": "overlay",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "https_proxy": "http://p:3128",
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "no_proxy": "localhost,127.0.0.1,::1",
    }
    assert shell["A"] == "shell"


@pytest.mark.parametrize(("gpus", "expected"), [([], ""), ((3,), "3"), (None, "7")])
def test_no_gpu_hides_all_and_none_leaves_the_choice(gpus: list[int] | None, expected: str) -> None:
    assert complete({"CUDA_VISIBLE_DEVICES": "7"}, {}, gpus)["CUDA_VISIBLE_DEVICES"] == expected


def test_a_home_in_the_shell_alone_moves_the_caches_too() -> None:
    result = complete({"OMNI_CI_HOME": "/ci/", "XDG_CACHE_HOME": "/home/me/.cache"}, {}, None)
    assert (result["XDG_CACHE_HOME"], result["TORCHINDUCTOR_CACHE_DIR"]) == ("/ci/.cache", "/ci/.torchinductor")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((None, None), "localhost,127.0.0.1,::1"),
        (("corp, localhost", "other"), "corp,localhost,other,127.0.0.1,::1"),
        (("*", None), "*"),
        (("", ","), "localhost,127.0.0.1,::1"),
    ],
)
def test_the_own_servers_are_never_behind_a_proxy(values: tuple[str | None, ...], expected: str) -> None:
    assert past_proxies(*values) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("-x", ""),
        ("-v  -k 'a and b'", "-v  -k 'a and b'"),
        ("-x -v", "-v"),
        ("-vxs", "-vs"),
        ("--exitfirst -q", "-q"),
        ("--maxfail=1 -q", "-q"),
        ("--maxfail 1 -q", "-q"),
        ("-k x", "-k x"),
        ("-kx", "-kx"),
        ("-p xdist --sw", "-p xdist"),
        ("--maxfail", ""),
        ("-m 'open", "-m 'open"),
    ],
)
def test_pytest_is_never_told_to_stop_early(options: str, expected: str) -> None:
    assert without_early_stop(options) == expected
    assert complete({"PYTEST_ADDOPTS": options}, {}, None)["PYTEST_ADDOPTS"] == expected


def test_which_arguments_stop_early() -> None:
    assert early_stops(["-v", "-x", "-sx", "--maxfail=3", "-kx", "--exitfirst", "x"]) == [
        "-x",
        "-sx",
        "--maxfail=3",
        "--exitfirst",
    ]

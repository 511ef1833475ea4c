from __future__ import annotations

from hosts.profiles import HostProfile, Physical
from jobs.calibration.config import parse_config
from jobs.calibration.environment import job_environment
from jobs.runner.calibration.environ import complete

TEST = "tests/test_a.py"


def merged(
    text: str, profile: HostProfile | None = None, stage: dict[str, str] | None = None, **flags: str
) -> dict[str, str]:
    config = parse_config(text.encode()).value
    return dict(job_environment(config, profile, TEST, stage or {}, flags).overlay)


def test_a_later_layer_wins_and_says_so() -> None:
    config = parse_config(
        b"auto_env: {A: '0', B: '0', C: '0', D: '0', HF_HOME: /x}\nextra_env: {test_a.py: {B: '1', C: '1', D: '1'}}"
    ).value
    profile = HostProfile(name="h20-a", physical=Physical(hf_hub="/hub"))
    result = job_environment(config, profile, TEST, {"C": "2", "D": "2"}, {"D": "3"})
    assert result.overlay == {"A": "0", "B": "1", "C": "2", "D": "3", "HF_HOME": "/hub"}
    assert result.origins == {
        "A": "config auto_env",
        "B": f"config extra_env for {TEST}",
        "C": "stage extra_env",
        "D": "flag",
        "HF_HOME": "host h20-a",
    }


def test_the_host_says_where_its_things_are() -> None:
    profile = HostProfile(name="h", physical=Physical(hf_hub="/hub", speaker_sim="/sim", omni_ci_home="/omni/"))
    assert merged("name: m", profile) == {
        "HF_HOME": "/hub",
        "SEEDTTS_SIM_CACHE_DIR": "/sim",
        "OMNI_CI_HOME": "/omni/",
        "XDG_CACHE_HOME": "/omni/.cache",
        "TORCHINDUCTOR_CACHE_DIR": "/omni/.torchinductor",
    }


def test_the_caches_follow_a_home_that_the_host_moves() -> None:
    text = "auto_env: {OMNI_CI_HOME: /ci, XDG_CACHE_HOME: /ci/.cache, TORCHINDUCTOR_CACHE_DIR: /ci/.torchinductor}"
    moved = merged(text, HostProfile(name="h", physical=Physical(omni_ci_home="/data")))
    assert moved["XDG_CACHE_HOME"] == "/data/.cache"
    assert moved["TORCHINDUCTOR_CACHE_DIR"] == "/data/.torchinductor"
    assert merged(text, None, {"XDG_CACHE_HOME": "/mine"})["XDG_CACHE_HOME"] == "/mine"


def test_without_a_home_no_cache_is_moved() -> None:
    assert merged("auto_env: {XDG_CACHE_HOME: /c}") == {"XDG_CACHE_HOME": "/c"}


def test_a_tilde_in_a_profile_is_the_home_of_the_account_there() -> None:
    profile = HostProfile(name="h", physical=Physical(hf_hub="~/hub", omni_ci_home="~/ci"))
    result = complete({"HOME": "/home/op"}, {**merged("auto_env: {HOME: /github/home}", profile)}, None)
    assert result["HF_HOME"] == "/home/op/hub"
    assert result["OMNI_CI_HOME"] == "/home/op/ci"
    assert result["XDG_CACHE_HOME"] == "/home/op/ci/.cache"
    assert result["HOME"] == "/github/home"

"""Where a calibration happens: the checkout that configures it, the host that runs it, the repository there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hosts.errors import InputError
from hosts.profiles import HostProfile, Selected, select_profile
from jobs.calibration.checkout import Checkout, checkout_above, find_checkout, find_repo, git_top
from jobs.connect import is_local
from jobs.named_host import knows
from jobs.runner.places import RUNS


@dataclass(frozen=True)
class Site:
    """A checkout and the host that its jobs run on.

    Attributes:
        profile: The chosen host profile and its file, or None for this machine without one.
        repo: The repository's absolute path on that host.
        local: Whether files of the host can be looked at from this process.
        warnings: What looked wrong in the files that were read.
    """

    checkout: Checkout
    profile: HostProfile | None
    profile_path: Path | None
    repo: str
    local: bool
    warnings: tuple[str, ...] = ()

    @property
    def runs(self) -> str:
        """The folder that run directories are made in."""
        return f"{self.repo.rstrip('/')}/{RUNS}"

    def settings(self, model: str) -> tuple[str, ...]:
        """Our own files within the repository, relative to it: a change there does not change what is measured."""
        top = git_top(self.checkout.root) or self.checkout.root
        files = [self.checkout.config_path(model), self.checkout.manifest_path(model)]
        if self.profile_path is not None:
            files.append(self.profile_path)
        bases = (Path(self.repo), top)
        found = ((path, next((base for base in bases if base in path.parents), None)) for path in files)
        return tuple(path.relative_to(base).as_posix() for path, base in found if base is not None)


def find_site(
    root: str | None,
    repo: str | None,
    host: str | None,
    near: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    far: HostProfile | None = None,
) -> Site:
    """Find the checkout, the host profile and the repository.

    Args:
        root, repo, host: What `--root`, `--repo` and `--host` said.
        near: A run directory, on the host that is meant. On this machine the checkout above it goes before the one
            around us; what lies here at the path of another host's run is another thing.
        environ: Our environment.
        far: The host that the run was found on, where `--host` said nothing: a profile, or one of none.

    Raises:
        InputError: Something named does not exist, or a profile is wrong.
    """
    if host is None and far is not None:
        checkout = find_checkout(root)
        host = far.name if knows(checkout.hosts_folder, far.name) else None
        selected = select_profile(checkout.hosts_folder, host, environ) if host is not None else None
        profile: HostProfile | None = far
    else:
        checkout, selected = _chosen(root, host, near, environ)
        profile = selected.file.profile if selected is not None else None
    path = selected.file.path if selected is not None else None
    warnings = selected.file.warnings if selected is not None else ()
    if is_local(profile) and not (profile is not None and profile.enter):
        return Site(checkout, profile, path, str(find_repo(checkout, repo, profile)), True, warnings)
    assert profile is not None  # without a profile a site is local
    there = repo or profile.repo_root
    if not there or not there.startswith(("/", "~")):
        raise InputError(
            f"host {profile.name}: the repository's absolute path there is needed; set repo_root, or pass --repo"
        )
    return Site(checkout, profile, path, there, False, warnings)


def _chosen(
    root: str | None, host: str | None, near: Path | None, environ: Mapping[str, str]
) -> tuple[Checkout, Selected | None]:
    above = checkout_above(near) if root is None and near is not None else None
    if above is None:
        checkout = find_checkout(root)
        return checkout, select_profile(checkout.hosts_folder, host, environ)
    wanted = host or environ.get("TUNE_HOST")
    around: Checkout | None = None
    with contextlib.suppress(InputError):
        around = find_checkout(root)
    if around is not None and wanted and knows(around.hosts_folder, wanted):
        selected = select_profile(around.hosts_folder, host, environ)
        if selected is not None and not is_local(selected.file.profile):
            return around, selected
    return above, select_profile(above.hosts_folder, host, environ)

"""Options that several words of `gatewatch calibrate` share, so that they read the same everywhere."""

from __future__ import annotations

import argparse


def add_root(parser: argparse.ArgumentParser) -> None:
    """`--root`."""
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="the folder that holds models/ and hosts/, or its repository (default: found from here)",
    )


def add_repo(parser: argparse.ArgumentParser) -> None:
    """`--repo`."""
    parser.add_argument(
        "--repo", metavar="DIR", help="the repository whose tests run (default: the profile's, else git's)"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """`--model`."""
    parser.add_argument("--model", metavar="NAME", help="a folder in models/ (default: the only one)")


def add_host(parser: argparse.ArgumentParser) -> None:
    """`--host`."""
    parser.add_argument("--host", metavar="NAME", help="a profile in hosts/ (default: $TUNE_HOST, else this machine's)")


def add_site(parser: argparse.ArgumentParser) -> None:
    """Where a calibration happens: `--root`, `--repo`, `--model` and `--host`."""
    add_root(parser)
    add_repo(parser)
    add_model(parser)
    add_host(parser)


def add_run(parser: argparse.ArgumentParser) -> None:
    """`--run-dir`, and where it is looked for."""
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        help="the run: a path, a name below .tune-runs/, or HOST:/path (default: the newest)",
    )
    add_site(parser)


def add_venv(parser: argparse.ArgumentParser) -> None:
    """`--venv-python`."""
    parser.add_argument(
        "--venv-python", metavar="PATH", help="the Python that runs the tests (default: $TUNE_VENV_PYTHON, …)"
    )

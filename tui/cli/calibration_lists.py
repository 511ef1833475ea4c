"""`gatewatch calibrate models` and `… stages`: their options; `calibration_tables` does the work on first use."""

from __future__ import annotations

import argparse

from tui.cli.calibration_options import add_model, add_root
from tui.cli.commands import add_json


class Models:
    """Lists the models of a checkout."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_root(parser)
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_tables import show_models

        return show_models(args.root, args.json)


class Stages:
    """Lists the bases of one model with their tests and groups, and the names that stages answer to."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_root(parser)
        add_model(parser)
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_tables import show_stages

        return show_stages(args.root, args.model, args.json)


MODELS = Models()
STAGES = Stages()

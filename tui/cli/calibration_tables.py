"""What `gatewatch calibrate models` and `… stages` show: what there is to run, and by which names."""

from __future__ import annotations

from typing import Any

from gates.calibration.schema import Manifest
from gates.calibration.select import aliases, bases
from hosts.errors import GatewatchError
from jobs.calibration.checkout import Checkout, choose_model, find_checkout, first_existing, load_config, load_manifest
from tui import console
from tui.exits import ExitCode, combine

_NONE = "—"


def show_models(root: str | None, as_json: bool) -> ExitCode:
    """List the models of a checkout; one that cannot be read is told and does not hide the others."""
    checkout = find_checkout(root)
    errors: list[GatewatchError] = []
    models = [_model(checkout, name, errors) for name in checkout.models()]
    if as_json:
        console.print_json({"root": str(checkout.root), "models": models})
    elif models:
        console.print_table(("MODEL", "STAGES", "TESTS", "DESCRIPTION", "DEFAULT VENV"), [_row(m) for m in models])
    else:
        console.print_text(f"no model in {checkout.models_folder}")
    return combine(error.code for error in errors)


def show_stages(root: str | None, asked: str | None, as_json: bool) -> ExitCode:
    """List the bases of one model, and all names that its stages answer to."""
    checkout = find_checkout(root)
    model = choose_model(checkout, asked)
    manifest = load_manifest(checkout, model)
    if as_json:
        console.print_json(_stages(checkout, model, manifest))
    else:
        _print_stages(model, manifest)
    return ExitCode.OK


def _model(checkout: Checkout, name: str, errors: list[GatewatchError]) -> dict[str, Any]:
    """One model; what could not be read is null and told on stderr."""
    told: list[str] = []
    description = venv = stages = tests = bases_ = None
    try:
        loaded = load_config(checkout, name)
        for warning in loaded.warnings:
            console.warn(warning)
        description = loaded.value.description
        venv = first_existing(loaded.value.default_venv_python) if loaded.value.default_venv_python else None
    except GatewatchError as error:
        errors.append(error)
        told.append(str(error))
        console.error(str(error))
    if checkout.manifest_path(name).exists():
        try:
            manifest = load_manifest(checkout, name)
            stages = len(manifest.stages)
            tests = list(dict.fromkeys(stage.test for stage in manifest.stages))
            bases_ = [base.name for base in bases(manifest)]
        except GatewatchError as error:
            errors.append(error)
            told.append(str(error))
            console.error(str(error))
    return {
        "name": name,
        "description": description,
        "stages": stages,
        "bases": bases_,
        "tests": tests,
        "default_venv_python": venv,
        "config": str(checkout.config_path(name)),
        "stages_yaml": str(checkout.manifest_path(name)),
        "errors": told,
    }


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    stages, tests = model["stages"], model["tests"]
    return (
        model["name"],
        _NONE if stages is None else str(stages),
        _NONE if tests is None else str(len(tests)),
        model["description"] or _NONE,
        model["default_venv_python"] or _NONE,
    )


def _stages(checkout: Checkout, model: str, manifest: Manifest) -> dict[str, Any]:
    return {
        "model": model,
        "root": str(checkout.root),
        "stages_yaml": str(checkout.manifest_path(model)),
        "bases": [
            {"base": base.name, "tests": list(base.tests), "groups": list(base.groups), "stages": list(base.stages)}
            for base in bases(manifest)
        ],
        "aliases": {name: list(keys) for name, keys in aliases(manifest).items()},
    }


def _print_stages(model: str, manifest: Manifest) -> None:
    table = bases(manifest)
    console.print_text(f"{model}: {len(manifest.stages)} stages in {len(table)} bases", "")
    console.print_table(
        ("BASE", "GROUPS", "TEST"), [(base.name, " ".join(base.groups), " ".join(base.tests)) for base in table]
    )
    known = aliases(manifest)
    shown = {base.name for base in table} | set(manifest.keys)
    console.print_text("", "A stage can be asked for by its base, by base and group (its exact key), and by")
    console.print_table(("NAME", "STAGES"), [(n, str(len(keys))) for n, keys in known.items() if n not in shown])

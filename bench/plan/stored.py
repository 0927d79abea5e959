"""A plan as a run stores it, and back again when the run is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.errors import ConfigError
from bench.export.inputs import InputValues
from bench.export.onnx_files import external_files
from bench.plan import calibrations
from bench.plan.engine_options import engine_options
from bench.plan.plan import Plan
from bench.records.manifest import ModelFile, PlanFacts
from bench.store.files import sha256_of
from bench.store.reader import Run


def plan_facts(
    plan: Plan, functions: Mapping[str, str], calibration: Mapping[str, Path]
) -> PlanFacts:
    """Return what a run stores of its plan.

    ``functions``: hashes of what the torch functions gave. ``calibration``: inputs of int8 engines,
    by model.
    """
    return PlanFacts(
        batches=plan.batches,
        clocks=plan.clocks,
        governor=plan.governor,
        power=plan.power,
        estimates=plan.estimates,
        files={name: _model_file(path) for name, path in plan.files.items()},
        functions=dict(functions),
        shapes=dict(plan.shapes),
        ranges=dict(plan.values.ranges),
        samples={name: _plain_file(path) for name, path in plan.values.samples.items()},
        inputs={name: tuple(text) for name, text in plan.file_inputs_told.items()},
        trained=None
        if plan.trained is None
        else {name: _plain_file(path) for name, path in plan.trained.items()},
        accuracy=plan.accuracy,
        accuracy_images=plan.accuracy_images,
        cuda_graph=plan.engine.cuda_graph,
        layer_profile=plan.engine.layer_profile,
        per_model=plan.per_model,
        calibration=calibrations.facts(plan, calibration),
    )


def plan_of(run: Run) -> Plan:
    """Return the plan of a stored run, as far as its unfinished cases need it.

    Raises:
        ConfigError: an ONNX file (or its weights) is not there any more, or has changed.
    """
    facts, names = run.manifest.plan, tuple({case.model: None for case in run.unfinished})
    files = {name: file for name, file in facts.files.items() if name in names}
    trained, calibration = facts.trained, facts.calibration
    samples = facts.samples
    for file in (*files.values(), *(trained or {}).values(), *samples.values()):
        _require_unchanged(file)
    return Plan(
        models=names,
        batches=facts.batches,
        clocks=facts.clocks,
        governor=facts.governor,
        power=facts.power,
        procedure=run.manifest.procedure,
        estimates=facts.estimates,
        per_model=facts.per_model,
        files={name: Path(file.path) for name, file in files.items()},
        functions=tuple(name for name in names if name in facts.functions),
        shapes=facts.shapes,
        values=InputValues(facts.ranges, {name: Path(file.path) for name, file in samples.items()}),
        trained=None
        if trained is None
        else {name: Path(file.path) for name, file in trained.items()},
        accuracy=facts.accuracy,
        accuracy_images=facts.accuracy_images,
        engine=engine_options(
            facts.cuda_graph,
            facts.layer_profile,
            None if calibration is None else Path(calibration.path),
        ),
    )


def require_same_functions(facts: PlanFacts, found: Mapping[str, str]) -> None:
    """Raise ConfigError unless torch functions give what they gave when a run began."""
    for name, digest in found.items():
        if facts.functions[name] != digest:
            raise ConfigError(
                f"{name}: what it gives (or torch makes of it) has changed since the run began; "
                "start a new run"
            )


def _model_file(path: Path) -> ModelFile:
    return ModelFile(
        path=str(path),
        sha256=sha256_of(path),
        external={name: sha256_of(path.parent / name) for name in external_files(path)},
    )


def _plain_file(path: Path) -> ModelFile:
    return ModelFile(path=str(path.resolve()), sha256=sha256_of(path))


def _require_unchanged(stored: ModelFile) -> None:
    """Raise ConfigError unless an ONNX file and its weights are those that a run began with."""
    path = Path(stored.path)
    if not path.is_file():
        raise ConfigError(f"{path}: the run measured this file; it is gone")
    changed = None if sha256_of(path) == stored.sha256 else path
    if changed is None and stored.external:
        # Runs of before know nothing of the weights.
        files = {name: path.parent / name for name in external_files(path)}
        differing = (
            file for name, file in files.items() if stored.external.get(name) != sha256_of(file)
        )
        changed = next(differing, None)
    if changed is not None:
        raise ConfigError(f"{changed}: has changed since the run began; start a new run")

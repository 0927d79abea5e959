"""The calibration inputs of a whole plan, made before any board is contacted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.errors import ConfigError
from bench.export.cache import ArtifactCache
from bench.export.calibration import calibration_inputs
from bench.networks import models
from bench.plan.engine_options import needs_calibration
from bench.plan.plan import Plan, refusal
from bench.records.case import Case
from bench.records.manifest import CalibrationFacts


def prepare(plan: Plan, cases: Iterable[Case], cache: Path) -> dict[str, Path]:
    """Return the files of inputs (:func:`calibration_inputs`) by the models that need them.

    Raises:
        ConfigError: the given inputs do not fit a model.
    """
    source = plan.engine.calibration
    if source is None:
        return {}
    store = ArtifactCache(cache)
    prepared = {}
    for model in _calibrated(plan, cases):
        shape = _input_shape(plan, model)
        if shape is not None:
            prepared[model] = calibration_inputs(source, shape, store)
    return prepared


def require_use(plan: Plan, cases: Iterable[Case]) -> None:
    """Raise ConfigError for calibration inputs that no case of a plan is calibrated on."""
    if plan.engine.calibration is not None and not _calibrated(plan, cases):
        raise ConfigError(
            "--calibration is for --precision int8 with --runtime tensorrt; no case has both"
        )


def facts(plan: Plan, prepared: Mapping[str, Path]) -> CalibrationFacts | None:
    """Return what is stored of the calibration of a run."""
    if plan.engine.calibration is None:
        return None
    return CalibrationFacts(
        path=str(plan.engine.calibration.resolve()),
        inputs={model: path.name for model, path in prepared.items()},
    )


def require_same(stored: CalibrationFacts | None, prepared: Mapping[str, Path]) -> None:
    """Raise ConfigError unless a resumed run calibrates on the inputs that it began with."""
    for model, path in prepared.items():
        if stored is not None and stored.inputs.get(model, path.name) != path.name:
            raise ConfigError(f"{stored.path}: has changed since the run began; start a new run")


def _calibrated(plan: Plan, cases: Iterable[Case]) -> list[str]:
    """Return the models whose engines see inputs before they round."""
    wanted = dict.fromkeys(
        case.model
        for case in cases
        if refusal(plan, case) is None and needs_calibration(case, plan.files.get(case.model))
    )
    return list(wanted)


def _input_shape(plan: Plan, model: str) -> tuple[int, ...] | None:
    """Return the shape of one input; ``None`` for a model that could not be taken in."""
    if model not in plan.own:
        return models()[model].input_shape
    shapes = plan.file_inputs.get(model)
    if shapes is None:
        return None
    if len(shapes) != 1:
        raise ConfigError(f"--calibration: {model} has {len(shapes)} inputs; it is for one alone")
    return shapes[0][1:]

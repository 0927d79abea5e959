"""plan.yaml → what to measure, where and how.

::

    devices: [nano, orin]
    models: [shufflenet_v2_x1_0, mine.onnx]     # ONNX files: relative to this file;
                                                # package.module:function gives a torch network
    schemes: [dense, "basis:0.25"]
    weights: [load, runtime]
    batches: [1, 8]
    power_modes: [MAXN, 5W]
    exclude:
      - {model: mine, batch: 8}                 # every case that has all these values
    overrides:
      - {where: {scheme: dense}, threads: 2}    # changes to every case that fits
    trained: trainings                          # a folder of `bench train`, relative to this file
    shapes: {ids: [1, 128]}                     # of inputs of models of your own
    ranges: {ids: [0, 30522]}                   # what they are fed: LOW to below HIGH,
    inputs: {mask: mask.npy}                    # or a sample, relative to this file
    accuracy: "fashion-mnist:/data/fashion"
    cuda_graph: true
    calibration: images                         # a folder or an .npy, relative to this file
    per_model: true                         # each model is a job of its own
    procedure: {preset: standard, latency_rounds: 60}

Everything is optional and means what the option of ``bench run`` of that name means. Every
problem becomes one :class:`bench.errors.ConfigError` line that names the file, the key and the
fix.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from bench.config.field_problems import in_words
from bench.config.settings import Settings
from bench.config.yaml_file import read_yaml
from bench.errors import ConfigError, suggest
from bench.plan.plan import Override
from bench.plan.procedures import PROCEDURES, make_procedure
from bench.records.procedure import Procedure


def _as_list(value: Any) -> Any:
    """One value stands for a list of it."""
    return value if isinstance(value, (list, tuple)) else [value]


Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, strict=True)]
Bound = Annotated[int, Field(strict=True)] | Annotated[float, Field(allow_inf_nan=False)]
Names = Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(_as_list)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1), BeforeValidator(_as_list)]


class CasePattern(Settings):
    """Fields of a case; what is not given fits anything."""

    device: Name | None = None
    model: Name | None = None
    scheme: Name | None = None
    weights: Name | None = None
    runtime: Name | None = None
    precision: Name | None = None
    batch: Count | None = None
    threads: Count | None = None
    power_mode: Name | None = None


class OverrideEntry(Settings):
    """Changes to every case that ``where`` fits."""

    where: CasePattern
    precision: Name | None = None
    threads: Count | None = None


class PlanFile(Settings):
    """A plan as written; ``None`` where the file says nothing."""

    devices: Names | None = None
    models: Names | None = None
    schemes: Names | None = None
    weights: Names | None = None
    runtimes: Names | None = None
    precisions: Names | None = None
    batches: Counts | None = None
    threads: Counts | None = None
    power_modes: Names | None = None
    clocks: Literal["max"] | None = None
    governor: Name | None = None
    power: Name | None = None
    exclude: tuple[CasePattern, ...] | None = None
    overrides: tuple[OverrideEntry, ...] | None = None
    estimates: bool | None = None
    per_model: bool | None = None
    shapes: dict[str, Annotated[tuple[Count, ...], Field(min_length=1)]] | None = None
    ranges: dict[str, tuple[Bound, Bound]] | None = None
    inputs: dict[str, Path] | None = None
    trained: Path | None = None
    accuracy: Name | None = None
    accuracy_images: Count | None = None
    cuda_graph: bool | None = None
    layer_profile: bool | None = None
    calibration: Path | None = None
    procedure: Name | dict[str, Any] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return what the file gives of the arguments of :func:`bench.plan.plan.make_plan`."""
        given = {
            name: value
            for name in PlanFile.model_fields
            if name not in {"devices", "procedure", "exclude", "overrides"}
            and (value := getattr(self, name)) is not None
        }
        given["exclude"] = tuple(_given(pattern) for pattern in self.exclude or ())
        given["overrides"] = tuple(
            Override(where=_given(entry.where), changes=_given(entry, but="where"))
            for entry in self.overrides or ()
        )
        return given

    def procedure_parts(self) -> tuple[str, dict[str, Any]]:
        """Return the preset's name and the fields that the file changes in it."""
        if self.procedure is None:
            return "quick", {}
        if isinstance(self.procedure, str):
            return self.procedure, {}
        changes = dict(self.procedure)
        return str(changes.pop("preset", "quick")), changes


def load_plan(path: Path) -> PlanFile:
    """Read a plan file.

    Raises:
        ConfigError: the file is missing or malformed, or has a key or value that is not allowed.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such plan file")
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must be a mapping such as 'models: [shufflenet_v2_x1_0]'")
    try:
        plan = PlanFile.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_problem(error)}") from None
    _check_overrides(path, plan)
    try:
        make_procedure(*plan.procedure_parts())
    except ConfigError as error:
        raise ConfigError(f"{path}: key 'procedure': {error}") from None
    beside: dict[str, Any] = {"models": _beside(path, plan.models)}
    if plan.inputs is not None:
        beside["inputs"] = {name: path.parent / file for name, file in plan.inputs.items()}
    if plan.trained is not None:
        beside["trained"] = path.parent / plan.trained
    if plan.calibration is not None:
        beside["calibration"] = path.parent / plan.calibration
    return plan.model_copy(update=beside)


def _given(settings: BaseModel, but: str = "") -> dict[str, object]:
    """Return the fields that were written, without ``but``."""
    return {
        name: value
        for name in type(settings).model_fields
        if name != but and (value := getattr(settings, name)) is not None
    }


def _beside(path: Path, models: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the models with the paths of ONNX files taken from the plan's folder."""
    if models is None:
        return None
    try:
        return tuple(
            str(path.parent / Path(name).expanduser()) if name.endswith(".onnx") else name
            for name in models
        )
    except RuntimeError as error:
        raise ConfigError(f"{path}: key 'models': {error}") from None


def _check_overrides(path: Path, plan: PlanFile) -> None:
    for number, entry in enumerate(plan.overrides or ()):
        if not _given(entry, but="where"):
            raise ConfigError(
                f"{path}: key 'overrides.{number}' changes nothing; give precision or threads "
                "beside 'where'"
            )
    for number, pattern in enumerate(plan.exclude or ()):
        if not _given(pattern):
            raise ConfigError(
                f"{path}: key 'exclude.{number}' would take out every case; give at least one "
                "value, such as {batch: 8}"
            )


def _first_problem(error: ValidationError) -> str:
    # A misspelt key also makes its right spelling missing: name what was written, first.
    problem = min(
        error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden"
    )
    steps = [str(step)[:60] for step in problem["loc"]]
    if steps[0] == "procedure":
        return (
            "key 'procedure': give a preset's name or a mapping such as "
            f"{{preset: standard, latency_rounds: 60}}; presets are {', '.join(PROCEDURES)}"
        )
    key = ".".join(steps)
    if problem["type"] == "extra_forbidden":
        known = list(_model_at(steps[:-1]).model_fields)
        return f"unknown key {key!r}; {suggest(steps[-1], known)}"
    if problem["type"] == "missing":
        return f"key {key!r} is missing; add it"
    return f"key {key!r}: {in_words(problem)}"


def _model_at(parents: list[str]) -> type[BaseModel]:
    nested: Mapping[str, type[BaseModel]] = {
        "exclude": CasePattern,
        "overrides": OverrideEntry,
        "where": CasePattern,
    }
    names = [name for name in parents if name in nested]
    return nested[names[-1]] if names else PlanFile


def choose_procedure(
    file: PlanFile | None, preset: str | None, changes: Mapping[str, Any]
) -> Procedure:
    """Return the procedure of a run: the command line's over the file's.

    A ``preset`` of the command line stands for the whole procedure of the file.

    Raises:
        ConfigError: no such preset, or the result cannot work.
    """
    file_preset, file_changes = ("quick", {}) if file is None else file.procedure_parts()
    if preset is not None:
        return make_procedure(preset, changes)
    return make_procedure(file_preset, {**file_changes, **changes})

"""What is to be measured: models × schemes × weight modes × runtimes × batches … → cases.

A combination that makes no sense is not an error of the whole plan: a dense network has no
weight mode and is one case, whatever modes are asked for, and a scheme has only some of them.
What cannot exist at all (an unknown model, a reduction that a network cannot reach) is refused
before any board is touched, unless the plan comes from a file: such a plan is a matrix over many
models, and its cases that cannot run are recorded as skipped with the reason (:func:`refusal`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from bench.errors import ConfigError
from bench.export.cases import WEIGHT_MODES, find_model, parse_scheme
from bench.export.inputs import NOTHING_SAID, InputValues, Range, check_values
from bench.export.trained import network_name, trained_networks
from bench.plan.engine_options import NOTHING_FURTHER, EngineOptions, engine_options, engine_refusal
from bench.plan.names import resolve_models, resolve_runtimes, resolve_weights
from bench.plan.procedures import PROCEDURES
from bench.records.case import Case
from bench.records.procedure import Procedure
from bench.sensors import require_sensor
from models import Scheme, SchemeError


@dataclass(frozen=True, slots=True)
class Override:
    """Changes to every case that ``where`` fits; both map fields of a case to values."""

    where: Mapping[str, object]
    changes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Plan:
    """The matrix of one run.

    A user's own models are in ``files`` (names to ONNX files) or ``functions``
    (``package.module:function``, which gives a torch network); ``shapes`` gives sizes to their
    inputs, ``values`` says what these are fed. ``batches`` is empty when no batch was asked for:
    then the built-in models run one input at a time, and a user's own what their shapes say.
    Without ``threads`` a device's own setting holds, without ``power_modes`` its mode stays as it
    is, without ``power`` its own ``power.sensor`` counts. ``exclude`` takes cases out (each entry
    maps fields of a case to values), before ``overrides`` change what is left.
    """

    models: tuple[str, ...] = ("shufflenet_v2_x1_0",)
    schemes: tuple[str, ...] = ("dense", "basis:0.25")
    weights: tuple[str, ...] = WEIGHT_MODES
    runtimes: tuple[str, ...] = ("onnxruntime",)
    precisions: tuple[str, ...] = ("fp32",)
    batches: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()
    power_modes: tuple[str, ...] = ()
    clocks: str | None = None
    governor: str | None = None
    power: str | None = None
    exclude: tuple[Mapping[str, object], ...] = ()
    overrides: tuple[Override, ...] = ()
    procedure: Procedure = PROCEDURES["quick"]
    estimates: bool = True
    files: Mapping[str, Path] = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    values: InputValues = NOTHING_SAID
    trained: Mapping[str, Path] | None = None
    """Checkpoints by network_name; with them only networks that have one can run."""
    accuracy: str | None = None
    """The labelled set (``NAME:FOLDER``) that is counted on the board."""
    accuracy_images: int | None = None
    """No more images of it than that."""
    per_model: bool = False
    """Whether each model is a job of its own: done and stored before the next one begins."""
    engine: EngineOptions = NOTHING_FURTHER
    file_batches: Mapping[str, int] = field(default_factory=dict)
    """Inferences per run of a user's own models, once they have been looked into."""
    file_inputs: Mapping[str, Sequence[tuple[int, ...]]] = field(default_factory=dict)
    """Shapes of their inputs, likewise."""
    file_inputs_told: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What their inputs are fed, in words, likewise."""

    @property
    def own(self) -> frozenset[str]:
        """Names of the user's own models: dense, as they come, and in no table."""
        return frozenset((*self.files, *self.functions))


def make_plan(
    *,
    models: Sequence[str] = (),
    schemes: Sequence[str] = (),
    weights: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    precisions: Sequence[str] = (),
    batches: Sequence[int] = (),
    threads: Sequence[int] = (),
    power_modes: Sequence[str] = (),
    clocks: str | None = None,
    governor: str | None = None,
    power: str | None = None,
    exclude: Sequence[Mapping[str, object]] = (),
    overrides: Sequence[Override] = (),
    procedure: Procedure = PROCEDURES["quick"],
    estimates: bool = True,
    per_model: bool = False,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    ranges: Mapping[str, Range] | None = None,
    inputs: Mapping[str, Path] | None = None,
    trained: Path | None = None,
    accuracy: str | None = None,
    accuracy_images: int | None = None,
    cuda_graph: bool = False,
    layer_profile: bool = False,
    calibration: Path | None = None,
    skips: bool = False,
) -> Plan:
    """Check what was asked for and fill in the defaults for what was not.

    ``ranges`` and ``inputs`` (sample files) are what inputs of the user's own models are fed.
    ``trained``: a folder of trainings (of ``bench train``) to take the networks' weights from.
    ``per_model``: each model is a job of its own.
    ``skips``: combinations that cannot run stay in the plan and are skipped one by one.

    Raises:
        ConfigError: a name is not known (with near matches), a scheme is malformed or (without
            ``skips``) cannot be reached by one of the models, a file is missing, a value makes no
            sense.
    """
    default = Plan()
    names, files, functions = resolve_models(models or default.models)
    own = {*files, *functions}
    for option, given in (("--shape", shapes), ("--range", ranges), ("--input", inputs)):
        if given and not own:
            raise ConfigError(
                f"{option} is for models of your own (an ONNX file, package.module:function); "
                "the built-in models have fixed inputs"
            )
    if own and len(own) == len(names):
        if schemes and set(schemes) != {"dense"}:
            raise ConfigError(
                "--scheme is for the built-in models, not for an ONNX file or a torch function"
            )
        schemes = ("dense",)
    plan = Plan(
        models=names,
        schemes=tuple(dict.fromkeys(schemes or default.schemes)),
        weights=resolve_weights(weights or default.weights),
        runtimes=resolve_runtimes(runtimes or default.runtimes),
        precisions=tuple(dict.fromkeys(precisions or default.precisions)),
        batches=tuple(dict.fromkeys(batches)),
        threads=tuple(dict.fromkeys(threads)),
        power_modes=tuple(dict.fromkeys(power_modes)),
        clocks=clocks,
        governor=governor,
        power=None if power is None else require_sensor(power),
        exclude=tuple(exclude),
        overrides=tuple(overrides),
        procedure=procedure,
        estimates=estimates,
        per_model=per_model,
        files=files,
        functions=functions,
        shapes=shapes or {},
        values=check_values(ranges or {}, inputs or {}),
        trained=None if trained is None else trained_networks(trained),
        accuracy=accuracy,
        accuracy_images=accuracy_images,
        engine=engine_options(cuda_graph, layer_profile, calibration),
    )
    _check_accuracy(plan)
    for scheme in plan.schemes:
        modes = _parse(scheme).weight_modes
        if modes and not skips and not set(modes) & set(plan.weights):
            raise ConfigError(
                f"scheme {scheme!r} has no weight mode {' or '.join(plan.weights)}; "
                f"it has {', '.join(modes)}"
            )
    for values, option in ((plan.batches, "--batch"), (plan.threads, "--threads")):
        if any(value < 1 for value in values):
            raise ConfigError(f"{option} must be 1 or more")
    if not skips:
        for case in expand(plan, "", threads=1):
            reason = refusal(plan, case)
            if reason is not None:
                if not schemes and case.scheme in default.schemes[1:]:
                    reason += f" ({case.scheme} is the default; try --scheme dense)"
                raise ConfigError(reason)
    return plan


def expand(plan: Plan, device: str, threads: int) -> list[Case]:
    """Return the plan's cases for a device, each once, in the plan's order.

    ``threads`` is the device's own setting, used when the plan does not say otherwise.
    """
    cases: dict[str, Case] = {}
    for mode, (model, scheme, weights) in product(plan.power_modes or (None,), _networks(plan)):
        batches = plan.batches or (plan.file_batches.get(model, 1),)
        for runtime, precision, batch, count in product(
            plan.runtimes, plan.precisions, batches, plan.threads or (threads,)
        ):
            case = Case(
                device=device,
                model=model,
                scheme=scheme,
                weights=weights,
                runtime=runtime,
                precision=precision,
                batch=batch,
                threads=count,
                power_mode=mode,
            )
            if any(fits(case, where) for where in plan.exclude):
                continue
            for override in plan.overrides:
                if fits(case, override.where):
                    case = case.model_copy(update=dict(override.changes))
            cases.setdefault(case.key, case)
    return list(cases.values())


def fits(case: Case, where: Mapping[str, object]) -> bool:
    """Whether a case has all the values that ``where`` gives for some of its fields."""
    return all(getattr(case, name) == value for name, value in where.items())


def refusal(plan: Plan, case: Case) -> str | None:
    """Return why a case cannot run on any board, in one line, or ``None`` if it may.

    What only a certain board cannot do is found out there.
    """
    reason = engine_refusal(case, plan.engine, plan.files.get(case.model))
    if reason is not None:
        return reason
    if case.model in plan.own:
        return None
    try:
        scheme = parse_scheme(find_model(case.model), case.scheme)
    except ConfigError as error:
        return str(error)
    if plan.trained is not None and network_name(case.model, scheme) not in plan.trained:
        return f"there is no training of {case.model} {case.scheme} in the folder of --trained"
    return None


def checkpoint(plan: Plan, case: Case) -> Path | None:
    """Return the checkpoint that a case's weights come from, ``None`` for those of the table."""
    if plan.trained is None or case.model in plan.own:
        return None
    return plan.trained[network_name(case.model, Scheme.parse(case.scheme))]


def _check_accuracy(plan: Plan) -> None:
    if plan.accuracy is None:
        if plan.accuracy_images is not None:
            raise ConfigError("--accuracy-images is for --accuracy NAME:FOLDER")
        return
    if plan.accuracy_images is not None and plan.accuracy_images < 1:
        raise ConfigError("--accuracy-images must be 1 or more")
    if plan.trained is None and set(plan.models) - plan.own:
        raise ConfigError(
            "--accuracy of the built-in networks takes trained weights (they come with "
            "pseudo-random ones): add --trained DIR, a folder of `bench train`"
        )


def _networks(plan: Plan) -> Iterator[tuple[str, str, str | None]]:
    """Yield model, scheme and weight mode of what is measured, in the plan's order."""
    for model in plan.models:
        for scheme in plan.schemes if model not in plan.own else ("dense",):
            modes = _parse(scheme).weight_modes
            for weights in [mode for mode in plan.weights if mode in modes] if modes else (None,):
                yield model, scheme, weights


def _parse(scheme: str) -> Scheme:
    try:
        return Scheme.parse(scheme)
    except SchemeError as error:
        raise ConfigError(str(error)) from None

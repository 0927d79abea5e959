"""What is to be measured: models × schemes × weight modes × runtimes × batches → cases.

A combination that makes no sense is not an error of the whole plan: a dense network has no
weight mode and is one case, whatever modes are asked for. What cannot exist at all (an unknown
model, a reduction that a network cannot reach) is refused before any board is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import ConfigError, suggest
from bench.export.cases import WEIGHT_MODES, find_model, parse_scheme
from bench.records import Case, Procedure
from bench.runtimes import RUNTIMES
from models import MODELS

PROCEDURES: dict[str, Procedure] = {
    # A first look: about a minute for four cases. Says of itself that it is quick.
    "quick": Procedure(
        name="quick",
        warmup_min_s=0.5,
        warmup_max_s=3.0,
        latency_rounds=20,
        latency_round_s=0.2,
        energy_rounds=3,
        energy_window_s=2.0,
        energy_tail_s=0.1,
        idle_s=1.0,
        settle_s=0.1,
        settle_tau=1.0,
        target_ci=0.02,
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The matrix of one run.

    ``files`` maps the names of a user's own models to ONNX files, ``shapes`` gives sizes to
    their inputs. ``batches`` is empty when no batch was asked for: then the built-in models run
    one input at a time, and an ONNX file runs what its shapes say.
    """

    models: tuple[str, ...] = ("shufflenet_v2_x1_0",)
    schemes: tuple[str, ...] = ("dense", "basis:0.25")
    weights: tuple[str, ...] = WEIGHT_MODES
    runtimes: tuple[str, ...] = ("onnxruntime",)
    precisions: tuple[str, ...] = ("fp32",)
    batches: tuple[int, ...] = ()
    threads: int | None = None
    procedure: Procedure = PROCEDURES["quick"]
    estimates: bool = True
    files: Mapping[str, Path] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    file_batches: Mapping[str, int] = field(default_factory=dict)
    """Inputs per run of each of ``files``, once they have been looked into."""


def make_plan(
    *,
    models: Sequence[str] = (),
    schemes: Sequence[str] = (),
    weights: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    precisions: Sequence[str] = (),
    batches: Sequence[int] = (),
    threads: int | None = None,
    procedure: str = "quick",
    estimates: bool = True,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Plan:
    """Check what was asked for and fill in the defaults for what was not.

    Raises:
        ConfigError: a name is not known (with near matches), a scheme is malformed or cannot be
            reached by one of the models, a file is missing, a value makes no sense.
    """
    default = Plan()
    names, files = _models(models or default.models)
    if shapes and not files:
        raise ConfigError("--shape is for ONNX files; the built-in models have fixed inputs")
    if files and len(files) == len(names):
        if schemes and set(schemes) != {"dense"}:
            raise ConfigError("--scheme is for the built-in models, not for an ONNX file")
        schemes = ("dense",)
    plan = Plan(
        models=names,
        schemes=tuple(dict.fromkeys(schemes or default.schemes)),
        weights=_known(weights or default.weights, WEIGHT_MODES, "weight mode"),
        runtimes=_known(runtimes or default.runtimes, RUNTIMES, "runtime"),
        precisions=tuple(dict.fromkeys(precisions or default.precisions)),
        batches=tuple(dict.fromkeys(batches)),
        threads=threads,
        procedure=find_procedure(procedure),
        estimates=estimates,
        files=files,
        shapes=shapes or {},
    )
    _check_precisions(plan)
    _check_schemes(plan)
    if any(batch < 1 for batch in plan.batches):
        raise ConfigError("--batch must be 1 or more")
    return plan


def expand(plan: Plan, device: str, threads: int) -> list[Case]:
    """Return the plan's cases for a device, each once, in the plan's order.

    ``threads`` is the device's own setting, used when the plan does not say otherwise.
    """
    cases: dict[str, Case] = {}
    for model in plan.models:
        for scheme in plan.schemes if model not in plan.files else ("dense",):
            for mode in (None,) if scheme == "dense" else plan.weights:
                for runtime in plan.runtimes:
                    for precision in plan.precisions:
                        for batch in plan.batches or (plan.file_batches.get(model, 1),):
                            case = Case(
                                device=device,
                                model=model,
                                scheme=scheme,
                                weights=mode,
                                runtime=runtime,
                                precision=precision,
                                batch=batch,
                                threads=plan.threads or threads,
                            )
                            cases.setdefault(case.key, case)
    return list(cases.values())


def find_procedure(name: str) -> Procedure:
    """Return a preset by name.

    Raises:
        ConfigError: no such preset.
    """
    if name not in PROCEDURES:
        raise ConfigError(f"unknown procedure {name!r}; {suggest(name, PROCEDURES)}")
    return PROCEDURES[name]


def _models(wanted: Iterable[str]) -> tuple[tuple[str, ...], dict[str, Path]]:
    names: list[str] = []
    files: dict[str, Path] = {}
    for text in dict.fromkeys(wanted):
        if text.endswith(".onnx"):
            path = Path(text)
            if not path.is_file():
                raise ConfigError(f"{text}: no such ONNX file")
            name = path.stem
            if name in files or name in MODELS:
                raise ConfigError(f"{text}: another model is called {name!r} too; rename the file")
            files[name] = path.resolve()
            names.append(name)
        else:
            names.append(find_model(text).name)
    return tuple(names), files


def _known(wanted: Iterable[str], known: Iterable[str], what: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(wanted))
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown {what} {name!r}; {suggest(name, known)}")
    return names


def _check_precisions(plan: Plan) -> None:
    for runtime in plan.runtimes:
        offered = RUNTIMES[runtime].precisions
        for precision in plan.precisions:
            if precision not in offered:
                raise ConfigError(
                    f"precision {precision!r} is not available with runtime {runtime!r} yet; "
                    f"use {', '.join(offered)}"
                )


def _check_schemes(plan: Plan) -> None:
    for model in plan.models:
        if model not in plan.files:
            for scheme in plan.schemes:
                parse_scheme(find_model(model), scheme)

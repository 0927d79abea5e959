"""``bench models export``: a model's files in the form of a runtime, tried by its builder."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path

import click

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.cli.value_types import CommaList
from bench.errors import ConfigError, UnsupportedCase, suggest
from bench.export.cache import ArtifactCache, default_cache
from bench.export.calibration import calibration_inputs
from bench.export.cases import GENERATED_INT8, export_case, find_model
from bench.export.target import Rounding
from bench.export.tensorrt_check import (
    LIKE_ORIN,
    EngineCheck,
    WeightsCheck,
    check_engines,
    require_builder,
)
from bench.plan.plan import expand, make_plan
from bench.records.recordings import GraphLimits
from bench.runtimes import ANY_RUNTIME, ANY_TENSORRT, graph_limits
from bench.store.files import write_atomic
from models import ModelSpec

_EXPORTS = {"onnxruntime": ANY_RUNTIME, "tensorrt": ANY_TENSORRT}
"""What is exported for, with what the newest version of it reads."""


@click.command()
@click.argument("name")
@click.option("--output", "-o", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--scheme", "schemes", type=CommaList(), default="dense", show_default=True)
@click.option("--weights", type=CommaList(), help="Weight modes (default: all).")
@click.option("--batch", "batches", type=CommaList(int), default="1", show_default=True)
@click.option(
    "--for",
    "runtime",
    metavar="RUNTIME[:VERSION]",
    help="What is to read it: onnxruntime (the default) or tensorrt, for example tensorrt:8.2.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="What the graph itself rounds to (for TensorRT 11 and TensorRT for RTX).",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="FOLDER|FILE",
    help="Images, or an .npy of inputs, that int8 takes its ranges from.",
)
@click.option("--opset", type=click.IntRange(13, 17), default=17, show_default=True)
@click.option(
    "--check",
    type=click.Choice(["tensorrt"]),
    help="Build an engine of it here with NVIDIA's builder, and tell what is in it.",
)
@click.option(
    "--capability",
    "capabilities",
    type=CommaList(),
    help=f"Compute capabilities to build for, with --check (default: {LIKE_ORIN}).",
)
@options.as_json
def export(
    name: str,
    output: Path,
    schemes: tuple[str, ...],
    weights: tuple[str, ...] | None,
    batches: tuple[int, ...],
    runtime: str | None,
    precision: str,
    calibration: Path | None,
    opset: int,
    check: str | None,
    capabilities: tuple[str, ...] | None,
    as_json: bool,
) -> None:
    """Export a model to ONNX: graph, shared weights file, reference inputs and outputs."""
    spec = table_model(name)
    plan = make_plan(models=(name,), schemes=schemes, weights=weights or (), batches=batches)
    limits = _limits(runtime or check or "onnxruntime", opset)
    rounding = _rounding(precision, calibration, spec.input_shape, limits)
    if precision == "int8" and "runtime" in (weights or ()):
        raise ConfigError(f"--weights runtime: {GENERATED_INT8}")
    if capabilities and not check:
        raise ConfigError("--capability is what --check builds for: add --check tensorrt")
    capabilities = capabilities or (LIKE_ORIN,)
    if check:
        if limits.engine != "tensorrt":
            raise ConfigError("--check tensorrt needs an export for it: --for tensorrt")
        require_builder(capabilities)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output}: cannot make the folder: {error.strerror}") from None
    written = []
    for case in expand(plan, "export", threads=1):
        if precision == "int8" and case.weights == "runtime":
            people().print(f"{case.label}: left out: {GENERATED_INT8}", markup=False)
            continue
        artifact = export_case(
            case.model,
            case.scheme,
            case.weights,
            case.batch,
            limits,
            default_cache(),
            rounding=rounding,
        )
        for source in (artifact.graph, artifact.weights, artifact.reference, artifact.bound):
            if source is not None:
                _copy(source, output / source.name)
        people().print(f"{case.label}: {output / artifact.graph.name}", markup=False)
        checks = check_engines(artifact, capabilities, precision) if check else []
        for each in checks:
            people().print(f"  {_told(each)}", markup=False)
        written.append(
            {
                "scheme": case.scheme,
                "weights": case.weights,
                "batch": case.batch,
                "precision": precision,
                "graph": str(output / artifact.graph.name),
                "weights_file": str(output / artifact.weights.name) if artifact.weights else None,
                "reference": str(output / artifact.reference.name),
                "bound": str(output / artifact.bound.name) if artifact.bound else None,
                **artifact.facts.model_dump(mode="json"),
                **({"engines": [asdict(each) for each in checks]} if check else {}),
            }
        )
    if as_json:
        emit_json(written)


def table_model(name: str) -> ModelSpec:
    """Return the model of that name. Raises ConfigError, also for what only ``bench run`` takes."""
    if name.lower().endswith(".onnx") or ":" in name:
        raise ConfigError(
            f"{name}: this is for the models of `bench models list`; one of your own is measured "
            f"as it is: bench run --model {name}"
        )
    return find_model(name)


def _rounding(
    precision: str, calibration: Path | None, shape: tuple[int, ...], limits: GraphLimits
) -> Rounding | None:
    """What is asked for; nothing for fp32."""
    if precision == "int8" and calibration is None:
        raise ConfigError(
            "--precision int8 takes its ranges from images: add --calibration FOLDER|FILE"
        )
    if precision != "int8" and calibration is not None:
        raise ConfigError(
            f"--calibration is for --precision int8, not for {precision}: leave it out"
        )
    if precision == "fp32":
        return None
    if limits.engine != "tensorrt":
        raise ConfigError(
            f"--precision {precision} is for TensorRT: add --for tensorrt; what the CPU's runtimes "
            "measure is fp32"
        )
    if calibration is None:
        return Rounding(precision)
    return Rounding(
        precision, calibration_inputs(calibration, shape, ArtifactCache(default_cache()))
    )


def _limits(text: str, opset: int) -> GraphLimits:
    """What ``RUNTIME[:VERSION]`` reads, but no newer opset than that."""
    runtime, _, version = text.partition(":")
    if runtime not in _EXPORTS:
        raise ConfigError(f"--for {text}: no such runtime; {suggest(runtime, _EXPORTS)}")
    if not version:
        limits = _EXPORTS[runtime]
    elif re.fullmatch(r"[0-9]+([.][0-9]+)*", version):
        version += "" if "." in version else ".0"
        try:
            limits = graph_limits(runtime, version)
        except UnsupportedCase as error:
            raise ConfigError(f"--for {text}: {error}") from None
    else:
        raise ConfigError(f"--for {text}: write the version as in {runtime}:8.2")
    if not version:  # then for as many versions as that opset allows
        limits = replace(limits, ir_version=7 if opset < 15 else 8)
    return replace(limits, opset=min(limits.opset, opset))


def _told(check: EngineCheck) -> str:
    text = (
        f"built by {check.builder} for compute capability {check.capability}: "
        f"{check.layers} layers, engine {check.engine_bytes:,} bytes"
    )
    return text if check.weights is None else f"{text}; weights: {_weights_told(check.weights)}"


def _weights_told(found: WeightsCheck) -> str:
    parts = [f"{found.stored} stored"]
    if found.constant:
        parts.append(f"{found.constant} computed from stored ones, {found.folded} of them folded")
    if found.generated:
        parts.append(f"{found.generated} generated in every inference, {found.found} in the engine")
    return "; ".join(parts)


def _copy(source: Path, target: Path) -> None:
    try:
        write_atomic(target, source.read_bytes())
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from None

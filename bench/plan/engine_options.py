"""What is asked of the engines beside precision and threads, and which cases cannot have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ConfigError
from bench.export.quantised import is_quantised
from bench.export.target import Rounding
from bench.records.case import Case
from bench.records.recordings import GraphLimits
from bench.runtimes import RuntimeSpec, runtimes


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """``calibration``: a folder of images or an ``.npy`` of inputs, for int8."""

    cuda_graph: bool = False
    layer_profile: bool = False
    calibration: Path | None = None


NOTHING_FURTHER = EngineOptions()


def engine_options(
    cuda_graph: bool, layer_profile: bool, calibration: Path | None
) -> EngineOptions:
    """Return what was asked for.

    Raises:
        ConfigError: the calibration inputs are not there.
    """
    if calibration is not None and not calibration.exists():
        raise ConfigError(f"--calibration {calibration}: no such file or folder")
    return EngineOptions(cuda_graph, layer_profile, calibration)


def engine_refusal(case: Case, options: EngineOptions, file: Path | None) -> str | None:
    """Return what a case's runtime cannot do of what is asked, in one line with the fix.

    ``file``: the case's model where it is a user's own, which may be quantised.
    """
    spec = runtimes().get(case.runtime)
    if spec is None:
        return f"runtime {case.runtime!r} is not known here (any more); is its plug-in installed?"
    if case.precision not in spec.precisions:
        return (
            f"precision {case.precision!r} is not available with runtime {case.runtime!r}; "
            f"use {', '.join(spec.precisions)}"
        )
    if case.precision in spec.quantised and not _is_quantised(file):
        others = _named(lambda other: case.precision in other.calibrated)
        return (
            f"precision {case.precision!r} with runtime {case.runtime!r} takes a quantised ONNX "
            f"file (with QuantizeLinear and DequantizeLinear), which {case.model} is not; give "
            f"one, or use runtime {others} with --calibration"
        )
    if needs_calibration(case, file) and options.calibration is None:
        return (
            f"precision {case.precision!r} with runtime {case.runtime!r} needs inputs to calibrate "
            "on: --calibration FOLDER (images) or FILE.npy; or give a quantised ONNX file"
        )
    if options.cuda_graph and not spec.cuda_graph:
        others = _named(lambda other: other.cuda_graph)
        return f"{case.runtime!r} has no CUDA graph; leave out --cuda-graph, or use {others}"
    if options.layer_profile and not spec.layer_profile:
        others = _named(lambda other: other.layer_profile)
        return f"{case.runtime!r} has no layer profile; leave out --layer-profile, or use {others}"
    return None


def needs_calibration(case: Case, file: Path | None) -> bool:
    """Whether the engine of a case must see inputs before it can round to the precision."""
    return case.precision in runtimes()[case.runtime].calibrated and not _is_quantised(file)


def rounding(case: Case, limits: GraphLimits, inputs: Path | None) -> Rounding | None:
    """Return what the graph of a case must round to by itself, ``None`` where the engine does that.

    ``limits``: what the board's engine takes. ``inputs``: what int8 is calibrated on.
    """
    if not limits.strong_types or case.precision == "fp32":
        return None
    return Rounding(case.precision, inputs if case.precision == "int8" else None)


def _is_quantised(file: Path | None) -> bool:
    return file is not None and is_quantised(file)


def _named(chosen: Callable[[RuntimeSpec], bool]) -> str:
    return ", ".join(name for name, spec in runtimes().items() if chosen(spec))

"""Reference inputs and outputs, and what ONNX Runtime on the host makes of a graph."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import ExportError

Array = NDArray[np.generic]
SEED = 20200905
TOLERANCE = 1e-4
"""Largest difference between torch and ONNX Runtime, relative to the largest output."""


def random_input(shape: Sequence[int], dtype: np.dtype[np.generic], position: int) -> Array:
    """A fixed pseudo-random array: floats from N(0, 1), or booleans.

    ``position`` is the input's place in the signature; every place has its own numbers.
    Raises TypeError for any other dtype.
    """
    draw = np.random.default_rng([SEED, position])
    if dtype.kind == "f":
        return draw.standard_normal(tuple(shape)).astype(dtype)
    if dtype.kind == "b":
        return draw.integers(0, 2, tuple(shape)).astype(dtype)
    raise TypeError(f"no reference input for type {dtype}")


def reference_bytes(inputs: dict[str, Array], outputs: dict[str, Array]) -> bytes:
    """Return the ``.npz`` that :class:`~bench.recordings.Artifact` describes."""
    names = json.dumps({"inputs": list(inputs), "outputs": list(outputs)})
    arrays = {f"in{i}": value for i, value in enumerate(inputs.values())}
    arrays |= {f"out{i}": value for i, value in enumerate(outputs.values())}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, names=np.array(names), **arrays)
    return file.getvalue()


def run_onnx(graph: Path, inputs: dict[str, Array], *, optimized: bool) -> dict[str, Array]:
    """Run a graph once with ONNX Runtime on the host's CPU and return its outputs by name.

    Raises ExportError when it cannot be loaded or run, or gives something other than tensors.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else it reports to its maker over the network
    import onnxruntime  # late: with threads of its own, which no run needs that exports nothing

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        values = session.run(names, inputs)
    except Exception as error:  # ONNX Runtime's errors have no common base of their own
        raise ExportError(
            f"{graph.name}: ONNX Runtime on the host cannot run it: {first_line(error)}",
            detail=str(error),
        ) from error
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
            raise ExportError(f"{graph.name}: output {name!r} is not a numeric tensor")
    return dict(zip(names, values, strict=True))


def check_agreement(
    graph: Path,
    inputs: dict[str, Array],
    expected: dict[str, Array],
    tolerance: float = TOLERANCE,
) -> None:
    """Raise ExportError unless ONNX Runtime gives the expected outputs.

    ``tolerance``: the largest difference, relative to the largest output.
    """
    for name, value in run_onnx(graph, inputs, optimized=True).items():
        wanted = expected[name].astype(np.float64)
        if not np.isfinite(wanted).all():
            raise ExportError(
                f"{graph.name}: output {name!r} is not finite in torch already, with what its "
                "inputs are fed; feed it other numbers (--range, --input)"
            )
        scale = float(np.abs(wanted).max()) or 1.0
        error = float(np.abs(value.astype(np.float64) - wanted).max()) / scale
        if not error <= tolerance:
            raise ExportError(
                f"{graph.name}: output {name!r} differs from torch by {error:.1e} of its largest "
                f"value (allowed {tolerance:.0e})"
            )


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type when it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__

"""RUNTIMES: which inference engines exist, what they take and what they need on the board."""

from __future__ import annotations

from dataclasses import dataclass

from bench.recordings import GraphLimits

# Newest ONNX opset and IR version that each minor release of ONNX Runtime 1.x reads; from the
# ONNX release that it was built with (onnxruntime docs/Versioning.md, onnx docs/Versioning.md).
_ONNXRUNTIME = {
    6: GraphLimits(13, 7),
    7: GraphLimits(13, 7),
    8: GraphLimits(14, 7),
    9: GraphLimits(15, 8),
    10: GraphLimits(15, 8),
    11: GraphLimits(16, 8),
    12: GraphLimits(17, 8),
    13: GraphLimits(17, 8),
    14: GraphLimits(18, 8),
    15: GraphLimits(19, 9),
    16: GraphLimits(19, 9),
    17: GraphLimits(20, 9),
}
# What later releases read, they say themselves when they load a file.
ANY_RUNTIME = GraphLimits(opset=1000, ir_version=1000)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When outputs on the board count as equal to the reference.

    |output - reference| ≤ ``atol`` + ``rtol`` · max|reference|, and cosine ≥ ``cosine``.
    """

    atol: float
    rtol: float
    cosine: float


# What rounding alone does, seen on the host with the inputs and weights of every layer rounded
# (three networks with the table's pseudo-random weights), and about three times that allowed.
# TF32: 0.7 % of the largest output, cosine 1 - 1.5e-5; fp16: 0.9 %, 1 - 2.5e-5; int8 (a scale per
# channel of the weights, one per input): 15 %, 0.989.
_GPU_TOLERANCES = {
    # NVIDIA's libraries compute fp32 in TF32 where the GPU has it, unless told otherwise.
    "fp32": Tolerance(atol=1e-3, rtol=0.02, cosine=0.9999),
    "fp16": Tolerance(atol=1e-3, rtol=0.03, cosine=0.9999),
    "int8": Tolerance(atol=1e-2, rtol=0.5, cosine=0.97),
}


def _gpu_tolerances(*precisions: str) -> dict[str, Tolerance]:
    return {name: _GPU_TOLERANCES[name] for name in precisions}


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """An engine: ``precisions`` maps each one it can do to the tolerance of its parity check.

    ``fix``: what to do on a board that lacks it; ``{python}`` stands for the board's Python.
    ``quantised``: precisions that take a graph which is quantised already. ``calibrated``: those
    that need inputs to calibrate on, unless the graph is quantised. ``cuda_graph`` and
    ``layer_profile``: whether it has one.
    """

    name: str
    summary: str
    precisions: dict[str, Tolerance]
    fix: str
    quantised: frozenset[str] = frozenset()
    calibrated: frozenset[str] = frozenset()
    cuda_graph: bool = False
    layer_profile: bool = False


_ONNXRUNTIME_GPU = (
    "{python} -m pip install numpy onnxruntime-gpu, in place of onnxruntime; on a Jetson NVIDIA's "
    "wheel of it for its JetPack"
)

RUNTIMES: dict[str, RuntimeSpec] = {
    "onnxruntime": RuntimeSpec(
        name="onnxruntime",
        summary="ONNX Runtime on the CPU",
        precisions={"fp32": Tolerance(atol=1e-4, rtol=1e-3, cosine=0.9999)},
        fix="{python} -m pip install numpy onnxruntime",
    ),
    "onnxruntime-cuda": RuntimeSpec(
        name="onnxruntime-cuda",
        summary="ONNX Runtime with its CUDA execution provider",
        precisions=_gpu_tolerances("fp32", "int8"),
        fix=_ONNXRUNTIME_GPU,
        quantised=frozenset({"int8"}),
        cuda_graph=True,
    ),
    "onnxruntime-tensorrt": RuntimeSpec(
        name="onnxruntime-tensorrt",
        summary="ONNX Runtime with its TensorRT execution provider",
        precisions=_gpu_tolerances("fp32", "fp16", "int8"),
        fix=_ONNXRUNTIME_GPU,
        quantised=frozenset({"int8"}),
        cuda_graph=True,
    ),
    "tensorrt": RuntimeSpec(
        name="tensorrt",
        summary="TensorRT, engines built on the board",
        precisions=_gpu_tolerances("fp32", "fp16", "int8"),
        fix=(
            "sudo apt-get install python3-libnvinfer (JetPack), elsewhere {python} -m pip install "
            "tensorrt; and {python} -m pip install pycuda, or cuda-python"
        ),
        calibrated=frozenset({"int8"}),
        cuda_graph=True,
        layer_profile=True,
    ),
}


def graph_limits(version: str) -> GraphLimits:
    """Return what an ONNX Runtime of this version reads (``"1.10.0"`` → opset 15, IR 8)."""
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < (1, min(_ONNXRUNTIME)):
        return GraphLimits(12, 7)
    return _ONNXRUNTIME.get(minor, ANY_RUNTIME) if major == 1 else ANY_RUNTIME

"""RUNTIMES: which inference engines exist, what they take and what they need on the board.

:func:`runtimes` has plug-ins too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint

from bench import plugins
from bench.errors import UnsupportedCase
from bench.plugins.agent_module import AgentModule, read_agent_module
from bench.records.recordings import GraphLimits

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


def _tensorrt(
    opset: int, *, computed_weights: bool = True, strong_types: bool = False
) -> GraphLimits:
    """TensorRT's parser does not look at the IR version: ModelImporter.cpp only logs it."""
    return GraphLimits(opset, ANY_RUNTIME.ir_version, "tensorrt", computed_weights, strong_types)


# What TensorRT takes since which release, newest first. Opsets: docs/operators.md of that release
# in onnx/onnx-tensorrt (8.0: commit 8fea430, 8.2: 85e79f6, 8.4: 1da7332, 8.5: 3b008c4, 9.0:
# 66b2536, 10.0: eb43908), for 11 NVIDIA's "ONNX Opset Guide"; 10.2 and later 10.x were not found.
# Computed weights: the parser has always handed a convolution's weights on as a second input where
# they are no initializer (convMultiInput in onnx2trt_utils.cpp), whether or not all they are
# computed from is constant. The network refuses that before 8.5 unless it is quantised: "two inputs
# (data and weights) are allowed only in explicit-quantization mode" (onnx/onnx-tensorrt#790 and
# NVIDIA/TensorRT#1675 with 8.2, NVIDIA/TensorRT#2507 with 8.4.1; announced for 8.5 in
# onnx/onnx-tensorrt#609). In operators.md the weights of Conv must be an initializer up to 8.4 and
# need no longer be in 8.5. A MatMul takes two tensors in all of them. From 11 on there are only
# strongly typed networks.
ANY_TENSORRT = _tensorrt(ANY_RUNTIME.opset)
TENSORRT_RTX = _tensorrt(ANY_RUNTIME.opset, strong_types=True)
_TENSORRT = (
    ((12, 0), _tensorrt(ANY_RUNTIME.opset, strong_types=True)),
    ((11, 0), _tensorrt(25, strong_types=True)),
    ((10, 2), ANY_TENSORRT),
    ((10, 0), _tensorrt(20)),
    ((9, 0), _tensorrt(19)),
    ((8, 5), _tensorrt(17)),
    ((8, 4), _tensorrt(17, computed_weights=False)),
    ((8, 0), _tensorrt(13, computed_weights=False)),
)
_RTX_BEFORE = (5, 0)
"""TensorRT for RTX counts versions of its own from 1 on; there was none before TensorRT 10."""


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
_FP32 = Tolerance(atol=1e-4, rtol=1e-3, cosine=0.9999)
_GPU_TOLERANCES = {
    # ONNX Runtime has NVIDIA's libraries compute fp32 in TF32 where the GPU has it.
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

    Of a plug-in, ``agent`` names the module that runs on the board, as
    :mod:`bench.agent.runtimes` says, and ``limits`` what it reads, if not the newest. The table
    reads ``module`` from that.
    """

    name: str
    summary: str
    precisions: dict[str, Tolerance]
    fix: str
    quantised: frozenset[str] = frozenset()
    calibrated: frozenset[str] = frozenset()
    cuda_graph: bool = False
    layer_profile: bool = False
    agent: str = ""
    limits: GraphLimits = ANY_RUNTIME
    module: AgentModule | None = None


_ONNXRUNTIME_GPU = (
    "{python} -m pip install numpy onnxruntime-gpu, in place of onnxruntime; on a Jetson NVIDIA's "
    "wheel of it for its JetPack"
)

RUNTIMES: dict[str, RuntimeSpec] = {
    "onnxruntime": RuntimeSpec(
        name="onnxruntime",
        summary="ONNX Runtime on the CPU",
        precisions={"fp32": _FP32},
        fix="{python} -m pip install numpy onnxruntime",
    ),
    "onnxruntime-optimized": RuntimeSpec(
        name="onnxruntime-optimized",
        summary="ONNX Runtime on the CPU, from a graph that it optimised once on the board",
        precisions={"fp32": _FP32},
        fix="{python} -m pip install numpy 'onnxruntime>=1.16'",
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
        # Engines are built without TF32, so that fp32 is held to what it is on a CPU.
        precisions=_gpu_tolerances("fp16", "int8") | {"fp32": _FP32},
        fix=(
            "sudo apt-get install python3-libnvinfer (JetPack), elsewhere {python} -m pip install "
            "tensorrt; and {python} -m pip install pycuda, or cuda-python"
        ),
        calibrated=frozenset({"int8"}),
        cuda_graph=True,
        layer_profile=True,
    ),
}


@cache
def runtimes() -> plugins.Table[RuntimeSpec]:
    """Return the engines by name. A plug-in is a :class:`RuntimeSpec` with ``agent``."""
    return plugins.joined(plugins.RUNTIMES, RUNTIMES, _load)


def _load(entry: EntryPoint) -> RuntimeSpec:
    spec = plugins.loads(RuntimeSpec)(entry)
    if not spec.agent or not spec.precisions:
        raise plugins.Unusable(f"{entry.value} lacks 'agent' or 'precisions'")
    needed = ("PROBE", "import_engine", "open_model")
    return replace(spec, module=read_agent_module(spec.agent, needed))


def graph_limits(runtime: str, version: str) -> GraphLimits:
    """Return what a version of a runtime reads.

    ``("onnxruntime", "1.10.0")`` gives opset 15 and IR 8, ``("tensorrt", "8.2.1.8")`` opset 13 and
    no computed weights of convolutions. The execution providers of ONNX Runtime read what it reads.
    A plug-in says by itself what it reads.

    Raises:
        UnsupportedCase: TensorRT is older than 8.0.
    """
    if runtime not in RUNTIMES:
        return runtimes().find(runtime).limits
    major, minor = (int(part) for part in version.split(".")[:2])
    if runtime == "tensorrt":
        return _tensorrt_limits((major, minor))
    if (major, minor) < (1, min(_ONNXRUNTIME)):
        return GraphLimits(12, 7)
    return _ONNXRUNTIME.get(minor, ANY_RUNTIME) if major == 1 else ANY_RUNTIME


def _tensorrt_limits(version: tuple[int, int]) -> GraphLimits:
    if version < _RTX_BEFORE:
        return TENSORRT_RTX
    for since, limits in _TENSORRT:
        if version >= since:
            return limits
    raise UnsupportedCase(
        f"TensorRT {version[0]}.{version[1]} is too old; bench takes 8.0 and newer: "
        "install JetPack 4.6 or newer"
    )

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


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """An engine: ``precisions`` maps each one it can do to the tolerance of its parity check;
    ``packages`` are what pip installs on a board that lacks it."""

    name: str
    summary: str
    precisions: dict[str, Tolerance]
    packages: str


RUNTIMES: dict[str, RuntimeSpec] = {
    "onnxruntime": RuntimeSpec(
        name="onnxruntime",
        summary="ONNX Runtime on the CPU",
        precisions={"fp32": Tolerance(atol=1e-4, rtol=1e-3, cosine=0.9999)},
        packages="numpy onnxruntime",
    ),
}


def graph_limits(version: str) -> GraphLimits:
    """Return what an ONNX Runtime of this version reads (``"1.10.0"`` → opset 15, IR 8)."""
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < (1, min(_ONNXRUNTIME)):
        return GraphLimits(12, 7)
    return _ONNXRUNTIME.get(minor, ANY_RUNTIME) if major == 1 else ANY_RUNTIME

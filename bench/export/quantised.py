"""Whether an ONNX file is quantised already."""

from __future__ import annotations

import functools
from pathlib import Path

import onnx

OPERATORS = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "QLinearConv",
        "QLinearMatMul",
        "ConvInteger",
        "MatMulInteger",
    }
)
"""ONNX's operators on integers that stand for real numbers."""


def is_quantised(path: Path) -> bool:
    """Whether a graph quantises anything; what is no ONNX file does not (others say so)."""
    try:
        found = path.stat()
    except OSError:
        return False
    return _is_quantised(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache
def _is_quantised(path: Path, mtime_ns: int, size: int) -> bool:
    """The same for a file as it was then: every case of a plan asks."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf's DecodeError, of a package without types
        return False
    return any(node.op_type in OPERATORS for node in model.graph.node)

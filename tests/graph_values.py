"""What values and operators the graph that a runtime executes has in it."""

from __future__ import annotations

import numpy as np

# onnx/onnx-tensorrt, docs/operators.md at release/8.0: of what it supports, what is used here.
IN_TENSORRT_8_0 = {
    *("Add", "AveragePool", "Clip", "Concat", "Conv", "Expand", "Flatten", "Gemm"),
    *("GlobalAveragePool", "MatMul", "MaxPool", "Mul", "Pad", "ReduceMean", "Relu", "Reshape"),
    *("Slice", "Split", "Transpose", "Unsqueeze"),
}


def holds(initializers: list[np.ndarray], weight: np.ndarray) -> bool:
    """Whether one of them has the weight's values: blocked layouts reorder and pad with zeros."""
    wanted = np.sort(weight.ravel())
    for value in initializers:
        found = np.sort(value[value != 0])
        if found.size == wanted.size and np.allclose(found, wanted, atol=1e-5):
            return True
    return False

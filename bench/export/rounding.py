"""Graphs that round by themselves, for engines that take a precision from the graph alone.

TensorRT 11 and TensorRT for RTX have neither flags for fp16 and int8 nor calibrators: a layer
computes in the type of its tensors. Older releases of TensorRT round a graph of float32 themselves,
so that they are given that one.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
QUANTISED = ("Conv", "Gemm", "MatMul")
"""The operators whose operands are rounded to int8; what lies between them stays float32."""


def as_half(model: ModelProto, bound: Collection[str]) -> ModelProto:
    """Return a graph of float32 that computes in float16 throughout.

    Inputs, outputs and stored weights stay float32 and are cast in the graph; an engine folds the
    casts of what is stored. The inputs in ``bound`` become float16: whoever copies them to the GPU
    casts them once, not in every inference.
    """
    half = ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    outputs = {output.name for output in graph.output}
    stored = {tensor.name for tensor in graph.initializer}
    cast = {tensor.name for tensor in graph.initializer if tensor.data_type == FLOAT}
    for value in graph.input:
        kind = value.type.tensor_type
        if kind.elem_type == FLOAT and value.name in bound:
            kind.elem_type = HALF
        elif kind.elem_type == FLOAT and value.name not in stored:
            cast.add(value.name)
    for node in graph.node:
        _make_half(node)
        node.input[:] = [_half(name) if name in cast else name for name in node.input]
        node.output[:] = [_half(name) if name in outputs else name for name in node.output]
    before = [helper.make_node("Cast", [name], [_half(name)], to=HALF) for name in sorted(cast)]
    after = [helper.make_node("Cast", [_half(name)], [name], to=FLOAT) for name in sorted(outputs)]
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return half


def _half(name: str) -> str:
    return f"{name}/half"


def _make_half(node: NodeProto) -> None:
    """Let a node's constants be float16, and what it casts to float32."""
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == FLOAT:
            attribute.i = HALF
        elif attribute.HasField("t") and attribute.t.data_type == FLOAT:
            value = numpy_helper.to_array(attribute.t).astype(np.float16)
            attribute.t.CopyFrom(numpy_helper.from_array(value, attribute.t.name))


def quantised(graph: Path, input_name: str, inputs: NDArray[np.float32], batch: int) -> bytes:
    """Return a graph with Q/DQ nodes around all that multiplies, and its weights in it.

    ``inputs``: (n, \\*shape of one); whole batches of them are run, at least one. Scales are
    symmetric, as TensorRT demands, one per output channel of a weight and one per other tensor.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "quantised.onnx"
        quantize_static(
            str(graph),
            str(path),
            _Batches(input_name, inputs, batch),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
            },
        )
        return path.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice about graphs that were not optimised before off the terminal: none is here."""
    root = logging.getLogger()
    root.addFilter(_is_no_advice)
    try:
        yield
    finally:
        root.removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # a package without types
    """Feeds of a graph whose batch is fixed; too few inputs are repeated."""

    def __init__(self, name: str, inputs: NDArray[np.float32], batch: int) -> None:
        whole = max(len(inputs) // batch, 1) * batch
        rows = np.arange(whole) % len(inputs)
        self._feeds = iter({name: inputs[part]} for part in rows.reshape(-1, batch))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next feed, ``None`` after the last."""
        return next(self._feeds, None)

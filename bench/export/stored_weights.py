"""Computes ahead what a graph computes from its weights alone.

ONNX Runtime does that itself when it loads a graph. TensorRT does so only in part: TensorRT for RTX
1.7 leaves the factors of a product of constant matrices in the engine and not the product, and
before 8.5 a convolution takes nothing but stored weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto, helper
from onnx.reference import ReferenceEvaluator

Values = dict[str, NDArray[np.generic]]


def store_computed(model: ModelProto, weights: Values) -> tuple[ModelProto, Values]:
    """Return a graph whose nodes all depend on what the graph is fed, and the values it takes.

    ``weights``: values of inputs of the graph by name. What the other nodes give and somebody uses
    becomes an input too; the second result has the values of all inputs but those that are fed.
    Inputs and initializers that have lost their last user are left out.
    """
    ahead, rest = _split(model, set(weights))
    used = {name for node in rest for name in node.input}
    used |= {output.name for output in model.graph.output}
    computed = _evaluated(
        model, ahead, [name for node in ahead for name in node.output if name in used], weights
    )
    stored = ModelProto()
    stored.CopyFrom(model)
    graph = stored.graph
    del graph.node[:], graph.input[:], graph.initializer[:]
    graph.node.extend(rest)
    graph.input.extend(v for v in model.graph.input if v.name in used or v.name not in weights)
    graph.input.extend(_declared(name, value) for name, value in computed.items())
    graph.initializer.extend(t for t in model.graph.initializer if t.name in used)
    return stored, {name: v for name, v in weights.items() if name in used} | computed


def constant_values(model: ModelProto, weights: Values) -> Values:
    """Return everything that a graph's nodes compute from its weights alone, by name.

    ``weights``: values of initializers or inputs that the graph does not hold itself.
    """
    ahead, _ = _split(model, set(weights))
    wanted = [name for node in ahead for name in node.output]
    return _evaluated(model, ahead, wanted, weights)


def _split(model: ModelProto, weights: set[str]) -> tuple[list[NodeProto], list[NodeProto]]:
    """The nodes that depend on weights and constants only, and the others, in order."""
    known = weights | {tensor.name for tensor in model.graph.initializer}
    ahead, rest = [], []
    for node in model.graph.node:
        if all(name in known or not name for name in node.input):
            known.update(node.output)
            ahead.append(node)
        else:
            rest.append(node)
    return ahead, rest


def _declared(name: str, value: NDArray[np.generic]) -> ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, value.shape)


def _evaluated(
    model: ModelProto,
    nodes: list[NodeProto],
    wanted: list[str],
    weights: Values,
) -> Values:
    """Run nodes by ONNX's reference implementation."""
    if not wanted:
        return {}
    made = {name for node in nodes for name in node.output}
    needed = sorted({name for node in nodes for name in node.input if name} - made)
    held = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    feed = {name: value for name, value in weights.items() if name in needed}
    graph = helper.make_graph(
        nodes,
        "weights",
        [_declared(name, value) for name, value in feed.items()],
        [helper.make_tensor_value_info(name, 1, None) for name in wanted],
        [tensor for tensor in held if tensor.name not in feed],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    results = ReferenceEvaluator(part).run(wanted, feed)
    return dict(zip(wanted, results, strict=True))

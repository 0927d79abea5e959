"""Rewrites a graph for an older ONNX opset.

ONNX's own version converter is of no use here: it refuses every operator that has got a new
version in between, even where nothing but the permitted types changed (Relu 14, Split 18), and
leaves attributes behind that the older version does not know (ReduceMean). Most nodes need no
change at all; those that do have an adapter below. That the result means the same is checked by
the caller, who compares its outputs with torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def rewrite_for(model: ModelProto, opset: int) -> None:
    """Rewrite a model in place, from a newer opset to ``opset``.

    Raises ValueError naming the operator that has no form in the older opset.
    """
    scope = _Scope(model)
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or _expressible(node, opset):
            continue
        adapter = _ADAPTERS.get(node.op_type)
        if adapter is not None:
            adapter(node, scope)
        if not _expressible(node, opset):
            raise ValueError(f"operator {node.op_type} cannot be written at ONNX opset {opset}")
    scope.drop_unused_initializers()
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = opset


class _Scope:
    """What an adapter may know of the graph around a node."""

    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self.shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*inferred.value_info, *inferred.input, *inferred.output)
        }
        self._constants: Mapping[str, TensorProto] = {
            tensor.name: tensor for tensor in model.graph.initializer
        }

    def integers(self, name: str) -> list[int]:
        """Values of a constant. Raises ValueError when it is computed in the graph."""
        if name not in self._constants:
            raise ValueError(f"{name} is not a constant")
        return [int(value) for value in numpy_helper.to_array(self._constants[name]).ravel()]

    def add_integers(self, name: str, values: list[int]) -> None:
        self.graph.initializer.append(
            helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        )

    def drop_unused_initializers(self) -> None:
        used = {name for node in self.graph.node for name in node.input}
        used |= {output.name for output in self.graph.output}
        for tensor in [t for t in self.graph.initializer if t.name not in used]:
            self.graph.initializer.remove(tensor)


def _expressible(node: NodeProto, opset: int) -> bool:
    """Whether a node is well formed under the operator's definition in an older opset."""
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
    except onnx.defs.SchemaError:
        return False
    return (
        schema.min_input <= len(node.input) <= schema.max_input
        and schema.min_output <= len(node.output) <= schema.max_output
        and all(attribute.name in schema.attributes for attribute in node.attribute)
    )


def _take(node: NodeProto, name: str, default: int) -> int:
    """Remove an integer attribute and return its value."""
    for attribute in node.attribute:
        if attribute.name == name:
            value = int(attribute.i)
            node.attribute.remove(attribute)
            return value
    return default


def _reshape(node: NodeProto, scope: _Scope) -> None:
    """``allowzero`` (since 14) only matters where the new shape holds a zero."""
    if _take(node, "allowzero", 0) and 0 in scope.integers(node.input[1]):
        raise ValueError("operator Reshape to an empty shape needs ONNX opset 14")


def _reduce(node: NodeProto, scope: _Scope) -> None:
    """Axes as an input (since 18; ReduceSum since 13) become an attribute."""
    nothing = _take(node, "noop_with_empty_axes", 0)
    axes = scope.integers(node.input[1]) if len(node.input) > 1 and node.input[1] else []
    if not axes and nothing:
        raise ValueError(f"operator {node.op_type} over no axes needs ONNX opset 18")
    del node.input[1:]
    if axes:
        node.attribute.append(helper.make_attribute("axes", axes))


def _split(node: NodeProto, scope: _Scope) -> None:
    """``num_outputs`` (since 18) becomes explicit sizes; the last part may be the smaller one."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    parts = _take(node, "num_outputs", len(node.output))
    length = scope.shapes[node.input[0]][axis]
    size = -(-length // parts)
    name = f"{node.output[0]}.sizes"
    scope.add_integers(name, [size] * (parts - 1) + [length - size * (parts - 1)])
    node.input.append(name)


_ADAPTERS: dict[str, Callable[[NodeProto, _Scope], None]] = {
    "ReduceL1": _reduce,
    "ReduceL2": _reduce,
    "ReduceLogSum": _reduce,
    "ReduceLogSumExp": _reduce,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "ReduceMin": _reduce,
    "ReduceProd": _reduce,
    "ReduceSumSquare": _reduce,
    "Reshape": _reshape,
    "Split": _split,
}

"""Pointwise convolutions as matrix products, for engines that refuse computed weights.

y = W·x over all positions at once: x: (N, inputs, H, W) is laid flat to (N, inputs, H·W), and
W: (1, outputs, inputs) multiplies it from the left. Both operands of a MatMul may be computed in
every version of TensorRT that is supported.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from bench.errors import UnsupportedCase


def pointwise_as_products(model: ModelProto, stored: set[str]) -> ModelProto:
    """Return a graph in which no convolution has a weight that is computed.

    ``stored`` names the inputs of the graph that will be initializers. A stride becomes a Slice, a
    bias an Add. Shapes must be fixed.

    Raises:
        UnsupportedCase: a convolution with a computed weight is no plain pointwise one.
    """
    rewritten = ModelProto()
    rewritten.CopyFrom(model)
    graph = rewritten.graph
    constant = stored | {tensor.name for tensor in graph.initializer}
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] not in constant:
            product = _Product(node, shapes)
            nodes += product.nodes
            graph.initializer.extend(product.constants)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return rewritten


class _Product:
    """The nodes that stand for one pointwise convolution."""

    def __init__(self, convolution: NodeProto, shapes: dict[str, list[int]]) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._name = convolution.name
        batch, inputs, _, _ = shapes[convolution.input[0]]
        _, outputs, height, width = shapes[convolution.output[0]]
        x = self._strided(convolution, shapes)
        flat = self._reshape(x, [batch, inputs, height * width])
        weight = self._reshape(convolution.input[1], [1, outputs, inputs])
        y = self._node("MatMul", weight, flat)
        if len(convolution.input) > 2:
            bias = self._reshape(convolution.input[2], [1, outputs, 1])
            y = self._node("Add", y, bias)
        shape = self._integers([batch, outputs, height, width])
        self._node("Reshape", y, shape, output=convolution.output[0])

    def _strided(self, convolution: NodeProto, shapes: dict[str, list[int]]) -> str:
        """The positions of its input that the convolution looks at."""
        attributes = {a.name: helper.get_attribute_value(a) for a in convolution.attribute}
        kernel = shapes[convolution.input[1]][2:]
        if (
            kernel != [1, 1]
            or attributes.get("group", 1) != 1
            or any(attributes.get("pads", ()))
            or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
        ):
            raise UnsupportedCase(
                f"convolution {convolution.name!r} generates its weight and is no plain pointwise "
                "one, and TensorRT before 8.5 takes computed weights of no other; use the weight "
                "mode load, or JetPack 5.1 or newer"
            )
        strides = list(attributes.get("strides", [1, 1]))
        x = str(convolution.input[0])
        if strides == [1, 1]:
            return x
        begin, end = self._integers([0, 0]), self._integers(shapes[x][2:])
        return self._node("Slice", x, begin, end, self._integers([2, 3]), self._integers(strides))

    def _reshape(self, value: str, shape: Sequence[int]) -> str:
        return self._node("Reshape", value, self._integers(shape))

    def _integers(self, values: Sequence[int]) -> str:
        name = f"{self._name}/integers_{len(self.constants)}"
        self.constants.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def _node(self, operator: str, *inputs: str, output: str = "") -> str:
        name = f"{self._name}/{operator.lower()}_{len(self.nodes)}"
        made = output or name
        self.nodes.append(helper.make_node(operator, list(inputs), [made], name=name))
        return made

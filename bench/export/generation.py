"""ONNX nodes that generate weights from templates, put in front of a traced graph.

A traced network takes every weight as an input. Here the inputs that a
:class:`models.folding.Generation` makes are replaced by nodes, and by inputs for the tensors that
these start from. How a kind of recipe becomes nodes is decided in ``FORMS`` alone: one function
per kind, which gets the weights of a whole group at once so that few, large products make them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, helper

from models.folding import Generation


class Writer:
    """Collects the nodes that generate the weights of one group."""

    def __init__(self, generation: Generation, shapes: Sequence[Sequence[int]]) -> None:
        self.generation = generation
        self.shapes = shapes
        """Shapes of the wanted weights, as the traced graph takes them."""
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def input(self, tensor: str) -> str:
        """Name in the graph of a tensor of the recipe."""
        return self.generation.name(tensor)

    def size(self, tensor: str, axis: int) -> int:
        """Length of a tensor of the recipe along an axis."""
        return int(self.generation.recipe.tensors[tensor].shape[axis])

    def integers(self, values: Sequence[int]) -> str:
        """Add a constant vector and return its name."""
        name = f"{self.generation.prefix}/constant_{len(self.constants)}"
        self.constants.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = f"{self.generation.prefix}/{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """Add a Reshape."""
        return self.node("Reshape", value, self.integers(shape))

    def weights(self, stacked: str) -> None:
        """Cut apart the weights of all layers, which lie one after the other in a tensor.

        They get their shapes before, in one node: each node costs time in every inference, and a
        cut along the first axis is one copy of each part.
        """
        wanted = self.generation.weights
        outputs, *rest = self.shapes[0]
        shaped = self.reshape(stacked, [len(wanted) * outputs, *rest])
        if len(wanted) == 1:
            node = helper.make_node("Identity", [shaped], list(wanted))
        else:
            lengths = self.integers([outputs] * len(wanted))
            node = helper.make_node("Split", [shaped, lengths], list(wanted), axis=0)
        node.name = f"{self.generation.prefix}/{node.op_type.lower()}"
        self.nodes.append(node)


def add_generation(model: ModelProto, generations: Sequence[Generation]) -> ModelProto:
    """Return the graph with the generated weights made by nodes instead of being inputs."""
    generating = ModelProto()
    generating.CopyFrom(model)
    graph = generating.graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in graph.input
    }
    nodes: list[NodeProto] = []
    inputs: dict[str, Sequence[int]] = {}
    for generation in generations:
        writer = Writer(generation, [shapes[name] for name in generation.weights])
        FORMS[generation.recipe.kind](writer)
        nodes += writer.nodes
        graph.initializer.extend(writer.constants)
        inputs |= {name: tuple(value.shape) for name, value in generation.tensors().items()}
    made = {name for generation in generations for name in generation.weights}
    kept = [value for value in graph.input if value.name not in made]
    del graph.input[:]
    graph.input.extend(kept)
    graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in inputs.items()
    )
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    return generating


def _basis(write: Writer) -> None:
    """(n, o, S+U) · (n, S+U, i): the shared rows are repeated, which is little next to weights."""
    rows = write.input("templates")
    if "own" in write.generation.recipe.tensors:
        layers, shared, inputs = (
            write.size("own", 0),
            write.size("templates", 0),
            write.size("templates", 1),
        )
        repeated = write.node("Expand", rows, write.integers([layers, shared, inputs]))
        rows = write.node("Concat", repeated, write.input("own"), axis=1)
    write.weights(write.node("MatMul", write.input("coefficients"), rows))


def _soft(write: Writer) -> None:
    """(n, K) · (K, o·i), then the scales."""
    mixed = write.node("MatMul", write.input("coefficients"), write.input("templates"))
    layers, outputs = write.size("scales", 0), write.size("scales", 1)
    inputs = write.size("templates", 1) // outputs
    whole = write.reshape(mixed, [layers, outputs, inputs])
    write.weights(write.node("Mul", whole, write.input("scales")))


def _blocks(write: Writer) -> None:
    """(n·blocks, K) · (K, t²), the blocks put in place, then the scales."""
    layers, outputs = write.size("scales", 0), write.size("scales", 1)
    side = round(write.size("templates", 1) ** 0.5)
    down = outputs // side
    across = write.size("coefficients", 0) // (layers * down)
    flat = write.node("MatMul", write.input("coefficients"), write.input("templates"))
    tiles = write.reshape(flat, [layers, down, across, side, side])
    placed = write.node("Transpose", tiles, perm=[0, 1, 3, 2, 4])
    whole = write.reshape(placed, [layers, outputs, across * side])
    write.weights(write.node("Mul", whole, write.input("scales")))


def _reuse(write: Writer) -> None:
    """(n, o, 1) ⊙ (o, i)."""
    write.weights(write.node("Mul", write.input("scales"), write.input("templates")))


FORMS: dict[str, Callable[[Writer], None]] = {
    "basis": _basis,
    "blocks": _blocks,
    "reuse": _reuse,
    "soft": _soft,
}
"""The form that generation takes in a graph, by kind of recipe."""

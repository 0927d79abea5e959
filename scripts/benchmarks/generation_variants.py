"""Other ways to generate weights in every inference, which bench does not offer.

They replace an entry of ``bench.export.generation.FORMS``, or change the graph that bench exported;
``weight_modes.py --variants`` measures them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from bench.export import generation
from bench.export.cache import ArtifactCache
from bench.export.generation import Writer
from bench.export.reference import TOLERANCE, run_onnx
from bench.export.target import choose_target
from bench.export.torch_export import export_artifact
from bench.runtimes import ANY_RUNTIME
from models import MODELS, Scheme

HALF_TOLERANCE = 0.01
"""Largest error of outputs with templates in float16, relative to the largest output."""
BYTE_TOLERANCE = 0.2
"""The same with templates in int8, of weights that nobody trained."""

Form = Callable[[Writer], None]


@dataclass(frozen=True, slots=True)
class Variant:
    """Another way to generate the weights of a kind of scheme.

    ``form`` replaces that of ``generation.FORMS`` (None: bench's own), ``change`` rewrites the
    exported graph, whose tensors are in it. ``tolerance``: largest error of an output, relative to
    the largest output.
    """

    name: str
    kind: str
    form: Form | None = None
    change: Callable[[ModelProto], None] | None = None
    tolerance: float = TOLERANCE


def basis_per_layer(write: Writer) -> None:
    """A product for each layer instead of one for the stage."""
    products = []
    for layer in range(len(write.generation.weights)):
        number = write.integers([layer])
        rows = write.input("templates")
        if "own" in write.generation.recipe.tensors:
            rows = write.node("Concat", rows, _layer(write, "own", number), axis=0)
        products.append(write.node("MatMul", _layer(write, "coefficients", number), rows))
    _as_weights(write, products)


def soft_per_layer(write: Writer) -> None:
    """A product for each layer, (1, K) · (K, o·i), and nothing to cut apart."""
    products = []
    for layer in range(len(write.generation.weights)):
        number = write.integers([layer])
        mixing = write.node("Gather", write.input("coefficients"), number, axis=0)
        mixed = write.node("MatMul", mixing, write.input("templates"))
        whole = write.reshape(mixed, [write.size("scales", 1), -1])
        products.append(write.node("Mul", whole, _layer(write, "scales", number)))
    _as_weights(write, products)


def _layer(write: Writer, tensor: str, number: str) -> str:
    """One layer's matrix out of a stack."""
    one = write.node("Gather", write.input(tensor), number, axis=0)
    return write.reshape(one, [write.size(tensor, 1), write.size(tensor, 2)])


def _as_weights(write: Writer, products: Sequence[str]) -> None:
    """Give each layer's product the name and the shape of its weight."""
    for product, name, shape in zip(products, write.generation.weights, write.shapes, strict=True):
        write.nodes.append(helper.make_node("Reshape", [product, write.integers(shape)], [name]))


def half_templates(model: ModelProto) -> None:
    """Store the templates as float16 and widen them in every inference."""
    for tensor, values in _templates(model):
        wide = tensor.name
        _store(model, tensor, values.astype(np.float16), TensorProto.FLOAT16)
        cast = helper.make_node("Cast", [tensor.name], [wide], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)


def byte_templates(model: ModelProto) -> None:
    """Store the templates as int8 with a scale per template, and widen them in every inference."""
    for tensor, values in _templates(model):
        wide = tensor.name
        scales = np.abs(values).max(axis=tuple(range(1, values.ndim))) / 127
        rounded = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1)))
        _store(model, tensor, rounded.astype(np.int8), TensorProto.INT8)
        model.graph.initializer.append(numpy_helper.from_array(scales, f"{wide}.scales"))
        widened = [tensor.name, f"{wide}.scales"]
        node = helper.make_node("DequantizeLinear", widened, [wide], axis=0)
        model.graph.node.insert(0, node)


def _templates(model: ModelProto) -> list[tuple[TensorProto, NDArray[np.float32]]]:
    return [
        (tensor, numpy_helper.to_array(tensor))
        for tensor in model.graph.initializer
        if tensor.name.endswith(".templates")
    ]


def _store(
    model: ModelProto, tensor: TensorProto, narrow: NDArray[np.generic], elem_type: int
) -> None:
    """Put a narrower array in the place of a tensor, under a name of its own."""
    wide = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(narrow, f"{wide}.narrow"))
    for value in model.graph.input:
        if value.name == wide:
            value.name = tensor.name
            value.type.tensor_type.elem_type = elem_type


def pointwise_matmul(model: ModelProto) -> None:
    """Apply generated weights by MatMul and Add instead of Conv."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    held = {tensor.name for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] in held:
            nodes.append(node)
            continue
        x, weight = node.input[0], node.input[1]
        batch, inputs, height, width = shapes[x]
        outputs = shapes[weight][0]
        y = node.output[0]
        for suffix, sizes in (
            ("matrix", [outputs, inputs]),
            ("columns", [batch, inputs, height * width]),
            ("image", [batch, outputs, height, width]),
            ("rows", [outputs, 1]),
        ):
            array = np.array(sizes, np.int64)
            model.graph.initializer.append(numpy_helper.from_array(array, f"{y}/{suffix}_shape"))
        nodes += [
            helper.make_node("Reshape", [weight, f"{y}/matrix_shape"], [f"{y}/matrix"]),
            helper.make_node("Reshape", [x, f"{y}/columns_shape"], [f"{y}/columns"]),
            helper.make_node("MatMul", [f"{y}/matrix", f"{y}/columns"], [f"{y}/product"]),
        ]
        flat = f"{y}/product"
        if len(node.input) > 2:
            nodes += [
                helper.make_node("Reshape", [node.input[2], f"{y}/rows_shape"], [f"{y}/rows"]),
                helper.make_node("Add", [flat, f"{y}/rows"], [f"{y}/shifted"]),
            ]
            flat = f"{y}/shifted"
        nodes.append(helper.make_node("Reshape", [flat, f"{y}/image_shape"], [y]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


VARIANTS = (
    Variant("basis-per-layer", "basis", form=basis_per_layer),
    Variant("basis-half-templates", "basis", change=half_templates, tolerance=HALF_TOLERANCE),
    Variant("basis-byte-templates", "basis", change=byte_templates, tolerance=BYTE_TOLERANCE),
    Variant("basis-matmul", "basis", change=pointwise_matmul),
    Variant("soft-per-layer", "soft", form=soft_per_layer),
    Variant("soft-half-templates", "soft", change=half_templates, tolerance=HALF_TOLERANCE),
    Variant("soft-byte-templates", "soft", change=byte_templates, tolerance=BYTE_TOLERANCE),
    Variant("soft-matmul", "soft", change=pointwise_matmul),
)


def export_variant(variant: Variant, model: str, scheme: str, batch: int, folder: Path) -> Path:
    """Write a variant of the run-time form as an ONNX file and return its path.

    Raises ValueError when its outputs are not those of the network.
    """
    own = dict(generation.FORMS)
    if variant.form is not None:
        generation.FORMS[variant.kind] = variant.form
    try:
        artifact = export_artifact(
            MODELS[model],
            Scheme.parse(scheme),
            "runtime",
            batch,
            choose_target(ANY_RUNTIME),
            ArtifactCache(folder / "exported"),
        )
    finally:
        generation.FORMS.update(own)
    path = folder / f"{variant.name}.onnx"
    changed = onnx.load(artifact.graph)
    if variant.change is not None:
        variant.change(changed)
    onnx.save(changed, path)
    reference = np.load(artifact.reference)
    x = {changed.graph.input[0].name: reference["in0"]}
    y, wanted = next(iter(run_onnx(path, x, optimized=True).values())), reference["out0"]
    error = float(np.abs(y - wanted).max() / np.abs(wanted).max())
    if not error <= variant.tolerance:
        raise ValueError(f"{variant.name}: outputs differ by {error:.2g} of the largest")
    return path

"""The form that a weight mode takes in a graph, by engine.

===========  ==========================================  =========================================
mode         ONNX Runtime                                TensorRT
===========  ==========================================  =========================================
load         computed from initializers; folded by it    stored, computed by the exporter
runtime      computed from initializers that are inputs  computed from bound inputs
             as well, which it must not fold             (:mod:`bench.export.bound`)
factored,    as it is                                    as it is; before 8.5 what is computed from
reuse                                                    weights alone is stored
===========  ==========================================  =========================================

TensorRT before 8.5 takes no computed weight of a convolution: what is generated at run time is an
operand of a matrix product there (:mod:`bench.export.pointwise`). Why ``load`` is not left to
TensorRT: :mod:`bench.export.stored_weights`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from bench.export.pointwise import pointwise_as_products
from bench.export.stored_weights import Values, store_computed
from bench.export.weights import pack
from bench.records.recordings import GraphLimits


@dataclass(frozen=True, slots=True)
class Weights:
    """The content of a weights file and where in it each tensor lies: (offset, bytes) by name."""

    data: bytes
    places: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Form:
    """A graph whose weights are inputs, and what becomes of these.

    All inputs with a place in ``weights`` get an initializer there, except those in ``bound``;
    those in ``overridable`` stay inputs beside it.
    """

    model: ModelProto
    weights: Weights
    overridable: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()


def fit(
    model: ModelProto,
    mode: str | None,
    weights: Weights,
    generators: frozenset[str],
    target: GraphLimits,
) -> Form:
    """Return the form of a graph, in which generated weights are computed, for a target.

    ``generators``: the inputs that weights are generated from. All of them stay alive at run time,
    not the coefficients alone: otherwise an engine folds the joining of shared and own templates
    and keeps a copy of the shared ones per layer.

    Raises:
        UnsupportedCase: the target has no form for it.
    """
    if target.engine == "tensorrt":
        if mode == "runtime":
            if not target.computed_weights:
                model = pointwise_as_products(model, set(weights.places) - generators)
            return Form(model, weights, bound=generators)
        if mode == "load" or not target.computed_weights:
            return _stored(model, weights)
    return Form(model, weights, overridable=generators if mode == "runtime" else frozenset())


def _stored(model: ModelProto, weights: Weights) -> Form:
    """With a weights file of its own, unless nothing is computed from weights."""
    before = _values(model, weights)
    stored, values = store_computed(model, before)
    if values.keys() <= before.keys():
        return Form(model, weights)
    return Form(stored, Weights(*pack((name, values[name].tobytes()) for name in sorted(values))))


def _values(model: ModelProto, weights: Weights) -> Values:
    values: Values = {}
    for item in model.graph.input:
        if item.name in weights.places:
            offset, length = weights.places[item.name]
            shape = [dim.dim_value for dim in item.type.tensor_type.shape.dim]
            flat = np.frombuffer(weights.data, np.float32, length // 4, offset)
            values[item.name] = flat.reshape(shape)
    return values

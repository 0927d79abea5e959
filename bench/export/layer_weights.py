"""Where the weights of a graph's layers come from, and whether an engine holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from bench.export.bound import bound_values
from bench.export.stored_weights import Values, constant_values

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")

STORED, CONSTANT, GENERATED = "stored", "constant", "generated"
"""A weight is in the file, or is computed from what is (so that a builder may fold it), or from
bound inputs (so that it cannot)."""


@dataclass(frozen=True, slots=True)
class LayerWeight:
    """The weight of a layer: its name in the graph, where it comes from, and its values."""

    name: str
    source: str
    values: NDArray[np.generic]


def layer_weights(graph: Path, bound: Path | None) -> list[LayerWeight]:
    """Return the weights of a graph's convolutions and products, in the graph's order.

    They are those operands that do not depend on what the graph is fed. ``bound``: its bound
    inputs. Raises OSError or ValueError when a file is missing or damaged.
    """
    model = onnx.load(graph)
    stored: Values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    constant = constant_values(model, {})
    known = {**constant_values(model, bound_values(bound)), **bound_values(bound), **stored}
    weights = []
    for node in model.graph.node:
        operands = [name for name in node.input[:2] if name in known]
        if node.op_type not in LAYERS or len(operands) != 1 or node.output[0] in known:
            continue
        (name,) = operands
        source = STORED if name in stored else CONSTANT if name in constant else GENERATED
        weights.append(LayerWeight(name, source, known[name]))
    return weights


class EngineValues:
    """The float32 numbers that an engine's bytes may stand for, wherever they lie in it.

    Builders change the layout of weights, so single values are looked for, not whole tensors:
    an engine that holds a tensor has all of its values, one that does not has a few by chance.
    """

    TOLERANCE = 2.0**-22
    """Relative: about two units in the last place, for a builder that rounds in another order."""
    HELD = 0.9
    """Share of a weight's values from which an engine counts as holding it."""

    def __init__(self, engine: bytes) -> None:
        words = np.frombuffer(engine, np.float32, len(engine) // 4)
        self._sorted = np.unique(words[np.isfinite(words)])

    def share(self, values: NDArray[np.generic]) -> float:
        """Return which share (0..1) of the values other than zero occurs in the engine."""
        # In order: looked up at random, the numbers of a large engine are far apart in memory.
        wanted = np.sort(values[values != 0].astype(np.float32), axis=None)
        if not wanted.size:
            return 1.0
        after = np.searchsorted(self._sorted, wanted).clip(1, len(self._sorted) - 1)
        near = np.minimum(abs(self._sorted[after] - wanted), abs(self._sorted[after - 1] - wanted))
        return float(np.mean(near <= self.TOLERANCE * abs(wanted)))

    def holds(self, values: NDArray[np.generic]) -> bool:
        """Whether the engine holds these values."""
        return self.share(values) >= self.HELD

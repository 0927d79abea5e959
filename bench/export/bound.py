"""Bound inputs: inputs of a graph whose values lie in the weights file and never change.

A runtime that folds whatever it knows when it loads a graph is not told them: they are true inputs
without an initializer. A small JSON file beside the graph says where the values are, and the agent
hands them over once, when it loads the graph; a feed has the other inputs only::

    {"inputs": {NAME: {"file": name of the weights file, "offset": bytes, "bytes": length,
                       "shape": [sizes], "dtype": "float32"}}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

DTYPE = "float32"


def bound_json(
    model: ModelProto,
    names: Iterable[str],
    weights_file: str,
    places: Mapping[str, tuple[int, int]],
) -> bytes:
    """Return the JSON for these inputs of a graph. ``places``: (offset, bytes) by name."""
    wanted = set(names)
    inputs = {}
    for value in model.graph.input:
        if value.name in wanted:
            offset, length = places[value.name]
            inputs[value.name] = {
                "file": weights_file,
                "offset": offset,
                "bytes": length,
                "shape": [dim.dim_value for dim in value.type.tensor_type.shape.dim],
                "dtype": DTYPE,
            }
    return json.dumps({"inputs": inputs}, indent=1, sort_keys=True).encode()


def bound_values(path: Path | None) -> dict[str, NDArray[np.generic]]:
    """Return the values of the inputs that a JSON file binds, by name; nothing for ``None``.

    The weights files lie beside it. Raises OSError, ValueError or KeyError when they do not, or
    when one is too short.
    """
    if path is None:
        return {}
    values: dict[str, NDArray[np.generic]] = {}
    for name, place in json.loads(path.read_bytes())["inputs"].items():
        shape = place["shape"]
        flat = np.fromfile(
            path.parent / place["file"],
            dtype=place["dtype"],
            count=int(np.prod(shape)),
            offset=place["offset"],
        )
        values[name] = flat.reshape(shape)
    return values

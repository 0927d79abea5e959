"""A small classifier of images and labelled sets of them, as parts of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from board_folder import make_reference
from onnx import TensorProto, helper

CLASSES = 10
MEAN, STD = np.float32([0.3]), np.float32([0.2])


def classifier(path: Path, batch: int) -> np.ndarray:
    """A linear classifier of 1×8×8 images; returns its weights (64, classes)."""
    weight = np.random.default_rng(1).standard_normal((64, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["h"], axis=1),
            helper.make_node("MatMul", ["h", "w"], ["y"]),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, CLASSES])],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.save(model, path)
    make_reference(path, path.with_suffix(".npz"))
    return weight


def labelled(folder: Path, sizes: tuple[int, ...]) -> tuple[list[dict[str, Any]], Any, Any]:
    """Parts of a set of random images; their job entries, all images and all labels."""
    draw = np.random.default_rng(3)
    images = draw.integers(0, 256, (sum(sizes), 1, 8, 8), dtype=np.uint8)
    labels = draw.integers(0, CLASSES, sum(sizes))
    parts, first = [], 0
    for number, size in enumerate(sizes):
        path = folder / "artifacts" / f"part{number}.npz"
        chunk = slice(first, first + size)
        np.savez(path, images=images[chunk], labels=labels[chunk], mean=MEAN, std=STD)
        parts.append({"path": f"artifacts/{path.name}", "images": size})
        first += size
    return parts, images, labels

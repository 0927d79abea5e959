"""Graphs as files that give the outputs they should, in the form that is asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from bench.export.cache import ArtifactCache
from bench.export.reference import TOLERANCE, Array, check_agreement
from bench.export.rounding import as_half, quantised
from bench.export.target import Rounding
from bench.records.artifact import ArtifactFacts
from bench.records.recordings import GraphLimits


def verified(
    store: ArtifactCache,
    name: str,
    model: ModelProto,
    feed: dict[str, Array],
    outputs: dict[str, Array],
    tolerance: float = TOLERANCE,
) -> Path:
    """Store a graph that gives these outputs; one that does not is an ExportError."""
    path = store.write(name, ".onnx", model.SerializeToString(True))
    try:
        onnx.checker.check_model(path, full_check=True)
        check_agreement(path, feed, outputs, tolerance)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def rounded(
    model: ModelProto,
    path: Path,
    rounding: Rounding,
    bound: frozenset[str],
    batch: int,
    input_name: str,
) -> ModelProto:
    """Return a graph, which lies at ``path`` too, that rounds by itself."""
    if rounding.precision == "fp16":
        return as_half(model, bound)
    assert rounding.inputs is not None
    images = np.load(rounding.inputs, allow_pickle=False)
    return onnx.load_from_string(quantised(path, input_name, images, batch))


def artifact_facts(
    files: tuple[Path, Path | None], target: GraphLimits, parameters: int, macs: int
) -> ArtifactFacts:
    """Return the facts of the graph and of the weights file, where it has one."""
    contents = [path.read_bytes() for path in files if path is not None]
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    return ArtifactFacts(
        graph_sha256=hashes[0],
        weights_sha256=hashes[1] if len(hashes) > 1 else None,
        file_bytes=sum(map(len, contents)),
        opset=target.opset,
        ir_version=target.ir_version,
        parameters=parameters,
        macs=macs,
    )

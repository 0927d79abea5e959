"""Builds, traces, writes and verifies the artifact of one case. Needs torch."""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto
from torch import nn

from bench.errors import BenchError, ExportError
from bench.export import graph
from bench.export.cache import ArtifactCache
from bench.export.reference import (
    Array,
    check_agreement,
    first_line,
    random_input,
    reference_bytes,
)
from bench.export.weights import pack
from bench.figures import ArtifactFacts
from bench.recordings import Artifact, GraphLimits
from models import MODELS, ModelSpec, Scheme
from models.folding import fold_batch_norm, generation_parameters, set_factored
from models.spec import count_macs


@dataclass(frozen=True, slots=True)
class _Network:
    """A network ready for export; the same for all weight modes, batches and boards."""

    original: nn.Module
    folded: nn.Module
    macs: dict[str, int]
    weights: bytes
    places: dict[str, tuple[int, int]]


def export_artifact(
    spec: ModelSpec,
    scheme: Scheme,
    weights: str | None,
    batch: int,
    target: GraphLimits,
    store: ArtifactCache,
) -> Artifact:
    """Write graph, weights file and reference of one case into the store and verify them.

    Raises ExportError when any step fails; its detail holds the traceback.
    """
    what = " ".join(filter(None, (spec.name, str(scheme), weights)))
    try:
        return _export(spec, scheme, weights, batch, target, store)
    except BenchError:
        raise
    except Exception as error:  # the exporter raises errors of many libraries
        raise ExportError(
            f"cannot export {what}: {first_line(error)}", detail=traceback.format_exc()
        ) from error


def _export(
    spec: ModelSpec,
    scheme: Scheme,
    weights: str | None,
    batch: int,
    target: GraphLimits,
    store: ArtifactCache,
) -> Artifact:
    network = _network(spec.name, str(scheme))
    stem = f"{spec.name}-{str(scheme).replace(':', '-').replace('/', '-')}"
    weights_path = store.write(stem, ".weights", network.weights)
    overridable = generation_parameters(network.folded) if weights == "runtime" else ()
    traced = _traced(spec.name, str(scheme), weights == "factored", batch)
    model = graph.attach_weights(
        graph.convert(traced, target), weights_path.name, network.places, overridable
    )
    model.graph.name = stem
    inputs, outputs = _reference(spec, network.original, batch)
    mode = f"-{weights}" if weights else ""
    path = store.write(f"{stem}{mode}-b{batch}", ".onnx", model.SerializeToString(True))
    try:
        onnx.checker.check_model(path, full_check=True)
        check_agreement(path, inputs, outputs)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Artifact(
        graph=path,
        weights=weights_path,
        reference=store.write(f"{stem}-b{batch}", ".npz", reference_bytes(inputs, outputs)),
        facts=_facts(spec, scheme, path, weights_path, target, network.macs[weights or "dense"]),
        batch=batch,
        classifier=spec.task == "classification",
        fresh=True,
    )


@lru_cache(maxsize=4)
def _network(model: str, scheme: str) -> _Network:
    spec, parsed = MODELS[model], Scheme.parse(scheme)
    original = spec.build(parsed)
    folded = fold_batch_norm(original)
    tensors = {**dict(folded.named_parameters()), **dict(folded.named_buffers())}
    weights, places = pack(
        (name, tensors[name].detach().contiguous().numpy().tobytes()) for name in sorted(tensors)
    )
    return _Network(original, folded, count_macs(spec, parsed), weights, places)


@lru_cache(maxsize=16)
def _traced(model: str, scheme: str, factored: bool, batch: int) -> ModelProto:
    folded = _network(model, scheme).folded
    set_factored(folded, factored)
    return graph.trace(folded, (batch, *MODELS[model].input_shape))


def _reference(
    spec: ModelSpec, network: nn.Module, batch: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Fixed inputs and what torch makes of them with nothing folded."""
    shape = (batch, *spec.input_shape)
    x = random_input(shape, np.dtype(np.float32), position=0)
    with torch.no_grad():
        y = network(torch.from_numpy(x)).numpy()
    return {graph.INPUT: x}, {graph.OUTPUT: y}


def _facts(
    spec: ModelSpec,
    scheme: Scheme,
    path: Path,
    weights_path: Path,
    target: GraphLimits,
    macs: int,
) -> ArtifactFacts:
    files = [path.read_bytes(), weights_path.read_bytes()]
    return ArtifactFacts(
        graph_sha256=hashlib.sha256(files[0]).hexdigest(),
        weights_sha256=hashlib.sha256(files[1]).hexdigest(),
        file_bytes=sum(map(len, files)),
        opset=target.opset,
        ir_version=target.ir_version,
        parameters=spec.total(scheme),
        macs=macs,
    )

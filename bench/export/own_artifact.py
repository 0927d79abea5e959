"""A user's own torch network as an artifact: traced, converted, verified, cached. Needs torch."""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto

from bench.errors import BenchError, ConfigError, ExportError, UnsupportedCase
from bench.export import graph
from bench.export.cache import ArtifactCache, toolchain
from bench.export.cases import EXPORTING
from bench.export.forms import Weights, fit
from bench.export.inputs import InputValues
from bench.export.own_torch import OwnNetwork, Shape, feed_of, load_network, run
from bench.export.reference import Array, first_line, reference_bytes
from bench.export.target import Rounding, choose_target
from bench.export.weights import pack
from bench.export.written import artifact_facts, rounded, verified
from bench.records.recordings import Artifact, GraphLimits
from bench.runtimes import RUNTIMES
from models.drawn import DrawnLayer
from models.parameters import count_parameters


def export_function(
    text: str,
    batch: int | None,
    shapes: Mapping[str, Shape],
    values: InputValues,
    limits: GraphLimits,
    cache: Path,
    on_miss: Callable[[], None] = lambda: None,
    rounding: Rounding | None = None,
) -> Artifact:
    """Return the artifact of the network that ``package.module:function`` gives.

    It is cached by what the network is (graph and weights), what it is fed and what it is for, not
    by its name. Arguments as of :func:`bench.export.onnx_files.import_onnx`; ``batch`` is the first
    dimension of every input. ``rounding``: what the graph itself rounds to.

    Raises:
        ConfigError: the function cannot be called or returns something else, what is said of the
            inputs does not fit, or torch cannot export the network for any board.
        UnsupportedCase: the board is too old, or rounding is not for this network.
        ExportError: its form for this board fails.
    """
    target = choose_target(limits)
    with EXPORTING:
        own = load_network(text)
        feed = feed_of(text, own, batch, shapes, values)
        if rounding is not None and rounding.precision == "int8" and len(feed) > 1:
            raise UnsupportedCase(f"{text}: int8 is calibrated on one input, it has {len(feed)}")
        outputs, macs = run(text, own, feed, values)
        traced = _traced(text, own, _Signature.of(feed, outputs))
        try:
            key = _key(own, traced, feed, macs, target, rounding)
            store = ArtifactCache(cache)
            found = store.find(key)
            if found is None:
                on_miss()
                found = store.add(
                    key, _export(text, own, traced, feed, outputs, macs, target, store, rounding)
                )
            shares = any(isinstance(module, DrawnLayer) for module in own.network.modules())
            return replace(found, facts=found.facts.model_copy(update={"shares": shares}))
        except BenchError:
            raise
        except Exception as error:  # what converts graphs raises errors of many libraries
            raise ExportError(
                f"cannot export {text}: {first_line(error)}", detail=traceback.format_exc()
            ) from error


@dataclass(frozen=True, slots=True)
class _Signature:
    """What a graph is traced for: name, shape and type of each input, and names of outputs."""

    inputs: tuple[tuple[str, Shape, np.dtype[np.generic]], ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, feed: Mapping[str, Array], outputs: Mapping[str, Array]) -> _Signature:
        inputs = ((name, value.shape, value.dtype) for name, value in feed.items())
        return cls(tuple(inputs), tuple(outputs))


@lru_cache(maxsize=16)
def _traced(text: str, own: OwnNetwork, signature: _Signature) -> ModelProto:
    tensors = [torch.from_numpy(np.zeros(shape, dtype)) for _, shape, dtype in signature.inputs]
    names = [name for name, _, _ in signature.inputs]
    try:
        return graph.trace(own.folded, tensors, names, signature.outputs)
    except graph.NoGraph as error:
        raise ConfigError(
            f"--model {text}: torch cannot export it to ONNX: {error}; write that part in another "
            "way, or export the network yourself and give the .onnx file"
        ) from None


def _tensors(own: OwnNetwork, traced: ModelProto) -> dict[str, Array]:
    """The weights that are inputs of the graph, by name."""
    wanted = {value.name for value in traced.graph.input}
    named = (*own.folded.named_parameters(), *own.folded.named_buffers())
    return {n: value.detach().contiguous().numpy() for n, value in named if n in wanted}


def _key(
    own: OwnNetwork,
    traced: ModelProto,
    feed: Mapping[str, Array],
    macs: int,
    target: GraphLimits,
    rounding: Rounding | None,
) -> dict[str, Any]:
    digest = hashlib.sha256(traced.SerializeToString(deterministic=True))
    for name, value in (*sorted(_tensors(own, traced).items()), *feed.items()):
        digest.update(f"{name} {value.dtype} {value.shape}\0".encode() + value.tobytes())
    return {
        "torch": digest.hexdigest(),
        "macs": macs,
        "parameters": count_parameters(own.network),
        "opset": target.opset,
        "ir_version": target.ir_version,
        "engine": target.engine,
        "computed_weights": target.computed_weights,
        "rounding": rounding.precision if rounding else None,
        "inputs": rounding.inputs.name if rounding and rounding.inputs else None,
        "toolchain": toolchain(),
    }


def _export(
    text: str,
    own: OwnNetwork,
    traced: ModelProto,
    feed: dict[str, Array],
    outputs: dict[str, Array],
    macs: int,
    target: GraphLimits,
    store: ArtifactCache,
    rounding: Rounding | None,
) -> Artifact:
    stem = re.sub(r"[^A-Za-z0-9_.-]", "-", text)[-80:]
    tensors = _tensors(own, traced)
    packed = pack((name, tensors[name].tobytes()) for name in sorted(tensors))
    model = graph.convert(traced, target)
    form = fit(model, None, Weights(*packed), frozenset(), target)
    weights = store.write(stem, ".weights", form.weights.data) if form.weights.data else None
    if weights is not None:
        model = graph.attach_weights(form.model, weights.name, form.weights.places, ())
    model.graph.name = stem
    batch = _batch(feed)
    path = verified(store, f"{stem}-b{batch}", model, feed, outputs)
    if rounding is not None:
        by_itself = rounded(model, path, rounding, frozenset(), batch, own.inputs[0])
        tolerance = RUNTIMES["tensorrt"].precisions[rounding.precision].rtol
        name = f"{stem}-b{batch}-{rounding.precision}"
        path = verified(store, name, by_itself, feed, outputs, tolerance)
        weights = weights if rounding.precision == "fp16" else None
    return Artifact(
        graph=path,
        weights=weights,
        reference=store.write(f"{stem}-b{batch}", ".npz", reference_bytes(feed, outputs)),
        facts=artifact_facts((path, weights), target, count_parameters(own.network), macs // batch),
        batch=batch,
        classifier=False,
        fresh=True,
    )


def _batch(feed: Mapping[str, Array]) -> int:
    """Inputs per run: the first dimension, if all inputs have at least two and agree in it."""
    firsts = {value.shape[0] if value.ndim > 1 else 1 for value in feed.values()}
    return firsts.pop() if len(firsts) == 1 else 1

"""Builds, traces, writes and verifies the artifact of one case. Needs torch."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto
from torch import nn

from bench.errors import BenchError, ConfigError, ExportError
from bench.export import graph
from bench.export.bound import bound_json, bound_values
from bench.export.cache import ArtifactCache
from bench.export.forms import Weights, fit
from bench.export.generation import add_generation
from bench.export.reference import Array, first_line, random_input, reference_bytes
from bench.export.target import Rounding
from bench.export.weights import pack
from bench.export.written import artifact_facts, rounded, verified
from bench.networks import models
from bench.records.recordings import Artifact, GraphLimits
from bench.runtimes import RUNTIMES
from models import ModelSpec, Scheme
from models.folding import Folded, factored, fold
from models.parameters import count_parameters
from models.summary import count_macs
from models.training.checkpoint import read_model
from models.training.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class _Network:
    """A network ready for export; the same for all weight modes, batches and boards."""

    original: nn.Module
    folded: Folded
    macs: dict[str | None, int]
    weights: Weights


def export_artifact(
    spec: ModelSpec,
    scheme: Scheme,
    weights: str | None,
    batch: int,
    target: GraphLimits,
    store: ArtifactCache,
    trained: Path | None = None,
    rounding: Rounding | None = None,
) -> Artifact:
    """Write graph, weights file and reference of one case into the store and verify them.

    ``trained``: a checkpoint to take the weights from; ``rounding``: what the graph itself rounds
    to. Raises ConfigError when the checkpoint is damaged or of another network, ExportError when
    any step fails; its detail holds the traceback.
    """
    what = " ".join(filter(None, (spec.name, str(scheme), weights)))
    try:
        return _export(spec, scheme, weights, batch, target, store, trained, rounding)
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
    trained: Path | None,
    rounding: Rounding | None,
) -> Artifact:
    network = _network(spec.name, str(scheme), trained)
    stem = f"{spec.name}-{str(scheme).replace(':', '-').replace('/', '-')}"
    traceable = _traceable(spec, network.folded, weights == "factored", batch)
    model = graph.convert(_traced(traceable), target)
    if weights != "factored":
        model = add_generation(model, network.folded.generations)
    generators = frozenset(name for each in network.folded.generations for name in each.tensors())
    form = fit(model, weights, network.weights, generators, target)
    weights_path = store.write(stem, ".weights", form.weights.data)
    places = form.weights.places
    model = graph.attach_weights(
        form.model,
        weights_path.name,
        {name: place for name, place in places.items() if name not in form.bound},
        form.overridable,
    )
    bound = None
    if form.bound:
        content = bound_json(model, form.bound, weights_path.name, places)
        bound = store.write(f"{stem}-bound", ".json", content)
    model.graph.name = stem
    inputs, outputs = _reference(spec, network.original, batch)
    mode = f"-{weights}" if weights else ""
    name = f"{stem}{mode}-b{batch}"
    files: tuple[Path, Path | None] = (
        verified(store, name, model, {**inputs, **bound_values(bound)}, outputs),
        weights_path,
    )
    if rounding is not None:
        by_itself = rounded(model, files[0], rounding, form.bound, batch, graph.INPUT)
        name = f"{name}-{rounding.precision}"
        feed = {**inputs, **{n: v.astype(np.float16) for n, v in bound_values(bound).items()}}
        tolerance = RUNTIMES["tensorrt"].precisions[rounding.precision].rtol
        path = verified(store, name, by_itself, feed, outputs, tolerance)
        files = (path, weights_path if rounding.precision == "fp16" else None)
    return Artifact(
        graph=files[0],
        weights=files[1],
        reference=store.write(f"{stem}-b{batch}", ".npz", reference_bytes(inputs, outputs)),
        facts=artifact_facts(files, target, spec.total(scheme), network.macs[weights]),
        batch=batch,
        classifier=spec.task == "classification",
        fresh=True,
        bound=bound,
    )


@lru_cache(maxsize=4)
def _network(model: str, scheme: str, trained: Path | None) -> _Network:
    spec, parsed = models()[model], Scheme.parse(scheme)
    original = spec.build(parsed) if trained is None else _trained(trained, spec, parsed)
    found, said = count_parameters(original), spec.total(parsed)
    if found != said:
        raise ConfigError(
            f"model {model}: the network that is built has {found:,} parameters, its table entry "
            f"makes {said:,} of them (scheme {scheme}); correct the entry"
        )
    folded = fold(original)
    tensors = folded.tensors()
    data, places = pack((name, tensors[name].numpy().tobytes()) for name in sorted(tensors))
    places |= _slices(folded, places)
    return _Network(original, folded, count_macs(spec, parsed), Weights(data, places))


def _trained(checkpoint: Path, spec: ModelSpec, scheme: Scheme) -> nn.Module:
    """The network of a checkpoint, if it is the one that is to be exported."""
    try:
        found = read_model(checkpoint)
        if (found.model, Scheme.parse(found.scheme)) != (spec.name, scheme):
            raise CheckpointError(f"{checkpoint}: holds {found.model} {found.scheme}")
        return found.network()
    except CheckpointError as error:
        raise ConfigError(str(error)) from None


def _slices(folded: Folded, places: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Where each layer's part of the stacked coefficients and own rows lies."""
    slices = {}
    for each in folded.generations:
        if each.recipe.kind != "basis":
            continue
        for tensor in set(each.recipe.tensors) - {"templates"}:
            offset, length = places[each.name(tensor)]
            part = length // len(each.weights)
            for index, weight in enumerate(each.weights):
                name = weight.removesuffix("weight") + tensor
                slices[name] = (offset + index * part, part)
    return slices


@dataclass(frozen=True, slots=True)
class _Traceable:
    """A network to trace; two of the same ``build`` have the same graph, which has no weights."""

    build: str
    input_shape: tuple[int, ...]
    network: nn.Module = field(compare=False)


@lru_cache(maxsize=16)
def _traced(traceable: _Traceable) -> ModelProto:
    return graph.trace(traceable.network, (torch.zeros(*traceable.input_shape),))


def _traceable(spec: ModelSpec, folded: Folded, factors: bool, batch: int) -> _Traceable:
    """The network of a weight mode. Schemes that generate weights all have the dense graph."""
    network = factored(folded) if factors else folded.network
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    return _Traceable(f"{spec.name} {network} {shapes}", (batch, *spec.input_shape), network)


def _reference(
    spec: ModelSpec, network: nn.Module, batch: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Fixed inputs and what torch makes of them with nothing folded."""
    shape = (batch, *spec.input_shape)
    x = random_input(shape, np.dtype(np.float32), position=0)
    with torch.no_grad():
        y = network(torch.from_numpy(x)).numpy()
    if spec.task == "classification" and y.shape != (batch, spec.classes):
        raise ConfigError(
            f"model {spec.name}: its outputs are {y.shape}, its table entry says {spec.classes} "
            f"classes for a batch of {batch}; correct the entry"
        )
    return {graph.INPUT: x}, {graph.OUTPUT: y}

"""A user's own torch network: what it is fed, and its artifact. Needs torch."""

from __future__ import annotations

import hashlib
import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import BenchError, ConfigError, ExportError, UnsupportedCase
from bench.export import graph
from bench.export.cache import ArtifactCache, toolchain
from bench.export.cases import EXPORTING
from bench.export.forms import Weights, fit
from bench.export.functions import call_function
from bench.export.inputs import InputValues, input_value, load_sample, require_inputs
from bench.export.reference import Array, first_line, reference_bytes
from bench.export.target import Rounding, choose_target
from bench.export.weights import pack
from bench.export.written import artifact_facts, rounded, verified
from bench.recordings import Artifact, GraphLimits
from bench.runtimes import RUNTIMES
from models.folding import fold

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class OwnNetwork:
    """A network in evaluation mode and the names of its inputs, with examples where it has some.

    ``folded`` is the same with BatchNorm folded, or the network itself where that cannot be done.
    """

    network: nn.Module
    folded: nn.Module
    inputs: tuple[str, ...]
    examples: Mapping[str, Array]


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
        ConfigError: the function cannot be called or returns something else, or what is said of
            the inputs does not fit.
        UnsupportedCase: the board is too old, or rounding is not for this network.
        ExportError: the export itself fails.
    """
    target = choose_target(limits)
    with EXPORTING:
        own = load_network(text)
        feed = _feed(text, own, batch, shapes, values)
        if rounding is not None and rounding.precision == "int8" and len(feed) > 1:
            raise UnsupportedCase(f"{text}: int8 is calibrated on one input, it has {len(feed)}")
        outputs, macs = _run(text, own, feed)
        signature = _Signature(
            tuple((name, value.shape, value.dtype) for name, value in feed.items()), len(outputs)
        )
        try:
            traced = _traced(own, signature)
            key = _key(own, traced, feed, target, rounding)
            store = ArtifactCache(cache)
            found = store.find(key)
            if found is not None:
                return found
            on_miss()
            return store.add(
                key, _export(text, own, traced, feed, outputs, macs, target, store, rounding)
            )
        except BenchError:
            raise
        except Exception as error:  # the exporter raises errors of many libraries
            raise ExportError(
                f"cannot export {text}: {first_line(error)}", detail=traceback.format_exc()
            ) from error


@lru_cache(maxsize=4)
def load_network(text: str) -> OwnNetwork:
    """Return the network that a function gives; it is called once per process.

    Raises ConfigError: it cannot be called, or returns something else than a module, alone or with
    example inputs.
    """
    given = call_function(text)
    network, examples = given if isinstance(given, tuple) and len(given) == 2 else (given, ())
    tensors = (examples,) if isinstance(examples, torch.Tensor) else examples
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"--model {text}: it returned {_kind(given)}; it must return a torch nn.Module, or "
            "(module, example inputs)"
        )
    if not isinstance(tensors, (tuple, list)) or not all(
        isinstance(each, torch.Tensor) for each in tensors
    ):
        raise ConfigError(
            f"--model {text}: its example inputs are {_kind(examples)}; give a tensor, or a tuple "
            "of tensors in the order of forward's parameters"
        )
    network = network.cpu().eval().requires_grad_(False)
    inputs = _inputs(text, network, len(tensors))
    arrays = [each.detach().cpu().numpy() for each in tensors]
    return OwnNetwork(network, _folded(network), inputs, dict(zip(inputs, arrays, strict=False)))


def _kind(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return (
            f"a {type(value).__name__} of {', '.join(_kind(each) for each in value) or 'nothing'}"
        )
    return type(value).__name__


def _inputs(text: str, network: nn.Module, examples: int) -> tuple[str, ...]:
    """Names of forward's parameters: one per example, else all without a default."""
    names: list[str] = []
    needed = 0
    for parameter in inspect.signature(network.forward).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{i}" for i in range(max(examples - len(names), 0))]
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
            needed += parameter.default is parameter.empty
    count = examples or needed
    if not 0 < count <= len(names):
        raise ConfigError(
            f"--model {text}: forward takes {len(names)} inputs, {count} are given; let the "
            "function return (module, example inputs)"
        )
    return tuple(names[:count])


def _folded(network: nn.Module) -> nn.Module:
    """A copy with BatchNorm folded; the network itself if it is not all float32, or if its code
    depends on what it is fed, so that nobody can tell which layers follow which."""
    tensors = (*network.parameters(), *network.buffers())
    if any(each.is_floating_point() and each.dtype != torch.float32 for each in tensors):
        return network
    try:
        return fold(network).network
    except Exception:  # whatever tracing runs into in code that is not ours
        return network


def _feed(
    text: str,
    own: OwnNetwork,
    batch: int | None,
    shapes: Mapping[str, Shape],
    values: InputValues,
) -> dict[str, Array]:
    given = {"--shape": shapes, "--range": values.ranges, "--input": values.samples}
    require_inputs(text, given, own.inputs)
    feed = {}
    for position, name in enumerate(own.inputs):
        sample = load_sample(values.samples[name], name) if name in values.samples else None
        example = own.examples.get(name) if sample is None else sample
        dtype = np.dtype(np.float32) if example is None else example.dtype
        shape = _shape(text, name, example, batch, shapes.get(name))
        if sample is None and name not in values.ranges and example is not None:
            rows = _rows(example, shape)
            if rows is not None:
                feed[name] = rows
                continue
        try:
            feed[name] = input_value(text, name, shape, dtype, position, values)
        except TypeError:
            raise ConfigError(f"{text}: input {name!r} holds {dtype}, no numbers") from None
    return feed


def _shape(
    text: str, name: str, example: Array | None, batch: int | None, asked: Shape | None
) -> Shape:
    shape = asked if asked is not None else None if example is None else example.shape
    if shape is None:
        raise ConfigError(
            f"{text}: nothing says the shape of input {name!r}; give it with "
            f"--shape {name}=1,3,224,224, or let the function return (module, example inputs)"
        )
    if batch is None or not shape:
        return shape
    if asked is not None and asked[0] not in (1, batch):
        raise ConfigError(
            f"{text}: --shape asks for {asked[0]} inputs per run, --batch for {batch}"
        )
    return (batch, *shape[1:])


def _rows(example: Array, shape: Shape) -> Array | None:
    """As many rows of an example as are asked for, repeated if need be; ``None`` if those have
    another shape."""
    if example.shape == shape:
        return np.ascontiguousarray(example)
    if example.ndim != len(shape) or example.shape[1:] != shape[1:] or not example.shape[0]:
        return None
    return np.ascontiguousarray(example[np.arange(shape[0]) % example.shape[0]])


def _run(text: str, own: OwnNetwork, feed: Mapping[str, Array]) -> tuple[dict[str, Array], int]:
    """What torch makes of the inputs with nothing folded, and its multiply-adds.

    Raises ConfigError: it cannot be run with them, or gives something else than tensors.
    """
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            outputs = own.network(*(torch.from_numpy(value) for value in feed.values()))
    except Exception as error:  # whatever code that is not ours raises
        fed = ", ".join(f"{name} {value.dtype} {value.shape}" for name, value in feed.items())
        hint = "" if own.examples else " (without example inputs they are float32)"
        raise ConfigError(f"{text}: cannot be run with {fed}{hint}: {first_line(error)}") from None
    leaves = tree_leaves(outputs)
    if not leaves or not all(isinstance(each, torch.Tensor) for each in leaves):
        raise ConfigError(f"{text}: gives {_kind(outputs)}; only tensors can be exported")
    arrays = [each.detach().numpy() for each in leaves]
    named = dict(zip(_output_names(len(arrays)), arrays, strict=True))
    return named, counter.get_total_flops() // 2


@dataclass(frozen=True, slots=True)
class _Signature:
    """What a graph is traced for: name, shape and type of each input, and how many outputs."""

    inputs: tuple[tuple[str, Shape, np.dtype[np.generic]], ...]
    outputs: int


@lru_cache(maxsize=16)
def _traced(own: OwnNetwork, signature: _Signature) -> ModelProto:
    tensors = [torch.from_numpy(np.zeros(shape, dtype)) for _, shape, dtype in signature.inputs]
    names = [name for name, _, _ in signature.inputs]
    return graph.trace(own.folded, tensors, names, _output_names(signature.outputs))


def _output_names(count: int) -> list[str]:
    return [graph.OUTPUT] if count == 1 else [f"{graph.OUTPUT}{i}" for i in range(count)]


def _tensors(own: OwnNetwork, traced: ModelProto) -> dict[str, Array]:
    """The weights that are inputs of the graph, by name."""
    wanted = {value.name for value in traced.graph.input}
    named = (*own.folded.named_parameters(), *own.folded.named_buffers())
    return {n: value.detach().contiguous().numpy() for n, value in named if n in wanted}


def _key(
    own: OwnNetwork,
    traced: ModelProto,
    feed: Mapping[str, Array],
    target: GraphLimits,
    rounding: Rounding | None,
) -> dict[str, Any]:
    digest = hashlib.sha256(traced.SerializeToString(deterministic=True))
    for name, value in (*sorted(_tensors(own, traced).items()), *feed.items()):
        digest.update(f"{name} {value.dtype} {value.shape}\0".encode() + value.tobytes())
    return {
        "torch": digest.hexdigest(),
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
    parameters = sum(each.numel() for each in own.network.parameters())
    return Artifact(
        graph=path,
        weights=weights,
        reference=store.write(f"{stem}-b{batch}", ".npz", reference_bytes(feed, outputs)),
        facts=artifact_facts((path, weights), target, parameters, macs // batch),
        batch=batch,
        classifier=False,
        fresh=True,
    )


def _batch(feed: Mapping[str, Array]) -> int:
    """Inputs per run: the first dimension, if all inputs have at least two and agree in it."""
    firsts = {value.shape[0] if value.ndim > 1 else 1 for value in feed.values()}
    return firsts.pop() if len(firsts) == 1 else 1

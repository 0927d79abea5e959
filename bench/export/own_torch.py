"""A user's own torch network: as a function gives it, what it is fed, and what it makes of that.

Needs torch.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import ConfigError
from bench.export.functions import call_function, place
from bench.export.graph import OUTPUT
from bench.export.inputs import (
    InputValues,
    input_value,
    load_sample,
    require_inputs,
    too_far,
)
from bench.export.reference import Array, first_line
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


@lru_cache(maxsize=4)
def load_network(text: str) -> OwnNetwork:
    """Return the network that a function gives; it is called once per process.

    What its code prints goes to stderr. Raises ConfigError: it cannot be called, or returns
    something else than a module, alone or with example inputs.
    """
    with redirect_stdout(sys.stderr):
        return _checked(text, call_function(text))


def _checked(text: str, given: object) -> OwnNetwork:
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
    arrays = [_array(text, "an example input", each) for each in tensors]
    return OwnNetwork(network, _folded(network), inputs, dict(zip(inputs, arrays, strict=False)))


def feed_of(
    text: str,
    own: OwnNetwork,
    batch: int | None,
    shapes: Mapping[str, Shape],
    values: InputValues,
) -> dict[str, Array]:
    """Return what each input is fed, by name.

    Arguments as of :func:`bench.export.own_artifact.export_function`. Raises ConfigError.
    """
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
        feed[name] = input_value(text, name, shape, dtype, position, values)
    return feed


def run(
    text: str, own: OwnNetwork, feed: Mapping[str, Array], values: InputValues
) -> tuple[dict[str, Array], int]:
    """Return what torch makes of the inputs with nothing folded, and its multiply-adds.

    Raises ConfigError: it cannot be run with them, or gives something else than tensors of numbers.
    """
    counter = FlopCounterMode(display=False)
    # Copies: a network may work in place, and the feed is what everybody else is fed.
    tensors = [torch.from_numpy(value.copy()) for value in feed.values()]
    try:
        with torch.no_grad(), counter, redirect_stdout(sys.stderr):
            outputs = own.network(*tensors)
    except Exception as error:  # whatever code that is not ours raises
        fed = ", ".join(f"{name} {value.dtype} {value.shape}" for name, value in feed.items())
        hint = "" if own.examples else " (without example inputs they are float32)"
        if isinstance(error, IndexError) and (values.ranges or values.samples):
            hint = f"; {too_far(values)}"
        raise ConfigError(
            f"{text}: cannot be run with {fed}: {first_line(error)}{place(error)}{hint}"
        ) from None
    leaves = tree_leaves(outputs)
    if not leaves or not all(isinstance(each, torch.Tensor) for each in leaves):
        raise ConfigError(f"{text}: gives {_kind(outputs)}; only tensors can be exported")
    names = [OUTPUT] if len(leaves) == 1 else [f"{OUTPUT}{i}" for i in range(len(leaves))]
    arrays = [_array(text, "an output", each) for each in leaves]
    return dict(zip(names, arrays, strict=True)), counter.get_total_flops() // 2


def _kind(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return (
            f"a {type(value).__name__} of {', '.join(_kind(each) for each in value) or 'nothing'}"
        )
    return type(value).__name__


def _array(text: str, what: str, tensor: torch.Tensor) -> Array:
    """A tensor's numbers. Raises ConfigError for kinds that numpy, or ONNX Runtime, has not."""
    kind = str(tensor.dtype).removeprefix("torch.")
    try:
        array: Array = tensor.detach().cpu().numpy()
        if array.dtype.kind in "fiub":
            return array
    except (TypeError, RuntimeError):  # numpy has no such numbers, or no such layout of them
        kind = kind if tensor.layout is torch.strided else str(tensor.layout).replace("torch.", "")
    raise ConfigError(
        f"--model {text}: {what} is of type {kind}; only dense tensors of floats (16 bits as "
        "float16), integers and truth values can be measured"
    )


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

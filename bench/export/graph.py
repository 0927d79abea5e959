"""A torch network as an ONNX graph without its weights.

The weights are left out on purpose: they become graph inputs before anything is optimised, so
that no optimiser can fold them (and with them the generation of weights from templates), and
initializers that refer to the shared weights file at the very end.
"""

from __future__ import annotations

import logging
import sys
import textwrap
import threading
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

import torch
from onnx import ModelProto, TensorProto, ValueInfoProto
from torch import nn

from bench.export.functions import place
from bench.export.older_opset import rewrite_for
from bench.export.reference import first_line
from bench.export.weights import refer
from bench.records.recordings import GraphLimits

EXPORTER_OPSET = 18
"""What torch's exporter writes; it cannot go lower."""

INPUT, OUTPUT = "input", "output"

_MOST_LETTERS = 300
"""Of what torch says in one line."""


class NoGraph(Exception):
    """torch cannot make a graph of a network; the message is its reason, in one line."""


def trace(
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    input_names: Sequence[str] = (INPUT,),
    output_names: Sequence[str] = (OUTPUT,),
) -> ModelProto:
    """Export a network at opset 18, with the shapes of these inputs, which have the batch.

    Its weights (what is float32 of parameters and buffers) are inputs of the graph, named as in the
    state dict. Raises NoGraph.
    """
    with _quiet():
        try:
            program = torch.onnx.export(
                network,
                tuple(inputs),
                input_names=list(input_names),
                output_names=list(output_names),
                opset_version=EXPORTER_OPSET,
                dynamo=True,
                optimize=False,
                verbose=False,
            )
        except Exception as error:  # the exporter raises errors of many libraries
            raise NoGraph(_cause(error)) from error
        assert program is not None
        graph = program.model.graph
        for name, value in (*network.named_parameters(), *network.named_buffers()):
            if name in graph.initializers and value.dtype == torch.float32:
                weight = graph.initializers.pop(name)
                weight.const_value = None
                graph.inputs.append(weight)
        program.optimize()
        model = program.model_proto
    _strip(model)
    return model


def convert(model: ModelProto, target: GraphLimits) -> ModelProto:
    """Return a traced graph at the target's opset and IR version.

    Raises ValueError when an operator has no form that old.
    """
    older = ModelProto()
    older.CopyFrom(model)
    rewrite_for(older, target.opset)
    older.ir_version = target.ir_version
    return older


def attach_weights(
    model: ModelProto,
    weights_file: str,
    places: dict[str, tuple[int, int]],
    overridable: Collection[str],
) -> ModelProto:
    """Return the graph with its weights as initializers in the weights file.

    ``places``: (offset, length) by name; ``overridable``: the weights that stay inputs of the
    graph as well, which keeps ONNX Runtime from folding what is computed from them.
    """
    attached = ModelProto()
    attached.CopyFrom(model)
    graph = attached.graph
    inputs = list(graph.input)
    del graph.input[:]
    for value in inputs:
        if value.name in places:
            graph.initializer.append(_external(value, weights_file, places[value.name]))
        if value.name not in places or value.name in overridable:
            graph.input.append(value)
    return attached


def _external(value: ValueInfoProto, weights_file: str, place: tuple[int, int]) -> TensorProto:
    shape = value.type.tensor_type.shape
    tensor = TensorProto(
        name=value.name,
        data_type=value.type.tensor_type.elem_type,
        dims=[dim.dim_value for dim in shape.dim],
    )
    refer(tensor, weights_file, place)
    return tensor


def _strip(model: ModelProto) -> None:
    """Remove what differs between machines or that nobody reads: traces, notes, inner shapes."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]


def _cause(error: BaseException) -> str:
    """What the exporter ran into first, and where in the user's code."""
    while error.__cause__ is not None:
        error = error.__cause__
    words = textwrap.shorten(first_line(error), _MOST_LETTERS, placeholder=" …")
    return f"{type(error).__name__}: {words}{place(error)}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about itself off the terminal, logged or printed, and what the
    network's own code prints once more."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        with (
            redirect_stdout(_Others(sys.stdout)),
            redirect_stderr(_Others(sys.stderr)),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class _Others:
    """Passes on what other threads write: while one exports, another may have something to say."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._silent = threading.get_ident()

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._silent else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

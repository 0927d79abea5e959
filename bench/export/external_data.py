"""Weights of an ONNX file that lie in files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnx import GraphProto, ModelProto, TensorProto, external_data_helper

from bench.errors import ConfigError
from bench.export.cache import ArtifactCache
from bench.export.reference import first_line
from bench.export.weights import pack, refer


def repack(path: Path, model: ModelProto, stem: str, store: ArtifactCache) -> Path | None:
    """Move all external data into one file of the store and return it; None when there is none.

    Raises ConfigError: a file is shorter than the model says.
    """
    external = [t for t in _tensors(model) if external_data_helper.uses_external_data(t)]
    if not external:
        return None
    try:
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"model {path}: its weights file is too short or damaged: {first_line(error)}"
        ) from error
    data, places = pack((str(i), tensor.raw_data) for i, tensor in enumerate(external))
    weights = store.write(stem, ".weights", data)
    for i, tensor in enumerate(external):
        refer(tensor, weights.name, places[str(i)])
    return weights


def require_files(path: Path, model: ModelProto) -> None:
    """Raise ConfigError if one of the files is missing."""
    for location in locations(model):
        if not (path.parent / location).is_file():
            raise ConfigError(
                f"model {path}: its weights file {location!r} is missing; "
                "it must lie beside the model"
            )


def locations(model: ModelProto) -> list[str]:
    """Names of the external files, sorted."""
    return sorted(
        {
            entry.value
            for tensor in _tensors(model)
            if external_data_helper.uses_external_data(tensor)
            for entry in tensor.external_data
            if entry.key == "location"
        }
    )


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every stored tensor: initializers and constants, in subgraphs and functions too."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _graph_tensors(GraphProto(node=function.node))


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(inner)

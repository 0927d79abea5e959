"""Takes in a user's own ONNX file: checked, its shapes fixed, its external data carried along."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto

from bench.errors import ConfigError, ExportError, UnsupportedCase
from bench.export.cache import ArtifactCache, toolchain
from bench.export.external_data import locations, repack, require_files
from bench.export.inputs import (
    NOTHING_SAID,
    InputValues,
    input_value,
    load_sample,
    require_inputs,
    too_far,
)
from bench.export.reference import Array, first_line, reference_bytes, run_onnx
from bench.export.shapes import declared_sizes, fix_shapes
from bench.export.target import check_limits
from bench.records.artifact import ArtifactFacts
from bench.records.recordings import Artifact, GraphLimits


def import_onnx(
    path: Path,
    batch: int | None,
    shapes: Mapping[str, tuple[int, ...]],
    limits: GraphLimits,
    cache: Path,
    on_miss: Callable[[], None] = lambda: None,
    values: InputValues = NOTHING_SAID,
) -> Artifact:
    """Return the artifact of a user's ONNX file; needs no torch.

    ``batch``: the number of inputs per run that was asked for, None when it was not. It fills a
    dynamic first dimension and must agree with a fixed one. ``shapes``: full shapes by input
    name, for inputs with other dynamic dimensions. ``values``: what is said of the values of
    inputs; a sample settles the shape of its input too. The file is neither optimised nor
    converted. Its reference outputs come from ONNX Runtime on the host with all optimisations off.
    ``on_miss`` is called before that, if the cache does not hold the artifact.

    Raises ConfigError when the file is missing or damaged, its shapes are not settled, or what is
    said of its inputs does not fit them;
    UnsupportedCase when it is newer than the board reads or takes inputs other than numbers;
    ExportError when ONNX Runtime on the host cannot run it.
    """
    model, content_hash = _read(path)
    check_limits(path.name, _opset(model), model.ir_version, limits)
    if not limits.computed_weights:
        _check_convolutions(path.name, model)
    key: dict[str, Any] = {
        "onnx": content_hash,
        "name": path.stem,
        "batch": batch,
        "shapes": {name: list(shape) for name, shape in sorted(shapes.items())},
        **values.key(),
        "toolchain": toolchain(),
    }
    store = ArtifactCache(cache)
    found = store.find(key)
    if found is not None:
        return found
    on_miss()
    return store.add(key, _write(path, model, batch, shapes, values, store))


def input_names(path: Path) -> list[str]:
    """Return the names of the inputs of an ONNX file.

    Raises ConfigError when the file is damaged.
    """
    model, _ = _parse(path)
    return [value.name for value in _inputs(model)]


def external_files(path: Path) -> list[str]:
    """Return the names of the files beside an ONNX file that hold its weights, sorted.

    Raises ConfigError when the file is damaged, or one of them is missing.
    """
    model, _ = _parse(path)
    return locations(model)


def _read(path: Path) -> tuple[ModelProto, str]:
    """Load and check a file with its external data; returns the hash of all its bytes too."""
    model, content = _parse(path)
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:  # the checker's and shape inference's errors share no base
        raise ConfigError(
            f"model {path}: not a valid ONNX model: {first_line(error)}", detail=str(error)
        ) from error
    digest = hashlib.sha256(content)
    for location in locations(model):
        digest.update((path.parent / location).read_bytes())
    return model, digest.hexdigest()


def _parse(path: Path) -> tuple[ModelProto, bytes]:
    """Read a file, whose external files must be there; returns its bytes too."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"model {path}: {error.strerror or error}") from error
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, of a package without types
        raise ConfigError(
            f"model {path}: not an ONNX file, or damaged ({first_line(error)})"
        ) from error
    if not model.graph.node:
        raise ConfigError(f"model {path}: not an ONNX file (it holds no graph)")
    require_files(path, model)
    return model, content


def _check_convolutions(file: str, model: ModelProto) -> None:
    """Raise UnsupportedCase for one whose weight is computed, unless that only dequantises it."""
    stored = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Constant", "DequantizeLinear"):
            stored.update(node.output)
        elif node.op_type in ("Conv", "ConvTranspose") and node.input[1] not in stored:
            name = str(node.name or node.output[0])
            raise UnsupportedCase(
                f"{file}: the weight of convolution {name!r} is computed in the graph, TensorRT "
                "before 8.5 takes stored ones only; fold the graph's constants, or use JetPack 5.1 "
                "or newer"
            )


def _write(
    path: Path,
    model: ModelProto,
    batch: int | None,
    shapes: Mapping[str, tuple[int, ...]],
    values: InputValues,
    store: ArtifactCache,
) -> Artifact:
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)[:80]
    inputs = _inputs(model)
    require_inputs(
        path.name,
        {"--range": values.ranges, "--input": values.samples},
        [value.name for value in inputs],
    )
    fix_shapes(
        path.name, inputs, batch, {**_sample_shapes(path.name, inputs, batch, values), **shapes}
    )
    references = {
        value.name: _reference_input(path.name, value, i, values) for i, value in enumerate(inputs)
    }
    weights = repack(path, model, stem, store)
    graph = store.write(stem, ".onnx", model.SerializeToString(deterministic=True))
    outputs = _run(graph, references, values)
    graph_content = graph.read_bytes()
    weights_content = weights.read_bytes() if weights else b""
    return Artifact(
        graph=graph,
        weights=weights,
        reference=store.write(stem, ".npz", reference_bytes(references, outputs)),
        facts=ArtifactFacts(
            graph_sha256=hashlib.sha256(graph_content).hexdigest(),
            weights_sha256=hashlib.sha256(weights_content).hexdigest() if weights else None,
            file_bytes=len(graph_content) + len(weights_content),
            opset=_opset(model),
            ir_version=model.ir_version,
        ),
        batch=_batch(inputs),
        classifier=False,
        fresh=True,
    )


def _run(graph: Path, references: dict[str, Array], values: InputValues) -> dict[str, Array]:
    try:
        return run_onnx(graph, references, optimized=False)
    except ExportError as error:
        if "out of data bounds" in str(error) and (values.ranges or values.samples):
            raise ConfigError(f"{error}; {too_far(values)}") from None
        raise


def _batch(inputs: list[ValueInfoProto]) -> int:
    """Inputs per run: the first dimension, if all inputs have at least two and agree in it."""
    shapes = [value.type.tensor_type.shape.dim for value in inputs]
    firsts = {shape[0].dim_value for shape in shapes if len(shape) > 1}
    return firsts.pop() if len(firsts) == 1 and all(len(s) > 1 for s in shapes) else 1


def _opset(model: ModelProto) -> int:
    return max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=1)


def _inputs(model: ModelProto) -> list[ValueInfoProto]:
    """The inputs that a run must be given: those without an initializer."""
    held = {tensor.name for tensor in model.graph.initializer}
    held |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    return [value for value in model.graph.input if value.name not in held]


def _sample_shapes(
    file: str, inputs: list[ValueInfoProto], batch: int | None, values: InputValues
) -> dict[str, tuple[int, ...]]:
    """The shapes of samples, each of which its input can take."""
    shapes = {}
    for value in inputs:
        if value.name not in values.samples:
            continue
        path = values.samples[value.name]
        shape = load_sample(path, value.name).shape
        dims = declared_sizes(value)
        if dims and batch is not None and isinstance(dims[0], str):
            dims[0] = batch
        sizes = [
            dim if isinstance(dim, int) else size for dim, size in zip(dims, shape, strict=False)
        ]
        if len(dims) != len(shape) or sizes != list(shape):
            raise ConfigError(
                f"--input {value.name}={path}: has shape ({','.join(map(str, shape))}), input "
                f"{value.name!r} of {file} takes ({','.join(map(str, dims))})"
            )
        shapes[value.name] = shape
    return shapes


def _reference_input(file: str, value: ValueInfoProto, position: int, values: InputValues) -> Array:
    tensor = value.type.tensor_type
    shape = [dim.dim_value for dim in tensor.shape.dim]
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        if dtype.isbuiltin != 1:
            raise TypeError(dtype)
        return input_value(file, value.name, shape, dtype, position, values)
    except (TypeError, KeyError) as error:
        kind = (
            TensorProto.DataType.Name(tensor.elem_type).lower()
            if value.type.HasField("tensor_type")
            else value.type.WhichOneof("value")
        )
        raise UnsupportedCase(
            f"{file}: input {value.name!r} is of type {kind}; only float, integer and bool "
            "tensors can be measured"
        ) from error

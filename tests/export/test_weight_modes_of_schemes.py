"""What ONNX Runtime makes of the graphs of the schemes other than ``basis``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from graph_values import holds
from onnx import ModelProto, numpy_helper

from bench.export.cases import export_case
from bench.records.recordings import Artifact, GraphLimits
from models import MODELS, Scheme

SMALL = "shufflenet_v2_x0_5_cifar100"
OLD = GraphLimits(opset=13, ir_version=7)
GENERATED = ("soft:2/3/2", "blocks:3/8/20", "blocks-one:20", "basis-shared-plain:5/10/20")
CASES = [(text, mode) for text in GENERATED for mode in ("load", "runtime")]
CASES += [("reuse-2", None)]


def session(graph: Path, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


@pytest.fixture
def case(cache: Path) -> Callable[[str, str | None], Artifact]:
    return lambda text, weights: export_case(SMALL, text, weights, 1, OLD, cache)


@pytest.fixture
def optimized(tmp_path: Path) -> Callable[[Artifact], ModelProto]:
    """The graph that ONNX Runtime executes, with the values of its initializers."""

    def load(artifact: Artifact) -> ModelProto:
        path = tmp_path / "optimized.onnx"
        session(artifact.graph, path)
        (tmp_path / artifact.weights.name).write_bytes(artifact.weights.read_bytes())
        return onnx.load(path)

    return load


def stored(artifact: Artifact) -> dict[str, np.ndarray]:
    graph = onnx.load(artifact.graph).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def weights_of(artifact: Artifact, text: str) -> Iterator[np.ndarray]:
    """The generated weights, by numpy from the stored tensors and the definition of the scheme."""
    tensors = {name: v for name, v in stored(artifact).items() if name.startswith("banks.")}
    for name in [name for name in tensors if name.endswith((".coefficients", ".scales"))]:
        prefix, tensor = name.rsplit(".", 1)
        bank = ".".join(prefix.split(".")[:2])
        templates = tensors[f"{bank}.templates"]
        scales = tensors.get(f"{prefix}.scales")
        kind = text.split(":")[0]
        if kind.startswith("basis"):
            yield from tensors[name] @ templates
        elif kind == "soft" and tensor == "coefficients":
            for row, scale in zip(tensors[name], scales, strict=True):
                yield scale * (row @ templates).reshape(len(scale), -1)
        elif kind.startswith("blocks") and tensor == "coefficients":
            layers, outputs, _ = scales.shape
            side = int(templates.shape[1] ** 0.5)
            per_row = outputs // side
            blocks = (tensors[name] @ templates).reshape(layers, per_row, per_row, side, side)
            for layer in range(layers):
                yield scales[layer] * np.block([list(row) for row in blocks[layer]])
        elif kind.startswith("reuse"):
            yield from scales * templates


def layers(text: str) -> int:
    return 26 if text == "reuse-2" else 35


def is_generated(model: ModelProto) -> list[bool]:
    """For each convolution, whether its weight is computed in the graph."""
    constants = {tensor.name for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if "Conv" in node.op_type]
    return [node.input[1] not in constants for node in convolutions]


def check_outputs(artifact: Artifact) -> None:
    """One input, no BatchNorm, and the outputs that torch gives."""
    onnx.checker.check_model(artifact.graph, full_check=True)
    graph = onnx.load(artifact.graph, load_external_data=False).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    with np.load(artifact.reference) as arrays:
        x, expected = arrays["in0"], arrays["out0"]
    runtime = session(artifact.graph)
    assert [value.name for value in runtime.get_inputs()] == ["input"]
    (scores,) = runtime.run(None, {"input": x})
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize(("text", "weights"), CASES)
def test_outputs_are_torchs_and_no_batch_norm_is_left(case, text, weights) -> None:
    artifact = case(text, weights)
    check_outputs(artifact)
    assert artifact.facts.parameters == MODELS[SMALL].total(Scheme.parse(text))


@pytest.mark.parametrize("text", [*GENERATED, "reuse-2"])
def test_load_folds_the_generation_and_holds_the_generated_values(case, optimized, text) -> None:
    artifact = case(text, None if text == "reuse-2" else "load")
    model = optimized(artifact)
    assert not any(is_generated(model))
    assert not {"MatMul", "Expand"} & {node.op_type for node in model.graph.node}
    values = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    generated = list(weights_of(artifact, text))
    assert len(generated) == layers(text)
    assert all(holds(values, weight) for weight in generated[::4])
    assert not any(tensor.name.startswith("banks.") for tensor in model.graph.initializer)


@pytest.mark.parametrize("text", GENERATED)
def test_runtime_keeps_the_generation_and_no_generated_value(case, optimized, text) -> None:
    artifact = case(text, "runtime")
    model = optimized(artifact)
    assert sum(is_generated(model)) == layers(text)
    assert sum(node.op_type == "MatMul" for node in model.graph.node) == 3
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    banks = {name: v for name, v in stored(artifact).items() if name.startswith("banks.")}
    for name, value in banks.items():
        if "constant" not in name:
            np.testing.assert_array_equal(kept[name], value)
    values = list(kept.values())
    assert not any(holds(values, weight) for weight in weights_of(artifact, text))


def test_factored_without_own_rows_never_generates_a_weight(case, optimized) -> None:
    artifact = case("basis-shared-plain:5/10/20", "factored")
    check_outputs(artifact)
    model = optimized(artifact)
    assert not any(is_generated(model))
    assert "MatMul" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("text", [*GENERATED, "reuse-2"])
def test_the_weights_file_holds_templates_once_and_no_generated_weight(case, text) -> None:
    artifact = case(text, None if text == "reuse-2" else "load")
    dense = case("dense", None)
    saved = MODELS[SMALL].parameters - MODELS[SMALL].total(Scheme.parse(text))
    assert artifact.weights.stat().st_size < dense.weights.stat().st_size - 4 * saved * 0.95
    tensors = list(stored(artifact).values())
    assert not any(holds(tensors, weight) for weight in weights_of(artifact, text))


def test_load_and_runtime_share_one_weights_file(case) -> None:
    for text in GENERATED:
        assert case(text, "load").weights == case(text, "runtime").weights

"""What ONNX Runtime makes of the graphs of each weight mode."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from graph_values import holds
from onnx import ModelProto, numpy_helper

from bench.records.recordings import Artifact, GraphLimits
from models import MODELS, Scheme

SMALL = "shufflenet_v2_x0_5_cifar100"
SHARED = "basis:5/10/20"

PROJECT = Path(__file__).parents[2]
MODES = ("load", "runtime", "factored")
LAYERS = 35
"""Layers of the small network that draw on templates: 9 + 17 + 9."""
STAGES = 3


LOAD_AS_THE_WORKER_DOES = """
import sys
from bench.agent.runtimes import onnxruntime
options = {"threads": 1, "optimized_model_path": sys.argv[2]}
onnxruntime.open_model(onnxruntime.import_engine(), sys.argv[1], options)
"""


def session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


@pytest.fixture
def optimized(python: Path, tmp_path: Path) -> Callable[[Artifact], ModelProto]:
    """The graph that a worker's ONNX Runtime really executes, on each Python of the agent."""

    def load(artifact: Artifact) -> ModelProto:
        path = tmp_path / "optimized.onnx"
        subprocess.run(
            [python, "-c", LOAD_AS_THE_WORKER_DOES, artifact.graph, path],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            check=True,
        )
        shutil.copy(artifact.weights, tmp_path)  # what was not folded still lies there
        return onnx.load(path)

    return load


def stored(artifact: Artifact) -> dict[str, np.ndarray]:
    """Every tensor of the graph and its weights file, by name."""
    graph = onnx.load(artifact.graph).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def generated_weights(artifact: Artifact) -> list[np.ndarray]:
    """W_l = C_l · [B_s ; B_u,l] of every layer, by numpy from the stored tensors."""
    tensors = stored(artifact)
    weights = []
    for stage in ("stage2", "stage3", "stage4"):
        bank = tensors[f"banks.{stage}.templates"]
        stacked = zip(
            tensors[f"banks.{stage}.coefficients"], tensors[f"banks.{stage}.own"], strict=True
        )
        weights += [coefficients @ np.concatenate([bank, own]) for coefficients, own in stacked]
    assert len(weights) == LAYERS
    return weights


def test_load_folds_the_generation_and_holds_the_generated_values(export, optimized) -> None:
    artifact = export("load")
    model = optimized(artifact)
    kinds = [node.op_type for node in model.graph.node]
    assert "MatMul" not in kinds
    initializers = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert all(holds(initializers, weight) for weight in generated_weights(artifact))
    constants = {tensor.name for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if "Conv" in node.op_type]
    assert all(node.input[1] in constants for node in convolutions)
    assert not any(name.endswith((".coefficients", ".own", ".templates")) for name in constants)


def test_runtime_keeps_every_generating_node_and_no_generated_value(export, optimized) -> None:
    artifact = export("runtime")
    model = optimized(artifact)
    producers = {name: node for node in model.graph.node for name in node.output}
    matmuls = [node for node in model.graph.node if node.op_type == "MatMul"]
    assert len(matmuls) == STAGES  # one product generates all weights of a stage
    for node in matmuls:
        assert node.input[0].endswith(".coefficients")
        joined = producers[node.input[1]]
        assert joined.op_type == "Concat"
        assert joined.input[1].endswith(".own")
        repeated = producers[joined.input[0]]
        assert repeated.op_type == "Expand"
        assert repeated.input[0].endswith(".templates")
    initializers = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert not any(holds(initializers, weight) for weight in generated_weights(artifact))
    generated = sum(
        "Conv" in node.op_type and node.input[1] in producers for node in model.graph.node
    )
    assert generated == LAYERS


def test_runtime_needs_no_more_inputs_than_the_reference_gives(export) -> None:
    artifact = export("runtime")
    with np.load(artifact.reference) as arrays:
        names = json.loads(str(arrays["names"]))
    assert [value.name for value in session(artifact.graph).get_inputs()] == names["inputs"]
    assert names == {"inputs": ["input"], "outputs": ["output"]}


def test_factored_never_generates_a_weight(export, optimized) -> None:
    model = optimized(export("factored"))
    dense = optimized(export(None))
    assert "MatMul" not in {node.op_type for node in model.graph.node}

    def convolutions(graph: ModelProto) -> int:
        return sum("Conv" in node.op_type for node in graph.graph.node)

    assert convolutions(model) == convolutions(dense) + LAYERS


@pytest.mark.parametrize("weights", [None, *MODES])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_mode_gives_torchs_outputs(export, reference, weights, batch) -> None:
    artifact = export(weights, batch=batch)
    x, expected = reference(artifact)
    assert x.shape == (batch, 3, 32, 32)
    assert expected.shape == (batch, 100)
    (scores,) = session(artifact.graph).run(None, {"input": x})
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_all_modes_and_batches_share_one_weights_file_and_reference(export) -> None:
    artifacts = [export(mode, batch=batch) for mode in MODES for batch in (1, 3)]
    assert len({artifact.weights for artifact in artifacts}) == 1
    assert len({artifact.facts.weights_sha256 for artifact in artifacts}) == 1
    assert len({artifact.graph for artifact in artifacts}) == 6
    assert len({artifact.reference for artifact in artifacts}) == 2
    places = [places_of(artifact) for artifact in artifacts]
    assert places[0] == places[1] == places[2] == places[3]  # load and runtime
    assert len(places[0]) > 50
    # The factored graph takes each layer's part of what the others take as a whole.
    shared = places[0].keys() & places[4].keys()
    assert {f"banks.stage{i}.templates" for i in (2, 3, 4)} <= shared
    assert all(places[4][name] == places[0][name] for name in shared)
    tensors = stored(artifacts[0])
    for name, value in stored(artifacts[4]).items():
        if name.endswith(".coefficients"):
            stage = name.split(".")[0]
            assert any(np.array_equal(value, c) for c in tensors[f"banks.{stage}.coefficients"])


def test_the_weights_file_holds_templates_and_not_the_generated_weights(export) -> None:
    artifact, dense = export("load"), export(None)
    assert artifact.weights.stat().st_size < dense.weights.stat().st_size * 0.85
    tensors = list(stored(artifact).values())
    assert not any(holds(tensors, weight) for weight in generated_weights(artifact))
    assert {name for name in stored(artifact) if name.endswith(".templates")} == {
        f"banks.stage{i}.templates" for i in (2, 3, 4)
    }


def places_of(artifact: Artifact) -> dict[str, list[tuple[str, str]]]:
    """Where in the weights file a graph's tensors lie."""
    graph = onnx.load(artifact.graph, load_external_data=False).graph
    return {
        tensor.name: [(entry.key, entry.value) for entry in tensor.external_data]
        for tensor in graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    }


@pytest.mark.parametrize("weights", [None, *MODES])
def test_no_batch_norm_is_left(export, weights) -> None:
    graph = onnx.load(export(weights).graph, load_external_data=False).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}


@pytest.mark.parametrize("weights", [None, *MODES])
@pytest.mark.parametrize(
    ("limits", "opset", "ir_version"),
    [
        (GraphLimits(13, 7), 13, 7),
        (GraphLimits(15, 8), 15, 8),
        (GraphLimits(15, 7), 14, 7),
        (GraphLimits(23, 11), 17, 8),
    ],
)
def test_opset_and_ir_follow_the_board(
    export, reference, weights, limits, opset, ir_version
) -> None:
    artifact = export(weights, limits=limits)
    onnx.checker.check_model(artifact.graph, full_check=True)
    model = onnx.load(artifact.graph, load_external_data=False)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert model.ir_version == ir_version
    assert (artifact.facts.opset, artifact.facts.ir_version) == (opset, ir_version)
    x, expected = reference(artifact)
    (scores,) = session(artifact.graph).run(None, {"input": x})
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_facts_of_the_artifact(export) -> None:
    artifact = export("factored")
    assert artifact.facts.parameters == MODELS[SMALL].total(Scheme.parse(SHARED))
    assert artifact.facts.file_bytes == (
        artifact.graph.stat().st_size + artifact.weights.stat().st_size
    )
    assert artifact.facts.graph_sha256[:16] in artifact.graph.name
    assert artifact.facts.weights_sha256[:16] in artifact.weights.name
    assert artifact.classifier
    assert artifact.facts.macs < export(None).facts.macs < export("runtime").facts.macs
    assert str(Path.home()).encode() not in artifact.graph.read_bytes()

"""Engines that NVIDIA's own builder makes of exported graphs, and what is in them.

The builder is TensorRT for RTX. It builds here without a GPU; nothing is run.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_values import holds
from onnx import ModelProto, helper, numpy_helper

from bench.agent.tensorrt import build as on_board
from bench.errors import ConfigError, UnsupportedCase
from bench.export.cases import export_case
from bench.export.layer_weights import GENERATED, STORED, EngineValues, layer_weights
from bench.export.tensorrt_check import build, check_engines, require_builder
from bench.records.recordings import Artifact, GraphLimits
from bench.runtimes import graph_limits

SMALL = "shufflenet_v2_x0_5_cifar100"
LARGE = "shufflenet_v2_x2_0_cifar100"
"""Its weights outweigh the code that every engine carries."""
SHARED = "basis:5/10/20"
ORIN = "8.6"

# Versions: 8.2 is opset 13 and products, 8.5 opset 17 and computed weights of convolutions.
CASES = [
    ("dense", None, "8.2"),
    (SHARED, "factored", "8.2"),
    (SHARED, "factored", "8.5"),
    (SHARED, "load", "8.5"),
    (SHARED, "runtime", "8.2"),
    (SHARED, "runtime", "8.5"),
    ("reuse-2", None, "8.5"),
]
"""What `--check tensorrt` says is looked at for every mode and version. Every pair of network, kind
of scheme, mode and version is built in ``test_tensorrt_pairs.py``, all combinations by
``scripts/trt_grid``."""


def exported(cache: Path, model: str, scheme: str, weights: str | None, version: str) -> Artifact:
    return export_case(model, scheme, weights, 1, graph_limits("tensorrt", version), cache)


def engine(artifact: Artifact) -> bytes:
    """By the code that builds on a board."""
    options = on_board.builder_options("fp32", None, capability=f"SM{ORIN.replace('.', '')}")
    plan, _ = on_board.build(str(artifact.graph), options)
    return bytes(plan)


def test_the_choice_has_every_mode_with_every_version() -> None:
    done = {(weights, version) for _, weights, version in CASES}
    missing = set(product({None, "load", "runtime", "factored"}, ("8.2", "8.5"))) - done
    assert missing <= {("load", "8.2")}  # with no computed weight at all: the same as dense


@pytest.mark.parametrize(("scheme", "weights", "version"), CASES)
def test_what_is_told_of_an_engine(cache, scheme, weights, version) -> None:
    artifact = exported(cache, SMALL, scheme, weights, version)
    (check,) = check_engines(artifact, [ORIN])
    assert check.layers > 50
    assert check.engine_bytes > 1_000_000
    found = check.weights
    assert found is not None
    assert found.folded == found.constant
    assert found.found == 0
    assert found.stored > 0
    assert bool(found.generated) == (weights == "runtime")
    if version == "8.2":
        assert found.constant == 0
    elif weights == "factored" or scheme == "reuse-2":
        assert found.constant > 0


@pytest.mark.parametrize("version", ["8.2", "8.5"])
def test_runtime_weights_are_not_in_the_engine(cache, version) -> None:
    """By searching it for their bytes; ``load`` is the control in which the search finds them."""
    load, runtime = (
        layer_weights(artifact.graph, artifact.bound)
        for mode in ("load", "runtime")
        for artifact in [exported(cache, SMALL, SHARED, mode, version)]
    )
    generated = [weight for weight in runtime if weight.source == GENERATED]
    assert len(generated) == 35
    # The control searches for the same values, whichever way they come about.
    values_of_load = [weight.values for weight in load if weight.source == STORED]
    assert all(holds(values_of_load, weight.values) for weight in generated)
    folded = EngineValues(engine(exported(cache, SMALL, SHARED, "load", version)))
    kept = EngineValues(engine(exported(cache, SMALL, SHARED, "runtime", version)))
    stored_at_run_time = [weight for weight in runtime if weight.source == STORED]
    assert all(folded.share(weight.values) > 0.99 for weight in load)
    assert all(kept.share(weight.values) > 0.99 for weight in stored_at_run_time)
    assert max(kept.share(weight.values) for weight in generated) < 0.1


def test_the_engine_has_no_room_for_runtime_weights(cache) -> None:
    """By its size: it is smaller than the weights would be, had they been folded."""
    load, runtime = (exported(cache, LARGE, "basis:0.25", m, "8.5") for m in ("load", "runtime"))
    weights = layer_weights(runtime.graph, runtime.bound)
    folded_bytes = sum(weight.values.nbytes for weight in weights)
    generated_bytes = sum(w.values.nbytes for w in weights if w.source == GENERATED)
    assert generated_bytes > 13_000_000
    sizes = {artifact: len(engine(artifact)) for artifact in (load, runtime)}
    assert sizes[load] > folded_bytes
    assert sizes[runtime] < folded_bytes - generated_bytes / 4
    assert sizes[runtime] < sizes[load] - generated_bytes / 2


def model_of(nodes: list[onnx.NodeProto], values: dict[str, np.ndarray]) -> ModelProto:
    x = helper.make_tensor_value_info("x", 1, [1, 64, 8, 8])
    y = helper.make_tensor_value_info("y", 1, [1, 64, 8, 8])
    stored = [numpy_helper.from_array(value, name) for name, value in values.items()]
    made = helper.make_graph(nodes, "g", [x], [y], stored)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


@pytest.mark.parametrize(("operator", "folds"), [("MatMul", False), ("Mul", True)])
def test_why_load_is_not_left_to_the_builder(tmp_path, operator, folds) -> None:
    """It folds what is done value by value, but a product of constants stays in the engine."""
    draw = np.random.default_rng(1)
    a, b = (draw.standard_normal((64, 64)).astype(np.float32) for _ in "ab")
    nodes = [
        helper.make_node(operator, ["a", "b"], ["made"]),
        helper.make_node("Reshape", ["made", "shape"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["y"], name="layer"),
    ]
    shape = np.array([64, 64, 1, 1])
    path = tmp_path / "model.onnx"
    onnx.save(model_of(nodes, {"a": a, "b": b, "shape": shape}), path)
    values = EngineValues(build(path, require_builder([ORIN])[ORIN])[0])
    assert values.holds(a @ b if operator == "MatMul" else a * b) == folds
    assert values.holds(a) != folds


def test_templates_are_in_the_engine_once_per_layer_unless_they_are_bound(cache) -> None:
    """Why all tensors are bound, and not the coefficients alone."""
    artifact = exported(cache, SMALL, SHARED, "runtime", "8.5")
    plain = export_case(SMALL, SHARED, "runtime", 1, GraphLimits(17, 8), cache)
    model = onnx.load(plain.graph)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    row = numpy_helper.to_array(tensors["banks.stage4.templates"])[0].tobytes()
    coefficients = {name for name in tensors if name.endswith(".coefficients")}
    fed = {"input", *coefficients}
    inputs = [value for value in model.graph.input if value.name in fed]
    kept = [tensor for name, tensor in tensors.items() if name not in coefficients]
    del model.graph.input[:], model.graph.initializer[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(kept)
    alone = artifact.graph.parent / "coefficients-alone.onnx"
    onnx.save(model, alone)
    assert build(alone, require_builder([ORIN])[ORIN])[0].count(row) == 9
    assert engine(artifact).count(row) == 0


def test_a_node_that_the_parser_refuses_is_named(cache, tmp_path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="first"),
        helper.make_node("BitShift", ["i", "i"], ["s"], name="shifts", direction="LEFT"),
    ]
    nodes.insert(1, helper.make_node("Cast", ["r"], ["i"], name="casts", to=12))
    nodes.append(helper.make_node("Cast", ["s"], ["y"], name="back", to=1))
    path = tmp_path / "refused.onnx"
    onnx.save(model_of(nodes, {}), path)
    with pytest.raises(UnsupportedCase) as caught:
        build(path, require_builder([ORIN])[ORIN])
    text = str(caught.value)
    assert text.startswith("refused.onnx: TensorRT's parser refuses node '")
    assert "\n" not in text
    assert "casts" in text or "shifts" in text
    assert caught.value.detail


def test_an_unknown_compute_capability_lists_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"no compute capability '8\.7'; did you mean .*'8\.6'"):
        require_builder(["8.7"])

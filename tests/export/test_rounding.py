"""Graphs that round by themselves, and what NVIDIA's builder makes of them.

That they give the outputs of the network, within what rounding does, each export checks itself.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, shape_inference

from bench.agent.tensorrt import build as on_board
from bench.agent.tensorrt.network import Parsed
from bench.errors import UnsupportedCase
from bench.export.cases import export_case
from bench.export.target import Rounding
from bench.plan.engine_options import rounding
from bench.records.case import Case
from bench.records.recordings import Artifact
from bench.runtimes import graph_limits

SMALL = "shufflenet_v2_x0_5_cifar100"
LARGE = "shufflenet_v2_x2_0_cifar100"
SHARED = "basis:5/10/20"
STRONG = "11.0"


def exported(
    cache: Path, model: str, scheme: str, weights: str | None, rounds: Rounding | None
) -> Artifact:
    limits = graph_limits("tensorrt", STRONG)
    return export_case(model, scheme, weights, 1, limits, cache, rounding=rounds)


def engine(artifact: Artifact, precision: str) -> bytes:
    """By the code that builds on a board, which refuses a graph without that precision."""
    options = on_board.builder_options(precision, None, capability="SM86")
    return bytes(on_board.build(str(artifact.graph), options)[0])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(2).standard_normal((5, 3, 32, 32)).astype(np.float32))
    return path


@pytest.mark.parametrize("weights", ["load", "runtime", "factored"])
def test_all_layers_of_a_half_graph_compute_in_half(cache, weights) -> None:
    artifact = exported(cache, SMALL, SHARED, weights, Rounding("fp16"))
    model = shape_inference.infer_shapes(onnx.load(artifact.graph), strict_mode=True)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert len(layers) > 50
    assert {kinds[node.output[0]] for node in layers} == {TensorProto.FLOAT16}
    outside = [*model.graph.input, *model.graph.output]
    fed = [value for value in outside if value.name in ("input", "output")]
    assert {value.type.tensor_type.elem_type for value in fed} == {TensorProto.FLOAT}
    bound = [value for value in outside if value not in fed]
    assert bool(bound) == (weights == "runtime")
    assert {value.type.tensor_type.elem_type for value in bound} <= {TensorProto.FLOAT16}
    assert len(engine(artifact, "fp16")) > 1_000_000


def test_the_engine_of_a_half_graph_holds_its_weights_in_half(cache) -> None:
    """By its size: the casts of what is stored are folded."""
    plain, half = (exported(cache, LARGE, "dense", None, each) for each in (None, Rounding("fp16")))
    assert plain.weights is not None
    saved = len(engine(plain, "fp32")) - len(engine(half, "fp16"))
    assert saved > 0.45 * plain.weights.stat().st_size
    assert half.weights == plain.weights  # one file for both


@pytest.mark.parametrize(("scheme", "weights"), [("dense", None), (SHARED, "factored")])
def test_all_layers_of_an_int8_graph_take_quantised_operands(
    cache, images, scheme, weights
) -> None:
    artifact = exported(cache, SMALL, scheme, weights, Rounding("int8", images))
    assert artifact.weights is None
    nodes = onnx.load(artifact.graph).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    layers = [node for node in nodes if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert len(layers) > 50
    operands = Counter(made_by.get(name) for node in layers for name in node.input[:2])
    assert set(operands) == {"DequantizeLinear"}
    assert Parsed(str(artifact.graph)).is_quantized()
    assert len(engine(artifact, "int8")) > 1_000_000


def test_other_images_are_another_artifact(cache, images) -> None:
    first = exported(cache, SMALL, "dense", None, Rounding("int8", images))
    other = images.with_name("other.npy")
    np.save(other, 1.1 * np.load(images))
    second = exported(cache, SMALL, "dense", None, Rounding("int8", other))
    assert first.facts.graph_sha256 != second.facts.graph_sha256


def test_int8_weights_cannot_be_generated_at_run_time(cache, images) -> None:
    with pytest.raises(UnsupportedCase, match="use weight mode load or factored"):
        exported(cache, SMALL, SHARED, "runtime", Rounding("int8", images))


@pytest.mark.parametrize(
    ("version", "precision", "rounds"),
    [
        ("8.2.1", "fp16", False),
        ("10.3.0", "int8", False),
        ("11.0.0", "fp32", False),
        ("11.0.0", "fp16", True),
        ("1.7.1", "int8", True),  # TensorRT for RTX
    ],
)
def test_the_graph_rounds_where_the_engine_does_not(images, version, precision, rounds) -> None:
    case = Case(
        device="d", model=SMALL, scheme="dense", weights=None, runtime="tensorrt",
        precision=precision, batch=1, threads=1,
    )  # fmt: skip
    found = rounding(case, graph_limits("tensorrt", version), images)
    wanted = Rounding(precision, images if precision == "int8" else None)
    assert found == (wanted if rounds else None)

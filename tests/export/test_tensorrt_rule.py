"""What each version of TensorRT takes, and that graphs for it keep to that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from graph_values import IN_TENSORRT_8_0
from onnx import ModelProto, numpy_helper
from torch import nn

from bench.errors import UnsupportedCase
from bench.export import graph
from bench.export.bound import bound_values
from bench.export.cases import export_case
from bench.export.forms import Weights, fit
from bench.export.generation import add_generation
from bench.export.weights import pack
from bench.records.recordings import Artifact, GraphLimits
from bench.runtimes import graph_limits
from models.folding import fold
from models.sharing import share

SMALL = "shufflenet_v2_x0_5_cifar100"
SHARED = "basis:5/10/20"
LAYERS = 35

Export = Callable[[str, str, str | None], Artifact]


@pytest.fixture
def exported(cache: Path) -> Export:
    """The small network for a version of TensorRT."""

    def call(version: str, scheme: str, weights: str | None) -> Artifact:
        return export_case(SMALL, scheme, weights, 1, graph_limits("tensorrt", version), cache)

    return call


@pytest.mark.parametrize(
    ("version", "opset", "computed_weights"),
    [
        ("8.0.1.6", 13, False),  # JetPack 4.6
        ("8.2.1.8", 13, False),  # JetPack 4.6.1 and later
        ("8.4.1.5", 17, False),  # JetPack 5.0
        ("8.5.2.2", 17, True),  # JetPack 5.1
        ("8.6.2", 17, True),  # JetPack 6.0
        ("9.3", 19, True),
        ("10.0.1", 20, True),
        ("11.0", 25, True),
    ],
)
def test_what_a_version_takes(version, opset, computed_weights) -> None:
    limits = graph_limits("tensorrt", version)
    assert (limits.opset, limits.computed_weights) == (opset, computed_weights)
    assert limits.engine == "tensorrt"


@pytest.mark.parametrize("version", ["10.3.0", "10.13.3", "12.1", "1.7.1.116"])
def test_a_version_whose_limits_are_not_known_says_itself_what_it_refuses(version) -> None:
    limits = graph_limits("tensorrt", version)
    assert limits.opset > 25
    assert limits.computed_weights


def test_a_version_before_8_names_the_jetpack() -> None:
    with pytest.raises(UnsupportedCase, match=r"TensorRT 7\.1 is too old.*JetPack 4\.6"):
        graph_limits("tensorrt", "7.1.3")


@pytest.mark.parametrize("runtime", ["onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_the_providers_of_onnx_runtime_read_what_it_reads(runtime) -> None:
    assert graph_limits(runtime, "1.11.0") == GraphLimits(16, 8)


def opset(model: ModelProto) -> int:
    return int(model.opset_import[0].version)


def read(artifact: Artifact) -> ModelProto:
    return onnx.load(artifact.graph, load_external_data=False)


def computed_convolutions(model: ModelProto) -> list[str]:
    stored = {tensor.name for tensor in model.graph.initializer}
    return [n.name for n in model.graph.node if n.op_type == "Conv" and n.input[1] not in stored]


def outputs(artifact: Artifact) -> tuple[np.ndarray, np.ndarray]:
    """What ONNX Runtime makes of the form when its bound inputs are fed, and torch's outputs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(artifact.graph), options, providers=["CPUExecutionProvider"]
    )
    with np.load(artifact.reference) as arrays:
        feed = {"input": arrays["in0"], **bound_values(artifact.bound)}
        expected = arrays["out0"]
    assert {value.name for value in session.get_inputs()} == set(feed)
    return session.run(None, feed)[0], expected


@pytest.mark.parametrize("version", ["8.0", "8.4", "8.5"])
@pytest.mark.parametrize(
    ("scheme", "weights"),
    [
        ("dense", None),
        (SHARED, "load"),
        (SHARED, "runtime"),
        (SHARED, "factored"),
        ("reuse-2", None),
        ("blocks:3/8/20", "runtime"),
    ],
)
def test_forms_keep_to_the_rule_and_give_torchs_outputs(exported, version, scheme, weights) -> None:
    artifact = exported(version, scheme, weights)
    limits = graph_limits("tensorrt", version)
    model = read(artifact)
    onnx.checker.check_model(artifact.graph, full_check=True)
    assert opset(model) == min(limits.opset, 17)
    if not limits.computed_weights:
        assert not computed_convolutions(model)
    assert {node.op_type for node in model.graph.node} <= IN_TENSORRT_8_0
    found, expected = outputs(artifact)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_runtime_binds_all_that_weights_are_generated_from(exported) -> None:
    artifact = exported("8.5", SHARED, "runtime")
    model = read(artifact)
    stored = {tensor.name for tensor in model.graph.initializer}
    bound = [value.name for value in model.graph.input if value.name != "input"]
    assert sorted(bound) == sorted(
        f"banks.stage{stage}.{tensor}"
        for stage in (2, 3, 4)
        for tensor in ("templates", "own", "coefficients")
    )
    assert not stored & set(bound)
    assert len(computed_convolutions(model)) == LAYERS
    values = bound_values(artifact.bound)
    of_load = export_values(artifact)
    assert values.keys() == set(bound)
    for name, value in values.items():
        np.testing.assert_array_equal(value, of_load[name])


def export_values(artifact: Artifact) -> dict[str, np.ndarray]:
    """The tensors of ONNX Runtime's graph of the same weights file."""
    limits = GraphLimits(17, 8)
    plain = export_case(SMALL, SHARED, "runtime", 1, limits, artifact.graph.parent)
    assert plain.weights == artifact.weights  # one file for all runtimes
    graph_of_plain = onnx.load(plain.graph).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph_of_plain.initializer}


def test_the_json_says_where_bound_values_lie(exported) -> None:
    artifact = exported("8.2", SHARED, "runtime")
    inputs = json.loads(artifact.bound.read_bytes())["inputs"]
    assert len(inputs) == 9
    content = artifact.weights.read_bytes()
    for name, entry in inputs.items():
        assert set(entry) == {"file", "offset", "bytes", "shape", "dtype"}
        assert (entry["file"], entry["dtype"]) == (artifact.weights.name, "float32")
        assert entry["bytes"] == 4 * np.prod(entry["shape"])
        part = content[entry["offset"] : entry["offset"] + entry["bytes"]]
        assert part == bound_values(artifact.bound)[name].tobytes()


def test_before_8_5_each_generated_weight_is_an_operand_of_a_product(exported) -> None:
    old, new = exported("8.4", SHARED, "runtime"), exported("8.5", SHARED, "runtime")
    products = [[n.op_type for n in read(each).graph.node].count("MatMul") for each in (old, new)]
    assert products[0] == products[1] + LAYERS
    assert old.bound == new.bound


def test_load_stores_the_weights_and_leaves_nothing_to_fold(exported) -> None:
    artifact, dense = exported("8.5", SHARED, "load"), exported("8.5", "dense", None)
    kinds = [[node.op_type for node in read(each).graph.node] for each in (artifact, dense)]
    assert kinds[0] == kinds[1]
    assert artifact.bound is None
    assert artifact.weights.stat().st_size == dense.weights.stat().st_size


def test_factored_keeps_the_shared_file_where_the_builder_may_join_templates(exported) -> None:
    new, old = exported("8.5", SHARED, "factored"), exported("8.4", SHARED, "factored")
    assert new.weights == exported("8.5", SHARED, "runtime").weights
    assert old.weights.stat().st_size > new.weights.stat().st_size
    assert len(computed_convolutions(read(new))) == 2 * LAYERS
    assert not computed_convolutions(read(old))


def test_a_second_call_takes_the_bound_form_from_the_cache(tmp_path: Path) -> None:
    def export() -> Artifact:
        return export_case(SMALL, SHARED, "runtime", 1, graph_limits("tensorrt", "8.2"), tmp_path)

    first, again = export(), export()
    assert not again.fresh
    assert (again.graph, again.bound) == (first.graph, first.bound)
    first.bound.unlink()
    assert export().fresh


class Strided(nn.Module):
    """Pointwise layers with strides and without bias, and linear ones."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(8, 8, 1, (2, 1)), nn.ReLU()) for _ in range(2)),
            nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.ReLU()),
        )
        self.late = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(3)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.late(self.early(x).mean((2, 3)))


def test_strides_biases_and_linear_layers_as_products(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Strided()
    share(network, "basis:3/3")
    network.eval()
    x = torch.randn(2, 8, 16, 6)
    folded = fold(network)
    weights = Weights(*pack((n, v.numpy().tobytes()) for n, v in folded.tensors().items()))
    target = GraphLimits(13, 7, "tensorrt", computed_weights=False)
    traced = graph.convert(graph.trace(folded.network, (x,)), target)
    model = add_generation(traced, folded.generations)
    generators = frozenset(name for each in folded.generations for name in each.tensors())
    form = fit(model, "runtime", weights, generators, target)
    kinds = [node.op_type for node in form.model.graph.node]
    assert "Conv" not in kinds
    assert kinds.count("Slice") == 2
    model = graph.attach_weights(form.model, "a.weights", weights.places, form.bound)
    (tmp_path / "a.weights").write_bytes(weights.data)
    onnx.save(model, tmp_path / "a.onnx")
    onnx.checker.check_model(tmp_path / "a.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"input": x.numpy()})
    np.testing.assert_allclose(y, network(x).detach().numpy(), atol=1e-5)


def test_a_generated_weight_of_another_convolution_names_the_fix(exported) -> None:
    artifact = exported("8.5", SHARED, "runtime")
    model = read(artifact)
    convolution = next(n for n in model.graph.node if n.name == computed_convolutions(model)[0])
    next(a for a in convolution.attribute if a.name == "group").i = 2
    target = replace(graph_limits("tensorrt", "8.2"), opset=13)
    weights = Weights(b"", {tensor.name: (0, 0) for tensor in model.graph.initializer})
    with pytest.raises(UnsupportedCase) as caught:
        fit(model, "runtime", weights, frozenset(), target)
    assert convolution.name in str(caught.value)
    assert "use the weight mode load, or JetPack 5.1 or newer" in str(caught.value)

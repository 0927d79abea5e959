"""The networks to compare with, and the schemes that change a network, as ONNX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from bench.export.cases import export_case
from bench.records.recordings import GraphLimits
from models import MODELS, Scheme

GREY = "shufflenet_v2_x0_5_fashion_mnist"
OLD = GraphLimits(opset=13, ir_version=7)


def optimised(graph: Path, folder: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("resnet56_cifar100", "dense"),
        ("mobilenet_v2_x1_0_cifar100", "dense"),
        ("shufflenet_v1_g3_x1_0_cifar100", "dense"),
        (GREY, "prune-l1:0.25"),
        (GREY, "recursive:0.15"),
    ],
)
def test_exported_and_run_by_an_old_opset(name: str, scheme: str, tmp_path: Path) -> None:
    artifact = export_case(name, scheme, None, 2, OLD, tmp_path)  # verifies the outputs itself
    assert artifact.facts.parameters == MODELS[name].total(Scheme.parse(scheme))
    assert artifact.weights is not None
    # BatchNorms are folded, so that the file holds fewer numbers than the network has parameters.
    assert artifact.weights.stat().st_size < 4 * artifact.facts.parameters
    session = optimised(artifact.graph, tmp_path)
    operators = operators_of(tmp_path / "optimised.onnx")
    assert not operators & {"BatchNormalization", "Mul"}
    with np.load(artifact.reference) as arrays:
        (scores,) = session.run(None, {"input": arrays["in0"]})
        assert np.allclose(scores, arrays["out0"], atol=1e-4 * np.abs(arrays["out0"]).max())


def operators_of(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}

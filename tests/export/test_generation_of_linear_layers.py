"""Generation in graphs of networks with linear layers, biases and strides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from bench.export import graph
from bench.export.generation import add_generation
from bench.export.weights import pack
from bench.records.recordings import GraphLimits
from models.folding import fold
from models.sharing import share


class Network(nn.Module):
    """Strided pointwise layers with biases, one of them without BatchNorm, then linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(8, 8, 1, 2), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(2)),
            nn.Sequential(nn.Conv2d(8, 8, 1), nn.Sigmoid()),
        )
        self.late = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(3)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.late(self.early(x).flatten(2).mT)


@pytest.mark.parametrize("text", ["basis:3/3", "soft:2/2", "blocks-one:2", "reuse-1"])
def test_the_graph_gives_torchs_outputs(text: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network()
    share(network, text)
    x = torch.randn(2, 8, 16, 16)
    network(x)
    network.eval()
    folded = fold(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.network.modules())

    tensors = folded.tensors()
    data, places = pack((name, value.numpy().tobytes()) for name, value in tensors.items())
    traced = graph.convert(graph.trace(folded.network, (x,)), GraphLimits(13, 7))
    model = add_generation(traced, folded.generations)
    made = {name for each in folded.generations for name in each.weights}
    assert len(made) == 6 if text != "reuse-1" else len(made) == 5
    assert not made & {value.name for value in model.graph.input}
    (tmp_path / "network.weights").write_bytes(data)
    path = tmp_path / "network.onnx"
    onnx.save(graph.attach_weights(model, "network.weights", places, ()), path)
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"input": x.numpy()})
    np.testing.assert_allclose(y, network(x).detach().numpy(), atol=1e-5)

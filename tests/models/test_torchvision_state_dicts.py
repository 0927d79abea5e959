"""State dicts of torchvision load: names and shapes by its rules, and files as it distributes them.

torchvision 0.29 was at hand once: its networks had these names and shapes in this order, and with
equal weights gave the same outputs bit by bit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import MODELS, Scheme
from models.sharing import share
from models.training.datasets import DataSet
from models.training.errors import CheckpointError
from models.training.job import Training

Shapes = Iterator[tuple[str, tuple[int, ...]]]
DENSE = Scheme.parse("dense")
SMALL = MODELS["shufflenet_v2_x0_5"]


def layer(conv: str, norm: str, outputs: int, inputs: int, kernel: int = 1) -> Shapes:
    """A convolution without bias, and the BatchNorm behind it. ``inputs``: per group."""
    yield f"{conv}.weight", (outputs, inputs, kernel, kernel)
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield f"{norm}.{name}", (outputs,)
    yield f"{norm}.num_batches_tracked", ()


def linear(name: str, outputs: int, inputs: int) -> Shapes:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def shufflenet_v2(channels: tuple[int, ...]) -> Shapes:
    """Sequences number convolutions, BatchNorms and ReLUs; only a stage's first unit has two."""
    before = channels[0]
    yield from layer("conv1.0", "conv1.1", before, 3, 3)
    for stage, (units, width) in enumerate(zip((4, 8, 4), channels[1:], strict=False), start=2):
        half = width // 2
        for unit in range(units):
            name, first = f"stage{stage}.{unit}", unit == 0
            if first:
                yield from layer(f"{name}.branch1.0", f"{name}.branch1.1", before, 1, 3)
                yield from layer(f"{name}.branch1.2", f"{name}.branch1.3", half, before)
            into = before if first else half
            yield from layer(f"{name}.branch2.0", f"{name}.branch2.1", half, into)
            yield from layer(f"{name}.branch2.3", f"{name}.branch2.4", half, 1, 3)
            yield from layer(f"{name}.branch2.5", f"{name}.branch2.6", half, half)
        before = width
    yield from layer("conv5.0", "conv5.1", channels[-1], before)
    yield from linear("fc", 1000, channels[-1])


def mobilenet_v2() -> Shapes:
    """Sequences of sequences; a block's last convolution and its BatchNorm lie one level up."""
    yield from layer("features.0.0", "features.0.1", 32, 3, 3)
    before, index = 32, 1
    for expansion, width, blocks in (
        (1, 16, 1),
        (6, 24, 2),
        (6, 32, 3),
        (6, 64, 4),
        (6, 96, 3),
        (6, 160, 3),
        (6, 320, 1),
    ):
        for _ in range(blocks):
            name, hidden, at = f"features.{index}.conv", before * expansion, 0
            if expansion > 1:
                yield from layer(f"{name}.0.0", f"{name}.0.1", hidden, before)
                at = 1
            yield from layer(f"{name}.{at}.0", f"{name}.{at}.1", hidden, 1, 3)
            yield from layer(f"{name}.{at + 1}", f"{name}.{at + 2}", width, hidden)
            before, index = width, index + 1
    yield from layer(f"features.{index}.0", f"features.{index}.1", 1280, before)
    yield from linear("classifier.1", 1000, 1280)


def resnet34() -> Shapes:
    yield from layer("conv1", "bn1", 64, 3, 7)
    before = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            yield from layer(f"{name}.conv1", f"{name}.bn1", width, before, 3)
            yield from layer(f"{name}.conv2", f"{name}.bn2", width, width, 3)
            if before != width:
                yield from layer(f"{name}.downsample.0", f"{name}.downsample.1", width, before)
            before = width
    yield from linear("fc", 1000, 512)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("shufflenet_v2_x0_5", shufflenet_v2((24, 48, 96, 192, 1024))),
        ("shufflenet_v2_x1_0", shufflenet_v2((24, 116, 232, 464, 1024))),
        ("shufflenet_v2_x1_5", shufflenet_v2((24, 176, 352, 704, 1024))),
        ("shufflenet_v2_x2_0", shufflenet_v2((24, 244, 488, 976, 2048))),
        ("mobilenet_v2_x1_0", mobilenet_v2()),
        ("resnet34", resnet34()),
    ],
)
def test_names_and_shapes_are_torchvisions(model: str, expected: Shapes) -> None:
    with torch.device("meta"):
        state = MODELS[model].architecture(DENSE).state_dict()
    assert [(name, tuple(value.shape)) for name, value in state.items()] == list(expected)


def distributed(path: Path, *, old: bool) -> dict[str, Tensor]:
    """Write a state dict as torchvision's servers have it; returns its values.

    Old files are no archives, hold parameters rather than tensors, and no counters of batches.
    """
    state: dict[str, Any] = OrderedDict(SMALL.build(DENSE).state_dict())
    if old:
        counted = [name for name in state if name.endswith("num_batches_tracked")]
        for name in counted:
            del state[name]
        for name in [name for name in state if name.endswith(("weight", "bias"))]:
            state[name] = nn.Parameter(state[name])
    else:
        state._metadata = SMALL.architecture(DENSE).state_dict()._metadata  # type: ignore[attr-defined]
    torch.save(state, path, _use_new_zipfile_serialization=not old)
    return state


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("scheme", ["dense", "reuse-1"])
def test_a_training_starts_from_a_file_of_torchvision(
    tmp_path: Path, scheme: str, old: bool
) -> None:
    path = tmp_path / "shufflenetv2_x0.5-f707e7126e.pth"
    values = distributed(path, old=old)
    data: DataSet = None  # type: ignore[assignment]  # what it starts from needs no images
    network, errors = Training(SMALL, Scheme.parse(scheme), data, init_from=path).start()
    state = network.state_dict()
    assert torch.equal(state["stage3.2.branch2.3.weight"], values["stage3.2.branch2.3.weight"])
    assert torch.equal(state["fc.bias"], values["fc.bias"])
    counter = "conv1.1.num_batches_tracked"
    assert state[counter] == values.get(counter, 0)
    assert bool(errors) == (scheme != "dense")


def test_a_file_of_another_torchvision_network_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "shufflenetv2_x0.5-f707e7126e.pth"
    distributed(path, old=True)
    data: DataSet = None  # type: ignore[assignment]
    job = Training(MODELS["shufflenet_v2_x1_0"], DENSE, data, init_from=path)
    with pytest.raises(CheckpointError, match=r"f707e7126e\.pth has stage2\.0\.branch1\.2\.weight"):
        job.start()


def test_counters_may_be_missing_whatever_torch_noted_of_versions() -> None:
    state = SMALL.architecture(DENSE).state_dict()
    for name in [name for name in state if name.endswith("num_batches_tracked")]:
        del state[name]
    assert state._metadata["conv1.1"]["version"] >= 2  # type: ignore[attr-defined]
    network = SMALL.architecture(DENSE)
    share(network, "reuse-1", init_from=state)
    assert torch.equal(network.fc.weight, state["fc.weight"])

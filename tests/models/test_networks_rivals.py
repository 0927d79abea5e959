"""The networks to compare with: torchvision's names, shapes, multiply-adds, resolutions."""

from __future__ import annotations

import pytest
import torch

from models import MODELS, Scheme, describe
from models.grouping import find_groups

DENSE = Scheme("dense")
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        state = MODELS[name].architecture(DENSE).state_dict()
    return {key: tuple(value.shape) for key, value in state.items()}


def norm(path: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{path}.{key}": () if key.startswith("num") else (channels,) for key in NORM}


def test_resnet34_has_torchvisions_state_dict() -> None:
    # Names as torchvision/models/resnet.py gives them to its modules.
    expected = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    before = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(blocks):
            path = f"layer{stage}.{block}"
            expected[f"{path}.conv1.weight"] = (width, before, 3, 3)
            expected[f"{path}.conv2.weight"] = (width, width, 3, 3)
            expected |= norm(f"{path}.bn1", width) | norm(f"{path}.bn2", width)
            if before != width:
                expected[f"{path}.downsample.0.weight"] = (width, before, 1, 1)
                expected |= norm(f"{path}.downsample.1", width)
            before = width
    expected |= {"fc.weight": (1000, 512), "fc.bias": (1000,)}
    assert shapes("resnet34") == expected


def test_mobilenet_v2_has_torchvisions_state_dict() -> None:
    # Names as torchvision/models/mobilenetv2.py gives them to its modules.
    expected = {"features.0.0.weight": (32, 3, 3, 3), **norm("features.0.1", 32)}
    expected["features.1.conv.0.0.weight"] = (32, 1, 3, 3)
    expected["features.1.conv.1.weight"] = (16, 32, 1, 1)
    expected |= norm("features.1.conv.0.1", 32) | norm("features.1.conv.2", 16)
    before, index = 16, 2
    for width, blocks in ((24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)):
        for _ in range(blocks):
            path, hidden = f"features.{index}.conv", 6 * before
            expected[f"{path}.0.0.weight"] = (hidden, before, 1, 1)
            expected[f"{path}.1.0.weight"] = (hidden, 1, 3, 3)
            expected[f"{path}.2.weight"] = (width, hidden, 1, 1)
            expected |= norm(f"{path}.0.1", hidden) | norm(f"{path}.1.1", hidden)
            expected |= norm(f"{path}.3", width)
            before, index = width, index + 1
    expected["features.18.0.weight"] = (1280, 320, 1, 1)
    expected |= norm("features.18.1", 1280)
    expected |= {"classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,)}
    assert shapes("mobilenet_v2_x1_0") == expected


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("mobilenet_v2_x1_0", 300.8),  # the paper: 300 M
        ("resnet34", 3663.8),  # torchvision's documentation: 3.66 G
        ("resnet56_cifar100", 125.5),
        ("shufflenet_v1_g3_x1_0", 137.5),  # the paper: 140 M
    ],
)
def test_multiply_adds_are_the_published_ones(name: str, millions: float) -> None:
    assert describe(MODELS[name], DENSE).macs / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize(
    ("name", "layer", "side"),
    [
        ("mobilenet_v2_x1_0_cifar100", "features", 4),
        ("shufflenet_v1_g3_x1_0_cifar100", "stage4", 4),
        ("resnet56_cifar100", "layer3", 8),
        ("shufflenet_v2_x0_5_fashion_mnist", "conv5", 4),
        ("mobilenet_v2_x1_0", "features", 7),
        ("shufflenet_v1_g3_x1_0", "stage4", 7),
        ("resnet34", "layer4", 7),
    ],
)
def test_resolution_before_the_classifier(name: str, layer: str, side: int) -> None:
    spec = MODELS[name]
    seen: list[torch.Size] = []
    with torch.device("meta"):
        network = spec.architecture(DENSE).eval()
        network.get_submodule(layer).register_forward_hook(lambda *call: seen.append(call[2].shape))
        scores = network(torch.empty(3, *spec.input_shape))
    assert scores.shape == (3, spec.classes)
    assert [tuple(shape[2:]) for shape in seen] == [(side, side)]


def test_shuffling_lets_groups_see_each_other() -> None:
    network = MODELS["shufflenet_v1_g3_x1_0_cifar100"].build(DENSE)
    unit = network.get_submodule("stage3.1")
    x = torch.randn(1, 480, 8, 8)
    changed = x.clone()
    changed[:, :160] += 1  # the first of three groups
    difference = (unit(x) - unit(changed)).abs().amax(dim=(0, 2, 3))
    assert (difference[160:] > 0).float().mean() > 0.5


def test_resnet56_pads_its_shortcuts_with_zeros() -> None:
    shortcut = MODELS["resnet56_cifar100"].build(DENSE).get_submodule("layer2.0.downsample")
    x = torch.randn(1, 16, 32, 32)
    y = shortcut(x)
    assert y.shape == (1, 32, 16, 16)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any() and not y[:, 24:].any()


@pytest.mark.parametrize("name", MODELS)
def test_the_table_lists_the_groups_that_are_found_in_the_network(name: str) -> None:
    with torch.device("meta"):
        found = find_groups(MODELS[name].architecture(DENSE))
    assert tuple(each.group for each in found) == MODELS[name].groups

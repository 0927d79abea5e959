"""Sharing in networks that the project has never heard of."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from models import MODELS, Scheme, SchemeError, ShareGroup
from models.drawn import DrawnLayer
from models.grouping import find_groups
from models.sharing import share

KINDS = ("basis:0.1", "basis-shared:0.1", "basis-plain:0.1", "blocks:0.1", "blocks-one:0.1")
ALL = (*KINDS, "soft:0.1", "reuse-1", "reuse-2")


class Bottleneck(nn.Module):
    """A unit of ResNet: narrow, filter, widen, and a shortcut."""

    def __init__(self, channels_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        out = 4 * width
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = nn.Identity()
        if channels_in != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class Bottlenecks(nn.Module):
    """Two stages of three bottlenecks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.layer1 = nn.Sequential(*(Bottleneck(c, 8) for c in (16, 32, 32)))
        self.layer2 = nn.Sequential(
            Bottleneck(32, 16, stride=2), *(Bottleneck(64, 16) for _ in range(2))
        )
        self.fc = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


class Block(nn.Module):
    """A transformer block with its own attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(mixed.transpose(1, 2).reshape(n, tokens, width))
        return x + self.mlp(self.norm2(x))


class SmallViT(nn.Module):
    """A vision transformer of three blocks."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(3)))
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).mT).mean(1))


def small(name: str) -> nn.Module:
    torch.manual_seed(3)
    if name == "vit":
        return SmallViT()
    if name == "bottlenecks":
        return Bottlenecks()
    return MODELS[name].architecture(Scheme.parse("dense"))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def summary(network: nn.Module) -> dict[str, tuple[int, int, int, tuple[int, int]]]:
    groups = [each.group for each in find_groups(network)]
    return {g.name: (g.inputs, g.outputs, g.layers, g.reused) for g in groups}


def test_groups_of_bottlenecks_are_found_by_stage_and_shape() -> None:
    assert summary(Bottlenecks()) == {
        "layer1.8x32": (8, 32, 3, (0, 1)),
        "layer1.32x8": (32, 8, 2, (1, 0)),
        "layer2.16x64": (16, 64, 3, (0, 1)),
        "layer2.64x16": (64, 16, 2, (1, 0)),
    }


def test_groups_of_a_transformer_are_found_by_shape() -> None:
    assert summary(SmallViT()) == {
        "blocks.32x96": (32, 96, 3, (2, 0)),
        "blocks.32x32": (32, 32, 3, (0, 2)),
        "blocks.32x64": (32, 64, 3, (0, 0)),
        "blocks.64x32": (64, 32, 3, (0, 0)),
    }


def test_equal_shapes_in_different_stages_are_different_groups() -> None:
    stage = [nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU()) for _ in range(4)]
    network = nn.Sequential()
    network.add_module("early", nn.Sequential(*stage[:2]))
    network.add_module("late", nn.Sequential(*stage[2:]))
    assert summary(network) == {"early": (8, 8, 2, (1, 0)), "late": (8, 8, 2, (1, 0))}


def test_without_numbered_units_equal_shape_decides() -> None:
    network = nn.Module()
    for name in ("one", "two", "three"):
        network.add_module(name, nn.Linear(6, 6))
    assert summary(network) == {"6x6": (6, 6, 3, (0, 0))}


def test_layers_with_a_weight_in_common_or_of_a_derived_class_are_left_alone() -> None:
    class Own(nn.Linear):
        pass

    tied = [nn.Linear(6, 6) for _ in range(2)]
    tied[1].weight = tied[0].weight
    attention = [nn.MultiheadAttention(6, 2) for _ in range(2)]
    assert find_groups(nn.ModuleList([*tied, Own(6, 6), Own(6, 6), *attention])) == ()


@pytest.mark.parametrize("name", ["bottlenecks", "vit"])
@pytest.mark.parametrize("text", ALL)
def test_any_network_shares_runs_and_learns(name: str, text: str) -> None:
    network = small(name)
    x = torch.randn(4, 3, 16, 16)
    shape = network(x).shape
    dense = count(network)
    report = share(network, text)
    assert report.parameters_dense == dense
    assert report.parameters == count(network) == dense - report.saved
    assert report.saved >= (0.1 * dense if ":" in text else 1)
    drawn = [path for path, m in network.named_modules() if isinstance(m, DrawnLayer)]
    assert sorted(layer.path for layer in report.layers) == sorted(drawn)
    assert all(layer.error is None for layer in report.layers)
    y = network(x)
    assert y.shape == shape
    y.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all((bank.templates.grad != 0).any() for bank in network.banks.values())
    text = str(report)
    assert f"{report.saved:,} of {dense:,}" in text
    assert all(path in text for path in drawn)


@pytest.mark.parametrize("text", ["soft:0.05", "blocks-one:0.2", "reuse-2"])
def test_mobilenet_shares(text: str) -> None:
    network = small("mobilenet_v2_x1_0_cifar100").eval()
    report = share(network, text)
    assert len(report.layers) >= 10
    assert network(torch.randn(1, 3, 32, 32)).shape == (1, 100)


@pytest.mark.parametrize("text", ALL)
def test_stride_bias_and_mode_survive(text: str) -> None:
    units = [nn.Sequential(nn.Conv2d(8, 8, 1, stride=2), nn.ReLU()) for _ in range(3)]
    network = nn.Sequential(*units).eval()
    dense = copy.deepcopy(network)
    share(network, text if ":" not in text else text.replace("0.1", "0.01"))
    x = torch.randn(1, 8, 16, 16)
    assert network(x).shape == dense(x).shape == (1, 8, 2, 2)
    assert not network[1][0].training
    assert torch.equal(network[1][0].bias, dense[1][0].bias)
    assert network[1][0].weight.shape == (8, 8, 1, 1)


@pytest.mark.parametrize("norm", [True, False])
def test_basis_of_linear_layers_trains_as_it_evaluates_with_frozen_statistics(norm: bool) -> None:
    network = nn.Sequential(*(nn.Sequential(nn.Linear(12, 10), nn.Linear(10, 12)) for _ in "abc"))
    share(network, "basis:0.1" if norm else "basis-plain:0.1")
    x = torch.randn(5, 7, 12)
    network(x)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()
            module.running_mean.normal_()
    training = network(x)
    assert torch.allclose(network.eval()(x), training, atol=1e-5)


@pytest.mark.parametrize("text", ALL)
def test_torchs_own_transformer_gives_the_same_with_gradients_and_without(text: str) -> None:
    torch.manual_seed(6)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    network = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    share(network, text)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    x = torch.randn(2, 5, 16)
    with_gradients = network.eval()(x)
    with torch.no_grad():  # where torch reads weights and biases instead of calling the layers
        torch.testing.assert_close(network(x), with_gradients.detach(), atol=1e-5, rtol=1e-4)


def test_named_groups_alone_share_with_their_own_rows() -> None:
    network = Bottlenecks()
    group = ShareGroup("layer2.16x64", 16, 64, layers=3, own=2)
    report = share(network, "basis:4", groups=[group])
    assert {layer.group for layer in report.layers} == {"layer2.16x64"}
    assert report.sizes == {"layer2.16x64": 4}
    layer = network.layer2[0].conv3
    assert (layer.own.shape, layer.coefficients.shape) == ((2, 16), (64, 6))


@pytest.mark.parametrize(
    ("groups", "text", "expected"),
    [
        ([ShareGroup("stage9", 8, 8, layers=3, own=1)], "soft:1", "has no group 'stage9'"),
        (
            [ShareGroup("layer2.16x64", 16, 64, layers=7, own=1)],
            "soft:1",
            "layer2.16x64 has 3 layers of 16×64, not 7 of 16×64",
        ),
        (None, "soft:0.9", "at most"),
        (None, "soft:1/1", "gives 2 size(s), this network needs 4"),
        (None, "softly", "unknown scheme"),
    ],
)
def test_what_does_not_fit_is_one_line_and_changes_nothing(groups, text, expected) -> None:
    network = Bottlenecks()
    with pytest.raises(SchemeError) as caught:
        share(network, text, groups=groups)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(isinstance(module, DrawnLayer) for module in network.modules())


def test_network_without_repeated_layers_is_refused() -> None:
    with pytest.raises(SchemeError, match="no layers that can share"):
        share(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1)), "soft:0.1")


def test_widths_without_a_common_divisor_have_no_blocks() -> None:
    units = [nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 5)) for _ in range(3)]
    with pytest.raises(SchemeError, match="no common divisor"):
        share(nn.Sequential(*units), "blocks:0.1")


def test_sharing_twice_is_refused() -> None:
    network = Bottlenecks()
    share(network, "soft:0.1")
    with pytest.raises(SchemeError, match="shares already"):
        share(network, "soft:0.1")


def test_dense_leaves_a_network_as_it_is() -> None:
    network = Bottlenecks()
    before = list(network.state_dict())
    report = share(network, "dense")
    assert (report.saved, report.layers, list(network.state_dict())) == (0, (), before)

"""L1 pruning of the channels between the pointwise layers of a unit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from models import MODELS, Scheme, SchemeError, UnreachableReduction
from models.pruning import prunable_units, prune_unit
from models.sensitivity import UnitSensitivity, measure_sensitivity, scheme_by_sensitivity
from models.sharing import share

GREY = MODELS["shufflenet_v2_x0_5_fashion_mnist"]
WIDE = MODELS["shufflenet_v2_x1_0_cifar100"]
DENSE = Scheme("dense")


class Chain(nn.Module):
    """Two prunable units; the second does not matter for the output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (self.unit(4, 8), self.unit(4, 8))
        with torch.no_grad():
            self.second[-1].weight.zero_()

    @staticmethod
    def unit(outer: int, inner: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(outer, inner, 1),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False),
            nn.Conv2d(inner, outer, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return x + self.second(x)  # type: ignore[no-any-return]


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def inner_channels(network: nn.Module) -> list[int]:
    return [unit.channels for unit in prunable_units(network)]


def test_units_of_shufflenet_v2_and_what_one_channel_holds() -> None:
    with torch.device("meta"):
        units = prunable_units(WIDE.architecture(DENSE))
    assert [unit.channels for unit in units] == [58] * 4 + [116] * 8 + [232] * 4
    # two pointwise weights' shares, 3×3 filter, two BatchNorms of 2
    assert [unit.channel_parameters for unit in units[:2]] == [24 + 58 + 9 + 4, 58 + 58 + 9 + 4]
    assert units[0].first == "stage2.0.branch2.0"
    assert units[0].last == "stage2.0.branch2.5"


@pytest.mark.parametrize("reduction", [0.15, 0.25])
@pytest.mark.parametrize("spec", [GREY, WIDE, MODELS["mobilenet_v2_x1_0"]], ids=lambda s: s.name)
def test_total_saves_just_enough_with_equal_ratios(spec, reduction: float) -> None:
    scheme = Scheme.parse(f"prune-l1:{reduction}")
    with torch.device("meta"):
        before = inner_channels(spec.architecture(DENSE))
        network = spec.architecture(scheme)
    total = spec.total(scheme)
    assert total == count(network)
    assert reduction <= 1 - total / spec.parameters < reduction + 0.001
    ratios = [left / full for left, full in zip(inner_channels(network), before, strict=True)]
    assert max(ratios) - min(ratios) < 1.5 / min(before)


def test_channels_left_can_be_given_for_each_unit() -> None:
    sizes = [20, 24, 24, 24] + [30] * 8 + [50, 60, 70, 80]
    scheme = Scheme.parse("prune-l1:" + "/".join(map(str, sizes)))
    network = GREY.build(scheme)
    assert inner_channels(network) == sizes
    assert network(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    assert GREY.total(scheme) == count(network)


def test_the_filters_with_the_largest_l1_norms_stay() -> None:
    network = GREY.build(DENSE)
    unit = prunable_units(network)[5]
    first = network.get_submodule(unit.first)
    norms = first.weight.abs().sum(dim=(1, 2, 3))
    kept = sorted(norms.argsort(descending=True)[:20].tolist())
    expected, between = first.weight[kept], network.get_submodule(unit.between[2]).weight[kept]
    last = network.get_submodule(unit.last).weight[:, kept]
    prune_unit(network, unit, 20)
    assert torch.equal(network.get_submodule(unit.first).weight, expected)
    assert torch.equal(network.get_submodule(unit.between[2]).weight, between)
    assert torch.equal(network.get_submodule(unit.last).weight, last)
    assert network.get_submodule(unit.first).out_channels == 20


def test_pruning_channels_that_are_zero_changes_nothing() -> None:
    torch.manual_seed(0)
    network = Chain().eval()
    with torch.no_grad():
        network.first[0].weight[2:5] = 0
        network.first[-1].weight[:, 2:5] = 0
    x = torch.randn(2, 4, 5, 5)
    expected = network(x)
    before = count(network)
    share(network, "prune-l1:5/8")
    # per channel: 4 + 1 of the first layer, BatchNorm 2, 9, and 4 of the last
    assert before - count(network) == 3 * (5 + 2 + 9 + 4)
    assert torch.allclose(network(x), expected, atol=1e-6)


def test_pruning_starts_from_trained_weights() -> None:
    trained = GREY.build(DENSE).state_dict()
    with torch.random.fork_rng():
        network = GREY.architecture(DENSE)
    report = share(network, "prune-l1:0.15", init_from=trained)
    assert torch.equal(network.state_dict()["conv1.0.weight"], trained["conv1.0.weight"])
    assert report.saved == GREY.parameters - GREY.total(Scheme.parse("prune-l1:0.15"))
    kept = network.state_dict()["stage3.1.branch2.0.weight"]
    assert all((row == trained["stage3.1.branch2.0.weight"]).all((1, 2, 3)).any() for row in kept)


@pytest.mark.parametrize(
    ("name", "scheme", "expected"),
    [
        ("shufflenet_v2_x0_5", "prune-l1:0.15", "saves at most 9.1 %"),
        ("resnet56_cifar100", "prune-l1:0.15", "nothing to prune"),
        ("shufflenet_v1_g3_x1_0", "prune-l1:0.15", "nothing to prune"),
        ("shufflenet_v2_x0_5", "prune-l1:10/10", "for 2 unit(s), this network has 16"),
        (
            "shufflenet_v2_x0_5",
            "prune-l1:" + "/".join(["25"] * 16),
            "25 channels after stage2.0.branch2.0, which has only 24",
        ),
    ],
)
def test_a_scheme_that_does_not_fit_is_refused(name: str, scheme: str, expected: str) -> None:
    with pytest.raises(SchemeError) as caught:
        MODELS[name].total(Scheme.parse(scheme))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    class Fickle(Chain):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(SchemeError, match="depends on its input"):
        share(Fickle(), "prune-l1:0.1")


def test_sensitivity_spares_the_unit_that_matters() -> None:
    torch.manual_seed(1)
    network = Chain().eval()
    x = torch.randn(4, 4, 6, 6)
    expected = network(x)
    before = copy.deepcopy(network.state_dict())

    def quality(pruned: nn.Module) -> float:
        with torch.no_grad():
            return -float((pruned(x) - expected).square().mean())

    measured = measure_sensitivity(network, quality)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert measured[0].losses[-1] > 0
    assert measured[1].losses == (0.0,) * 5
    scheme = scheme_by_sensitivity(measured, count(network), 0.3)
    assert scheme.sizes[0] == 8  # all of it
    assert scheme.sizes[1] < 8
    pruned = copy.deepcopy(network)
    share(pruned, scheme)
    assert 0.3 <= 1 - count(pruned) / count(network) < 0.3 + 20 / count(network)
    assert torch.allclose(pruned(x), expected, atol=1e-6)


def test_sensitivity_refuses_what_cannot_be_saved() -> None:
    network = Chain().eval()
    measured = measure_sensitivity(network, lambda pruned: 0.0)
    with pytest.raises(UnreachableReduction, match="saves at most"):
        scheme_by_sensitivity(measured, count(network), 0.9)


def test_equal_sensitivity_is_equal_pruning() -> None:
    with torch.device("meta"):
        units = prunable_units(GREY.architecture(DENSE))
    measured = [UnitSensitivity(unit, (unit.channels, 1), (0.0, 0.0)) for unit in units]
    scheme = scheme_by_sensitivity(measured, GREY.parameters, 0.2)
    ratios = [left / each.unit.channels for left, each in zip(scheme.sizes, measured, strict=True)]
    assert max(ratios) - min(ratios) < 0.1
    assert 0.2 <= 1 - GREY.total(scheme) / GREY.parameters < 0.201

"""Recursive units: weights in common, BatchNorms of their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models import MODELS, ModelSpec, Scheme, SchemeError, UnreachableReduction
from models.folding import fold
from models.recursive import find_runs
from models.sharing import share

GREY = MODELS["shufflenet_v2_x0_5_fashion_mnist"]
DENSE = Scheme("dense")


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "units", "parameters"),
    [
        # 2b² + 9b: two pointwise layers and a depthwise one
        ("shufflenet_v2_x1_0", [3, 7, 3], [2 * b * b + 9 * b for b in (58, 116, 232)]),
        ("resnet56_cifar100", [9, 8, 8], [18 * b * b for b in (16, 32, 64)]),
        ("resnet34", [3, 3, 5, 2], [18 * b * b for b in (64, 128, 256, 512)]),
        ("mobilenet_v2_x1_0", [2, 3, 2, 2], [12 * b * b + 54 * b for b in (32, 64, 96, 160)]),
        ("shufflenet_v1_g3_x1_0", [3, 7, 3], [b * b // 6 + b * 9 // 4 for b in (240, 480, 960)]),
    ],
)
def test_runs_of_units(name: str, units: list[int], parameters: list[int]) -> None:
    with torch.device("meta"):
        runs = find_runs(MODELS[name].architecture(DENSE))
    assert [len(run.units) for run in runs] == units
    assert [run.unit_parameters for run in runs] == parameters


@pytest.mark.parametrize("reduction", [0.1, 0.2])
@pytest.mark.parametrize(
    "spec",
    [GREY, MODELS["shufflenet_v2_x1_0_cifar100"], MODELS["resnet56_cifar100"]],
    ids=lambda spec: spec.name,
)
def test_total_equals_the_built_network_and_saves_enough(spec: ModelSpec, reduction: float) -> None:
    scheme = Scheme.parse(f"recursive:{reduction}")
    with torch.device("meta"):
        network = spec.architecture(scheme)
    total = spec.total(scheme)
    assert total == count(network)
    # A unit of the last stage of ResNet-56 is 8.6 % of it, one of the second 2.1 %.
    assert reduction <= 1 - total / spec.parameters < reduction + 0.03


def test_units_left_can_be_given() -> None:
    scheme = Scheme.parse("recursive:2/3/1")
    network = GREY.build(scheme)
    assert GREY.total(scheme) == count(network) == 351_610 - 1368 - 4 * 5040 - 2 * 19_296
    weights = [network.get_submodule(f"stage3.{unit}.branch2.0").bank for unit in range(1, 8)]
    assert [weights.index(weight) for weight in weights] == [0, 0, 2, 2, 4, 4, 4]
    # of stage 2, the first unit is left alone
    assert isinstance(network.get_submodule("stage2.1.branch2.0"), nn.Conv2d)
    templates = [name for name in network.state_dict() if name.endswith("templates")]
    assert len(templates) == 3 * (1 + 3 + 1)


def test_iterations_share_weights_but_not_batch_norms() -> None:
    network = GREY.build(Scheme.parse("recursive:1/1/1"))
    norms = [network.get_submodule(f"stage4.{unit}.branch2.1") for unit in (1, 2, 3)]
    assert len({id(norm.weight) for norm in norms}) == 3
    assert not torch.equal(norms[0].running_mean, norms[1].running_mean)
    layers = [network.get_submodule(f"stage4.{unit}.branch2.3") for unit in (1, 2, 3)]
    assert torch.equal(layers[0].weight, layers[2].weight)
    assert layers[0].weight.shape == (96, 1, 3, 3)


def test_all_iterations_train_the_common_weight() -> None:
    with torch.random.fork_rng():
        network = GREY.architecture(Scheme.parse("recursive:1/1/1")).train()
    network(torch.randn(4, 1, 28, 28)).square().sum().backward()
    gradients = [bank.templates.grad for bank in network.get_submodule("banks").children()]
    assert len(gradients) == 9
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


def test_the_first_unit_keeps_its_trained_weights() -> None:
    trained = GREY.build(DENSE).state_dict()
    network = GREY.architecture(DENSE)
    report = share(network, "recursive:3/1/3", init_from=trained)
    assert report.saved == 6 * 5040
    layer = network.get_submodule("stage3.7.branch2.5")
    assert torch.equal(layer.weight, trained["stage3.1.branch2.5.weight"])
    norm = network.get_submodule("stage3.7.branch2.6")
    assert torch.equal(norm.weight, trained["stage3.7.branch2.6.weight"])


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5_fashion_mnist", "resnet56_cifar100"])
def test_folding_keeps_the_outputs_and_one_copy_of_the_weights(name: str) -> None:
    spec = MODELS[name]
    network = spec.build(Scheme.parse("recursive:0.15"))
    folded = fold(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.network.modules())
    x = torch.randn(2, *spec.input_shape)
    expected = network(x)
    assert (folded.network(x) - expected).abs().max() < 1e-5 * expected.abs().max()
    stored = sum(tensor.numel() for tensor in folded.tensors().values())
    assert stored <= count(network)


def test_layers_with_biases_keep_their_own() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Linear(6, 6) for _ in range(4)), nn.ReLU(), nn.Linear(6, 3))
    biases = [network.get_submodule(str(index)).bias.clone() for index in range(4)]
    report = share(network, "recursive:2")
    assert report.saved == 2 * 36
    kept = [network.get_submodule(str(index)).bias for index in range(4)]
    assert all(torch.equal(*pair) for pair in zip(biases, kept, strict=True))
    assert network(torch.randn(2, 6)).shape == (2, 3)


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("recursive:0.25", "saves at most 20.4 %"),
        ("recursive:1/1", "for 2 run(s), this network has 3"),
        ("recursive:1/8/1", "8 units from stage3.1 on, where there are only 7"),
        ("recursive", "needs a reduction"),
    ],
)
def test_a_scheme_that_does_not_fit_is_refused(scheme: str, expected: str) -> None:
    with pytest.raises(SchemeError) as caught:
        GREY.total(Scheme.parse(scheme))
    assert expected in str(caught.value)


def test_unreachable_and_nothing_to_iterate_are_told_apart() -> None:
    with pytest.raises(UnreachableReduction):
        GREY.total(Scheme.parse("recursive:0.9"))
    with pytest.raises(SchemeError, match="no units of equal make"):
        share(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), "recursive:0.1")

"""The networks themselves: sizes, names, determinism, folding."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from models import MODELS, Scheme, describe
from models.basis import BasisLayer
from models.folding import factored, fold

SMALL = MODELS["shufflenet_v2_x0_5_cifar100"]
DENSE = Scheme.parse("dense")
SHARED = Scheme.parse("basis:5/10/20")

PARAMETERS = {
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    "shufflenet_v2_x0_5_cifar100": 444_292,
    "shufflenet_v2_x1_0_cifar100": 1_356_104,
    "shufflenet_v2_x1_5_cifar100": 2_581_124,
    "shufflenet_v2_x2_0_cifar100": 5_549_896,
    "shufflenet_v2_x0_5_fashion_mnist": 351_610,
    "shufflenet_v2_x1_0_fashion_mnist": 1_263_422,
    # The count of the implementation in imgclsmob; the paper gives none.
    "shufflenet_v1_g3_x1_0": 1_865_728,
    "shufflenet_v1_g3_x1_0_cifar100": 1_865_728 - 900 * (960 + 1),
    # torchvision's documentation (num_params)
    "mobilenet_v2_x1_0": 3_504_872,
    "mobilenet_v2_x1_0_cifar100": 3_504_872 - 900 * (1280 + 1),
    "resnet34": 21_797_672,
    # 0.85 M in the paper with 10 classes: 853,018 for shortcuts without parameters
    "resnet56_cifar100": 853_018 + 90 * (64 + 1),
}


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_importing_models_does_not_import_torch() -> None:
    code = "import sys, models, json; print(json.dumps([m for m in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(json.loads(result.stdout))
    assert not loaded & {"torch", "numpy", "onnx", "bench"}


@pytest.mark.parametrize(
    "asked",
    [
        "build(Scheme.parse('dense'))",
        "total(Scheme.parse('prune-l1:0.25'))",
        "total(Scheme.parse('recursive:0.15'))",
    ],
)
def test_missing_torch_says_what_to_install(asked: str) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from models import MODELS, ModelsExtraMissing, Scheme\n"
        f"try:\n    MODELS['shufflenet_v2_x1_0'].{asked}\n"
        "except ModelsExtraMissing as error:\n    print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert "-m pip install 'bench-on-device[models]'" in result.stdout


def test_every_model_has_a_pinned_count() -> None:
    assert MODELS.keys() == PARAMETERS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_parameter_counts(name: str) -> None:
    spec = MODELS[name]
    with torch.device("meta"):
        assert count(spec.architecture(DENSE)) == PARAMETERS[name] == spec.parameters


def test_same_name_and_scheme_give_the_same_weights_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = SMALL.build(SHARED).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(3)
    second = SMALL.build(SHARED).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(value.dtype in (torch.float32, torch.int64) for value in first.values())
    other = SMALL.build(Scheme.parse("basis:5/10/21")).state_dict()
    assert not torch.equal(first["conv1.0.weight"], other["conv1.0.weight"])


@pytest.mark.parametrize("scheme", [DENSE, SHARED], ids=str)
def test_activations_are_sane_and_batch_norms_not_trivial(scheme: Scheme) -> None:
    network = SMALL.build(scheme)
    assert not network.training
    scores = network(torch.randn(8, *SMALL.input_shape, generator=torch.Generator().manual_seed(1)))
    assert scores.shape == (8, SMALL.classes)
    assert 0.02 < scores.std() < 20
    assert scores.std(dim=0).mean() > 0.02  # it answers to its input
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            assert module.running_mean.std() > 0
            assert (module.running_var > 0).all()
            assert module.weight.std() > 0.05


def test_training_form_equals_generated_form_with_frozen_statistics() -> None:
    network = SMALL.build(SHARED)
    layer = next(m for m in network.modules() if isinstance(m, BasisLayer))
    x = torch.randn(2, layer.shape.inputs, 5, 5)
    generated = layer(x)
    layer.train()
    layer.norm.eval()
    assert torch.allclose(layer(x), generated, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "shufflenet_v2_x0_5_cifar100",
        "shufflenet_v2_x0_5_fashion_mnist",
        "shufflenet_v1_g3_x1_0_cifar100",
        "mobilenet_v2_x1_0_cifar100",
        "resnet56_cifar100",
    ],
)
def test_folding_keeps_the_outputs_and_leaves_no_batch_norm(name: str) -> None:
    spec = MODELS[name]
    x = torch.randn(2, *spec.input_shape)
    network = spec.build(DENSE)
    folded = fold(network).network
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    expected = network(x)
    assert (folded(x) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_folding_a_shared_network_keeps_the_outputs_in_both_forms() -> None:
    x = torch.randn(2, *SMALL.input_shape)
    network = SMALL.build(SHARED)
    expected = network(x)
    folded = fold(network)
    for form in (folded.network, factored(folded)):
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in form.modules())
        assert (form(x) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_folding_leaves_the_original_alone() -> None:
    network = SMALL.build(SHARED)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fold(network)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_batch_norm_with_another_user_of_its_input_is_kept() -> None:
    class Forked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 1)
            self.norm = torch.nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return self.norm(y) + y  # type: ignore[no-any-return]

    network = Forked().eval()
    network.norm.running_mean = torch.randn(4)
    folded = fold(network).network
    x = torch.randn(1, 3, 2, 2)
    assert isinstance(folded.norm, torch.nn.BatchNorm2d)
    assert torch.allclose(folded(x), network(x), atol=1e-6)


def test_describe_counts_parameters_and_multiply_adds() -> None:
    spec = MODELS["shufflenet_v2_x1_0"]
    dense = describe(spec, DENSE)
    assert dense.macs == 144_907_992  # the paper says 146 M
    assert (dense.parameters, dense.reduction, dense.macs_by_weights) == (2_278_604, 0, {})
    shared = describe(spec, Scheme.parse("basis:10/20/40"))
    assert shared.parameters == 1_708_186
    assert shared.parameters_dense == 2_278_604
    assert shared.reduction == pytest.approx(0.2503, abs=1e-4)
    assert shared.macs == shared.macs_by_weights["load"] == dense.macs
    generation = sum(
        group.parameters_dense * (group.templates + group.own) for group in shared.groups
    )
    assert shared.macs_by_weights["runtime"] == dense.macs + generation
    assert shared.macs_by_weights["factored"] < dense.macs
    assert [g.templates for g in shared.groups] == [10, 20, 40]
    saved = sum(g.parameters_dense - g.parameters for g in shared.groups)
    assert saved == shared.parameters_dense - shared.parameters

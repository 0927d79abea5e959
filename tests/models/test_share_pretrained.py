"""Starting from a trained dense network: the best approximation, its error, what does not fit."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from models import MODELS, Scheme, SchemeError
from models.fitting import fit_basis, fit_mixture
from models.grouping import find_groups
from models.sharing import share

DENSE = Scheme.parse("dense")
SMALL = MODELS["shufflenet_v2_x0_5_cifar100"]


def chain(layers: int = 4, width: int = 12) -> nn.Sequential:
    """Pointwise units with BatchNorms whose statistics are not trivial."""
    torch.manual_seed(11)
    units = [
        nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        for _ in range(layers)
    ]
    network = nn.Sequential(*units)
    network(torch.randn(8, width, 4, 4))
    return network.eval()


def with_weights(network: nn.Sequential, weights: Sequence[Tensor]) -> nn.Sequential:
    for unit, weight in zip(network, weights, strict=True):
        unit[0].weight.data.copy_(weight[:, :, None, None])
    return network


def drawn(*shape: int, seed: int) -> Tensor:
    """As torch.randn, but the same whatever was drawn before: some are made at collection."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mixtures(templates: int, layers: int = 4, width: int = 12) -> list[Tensor]:
    """Weights of as many outputs as inputs, of a size that leaves activations near one."""
    bank = drawn(templates, width, width, seed=1) / width**0.5
    factors = drawn(layers, templates, seed=2) / templates**0.5
    return list(torch.einsum("lk,koi->loi", factors, bank))


def bases(shared: int, own: int, layers: int = 4, width: int = 12) -> list[Tensor]:
    bank = drawn(shared, width, seed=1) / width**0.5
    rows = drawn(layers, own, width, seed=2) / width**0.5
    factors = drawn(layers, width, shared + own, seed=3) / (shared + own) ** 0.5
    return [f @ torch.cat([bank, r]) for f, r in zip(factors, rows, strict=True)]


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("basis-shared:3", bases(3, 0)),
        ("basis-shared-plain:3", bases(3, 0)),
        ("basis-plain:12", mixtures(4)),
        ("soft:2", mixtures(2)),
        ("blocks:2", mixtures(2)),
        ("reuse-1", mixtures(1, layers=1) * 4),
    ],
)
def test_weights_that_a_scheme_can_express_are_met(text: str, weights: list[Tensor]) -> None:
    dense = with_weights(chain(), weights)
    network = chain()
    report = share(network, text, init_from=dense.state_dict())
    assert [layer.path for layer in report.layers] == ["0.0", "1.0", "2.0", "3.0"]
    assert all(layer.error is not None and layer.error < 1e-5 for layer in report.layers)
    x = torch.randn(2, 12, 4, 4)
    torch.testing.assert_close(network(x), dense(x), atol=1e-4, rtol=1e-4)
    assert "error 0.0 %" in str(report)


def test_a_basis_with_own_rows_comes_close_to_weights_that_it_can_express() -> None:
    weights = bases(4, 1, layers=6, width=16)
    fit = fit_basis(weights, templates=4, own=1)
    for weight, own, coefficients in zip(weights, fit.own, fit.coefficients, strict=True):
        basis = torch.cat([fit.templates, own])
        torch.testing.assert_close(basis @ basis.T, torch.eye(5, dtype=torch.float64))
        error = torch.linalg.norm(weight - coefficients @ basis) / torch.linalg.norm(weight)
        assert error < 0.1


def test_alternation_only_improves_on_the_singular_values() -> None:
    torch.manual_seed(1)
    weights = [torch.randn(10, 14) for _ in range(5)]

    def error(own: int) -> float:
        fit = fit_basis(weights, templates=4, own=own)
        pairs = zip(weights, fit.own, fit.coefficients, strict=True)
        return sum(
            float((w - c @ torch.cat([fit.templates, o])).square().sum()) for w, o, c in pairs
        )

    stacked = torch.cat(weights)
    _, _, right = torch.linalg.svd(stacked)
    start = 0.0
    for weight in weights:
        rest = weight - weight @ right[:4].T @ right[:4]
        start += float((torch.linalg.svdvals(rest)[2:] ** 2).sum())
    assert error(2) < start
    assert error(0) == pytest.approx(
        float((torch.linalg.svdvals(stacked)[4:] ** 2).sum()), rel=1e-4
    )


def test_singular_values_do_no_worse_than_alternating_least_squares() -> None:
    torch.manual_seed(4)
    rows = torch.randn(9, 30, dtype=torch.float64)
    coefficients, templates = fit_mixture(rows, 3)
    best = float((rows - coefficients @ templates).square().sum())
    for _ in range(3):
        trial = torch.randn(3, 30, dtype=torch.float64)
        for _ in range(200):
            factors = torch.linalg.lstsq(trial.T, rows.T).solution.T
            trial = torch.linalg.lstsq(factors, rows).solution
        assert best <= float((rows - factors @ trial).square().sum()) * (1 + 1e-9)


def test_errors_grow_with_the_reduction_and_are_those_of_the_generated_weights() -> None:
    dense = SMALL.architecture(DENSE).eval()
    state = dense.state_dict()
    means = []
    for text in ("soft:9/17/9", "soft:5/9/5", "soft:1/1/1"):
        network = SMALL.architecture(DENSE)
        report = share(network, text, init_from=state)
        for layer in report.layers[::7]:
            weight = state[f"{layer.path}.weight"]
            generated = network.get_submodule(layer.path).weight
            error = torch.linalg.norm(weight - generated) / torch.linalg.norm(weight)
            assert layer.error == pytest.approx(float(error.detach()), abs=1e-5)
        means.append(sum(layer.error for layer in report.layers) / len(report.layers))
    assert means[0] < 1e-5 < means[1] < means[2] < 1


def test_what_does_not_share_keeps_its_trained_values() -> None:
    state = SMALL.build(DENSE).state_dict()
    network = SMALL.architecture(DENSE)
    share(network, "basis:5/10/20", init_from=state)
    after = network.state_dict()
    kept = [name for name in state if name in after]
    assert len(kept) == len(state) - sum(group.layers for group in SMALL.groups)
    assert all(torch.equal(state[name], after[name]) for name in kept)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s.pop("conv1.0.weight"), "the state dict lacks conv1.0.weight"),
        (
            lambda s: s.update({"banks.x": torch.zeros(1)}),
            "has banks.x, which this network has not",
        ),
        (
            lambda s: s.update({"fc.weight": torch.zeros(1000, 1024)}),
            "has fc.weight as (1000, 1024), not (100, 1024)",
        ),
    ],
)
def test_state_dict_of_another_network_is_one_line_and_changes_nothing(change, expected) -> None:
    state = copy.copy(SMALL.architecture(DENSE).state_dict())
    change(state)
    network = SMALL.architecture(DENSE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(SchemeError) as caught:
        share(network, "soft:0.1", init_from=state)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_state_dict_of_another_scheme_or_width_is_refused() -> None:
    shared = SMALL.architecture(Scheme.parse("soft:1/1/1")).state_dict()
    wider = MODELS["shufflenet_v2_x1_0_cifar100"].architecture(DENSE).state_dict()
    for state in (shared, wider):
        network = SMALL.architecture(DENSE)
        with pytest.raises(SchemeError, match="of another network, width, number of classes or"):
            share(network, "soft:0.1", init_from=state)
        assert find_groups(network)

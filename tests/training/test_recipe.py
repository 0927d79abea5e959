"""The recipe of the method, as it is written down."""

from __future__ import annotations

import pytest
import torch

from models import MODELS, Scheme
from models.training.recipe import Recipe

MODEL = MODELS["shufflenet_v2_x0_5_fashion_mnist"]


def test_the_rate_falls_to_a_fifth_at_60_120_and_160_of_200_epochs() -> None:
    recipe = Recipe()
    rates = [recipe.lr_at(epoch) for epoch in (0, 59, 60, 119, 120, 159, 160, 199)]
    assert rates == pytest.approx([0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.0008, 0.0008])


@pytest.mark.parametrize(
    ("epochs", "rates"),
    [(1, [0.1]), (2, [0.1, 0.02]), (5, [0.1, 0.1, 0.02, 0.004, 0.0008])],
)
def test_a_shorter_training_keeps_the_proportions(epochs: int, rates: list[float]) -> None:
    recipe = Recipe(epochs=epochs)
    assert [recipe.lr_at(epoch) for epoch in range(epochs)] == pytest.approx(rates)


@pytest.mark.parametrize("scheme", ["dense", "basis:0.25", "blocks:0.15", "soft:0.15", "reuse-1"])
def test_all_is_decayed_but_the_coefficients(scheme: str) -> None:
    network = MODEL.architecture(Scheme.parse(scheme))
    decayed, free = Recipe().parameter_groups(network)
    assert (decayed["weight_decay"], free["weight_decay"]) == (5e-4, 0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert len(decayed["params"]) + len(free["params"]) == len(names)
    assert {id(each) for each in (*decayed["params"], *free["params"])} == set(names)
    coefficients = {name for name in names.values() if name.endswith("coefficients")}
    assert {names[id(each)] for each in free["params"]} == coefficients
    assert bool(coefficients) == (scheme not in ("dense", "reuse-1"))


def test_only_bases_that_are_not_orthonormal_are_penalised() -> None:
    logits, labels = torch.randn(4, 10), torch.arange(4)
    network = MODEL.architecture(Scheme.parse("basis:0.25"))
    without = Recipe(orthogonality=0).loss(logits, labels, network)
    loss = Recipe().loss(logits, labels, network)
    assert loss.item() == pytest.approx(without.item(), abs=1e-4)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("banks."):
                parameter.mul_(2)
    # Twice an orthonormal basis: B·Bᵀ - I = 3·I, whose mean square is 9·ΣS / ΣS².
    sizes = MODEL.fit(Scheme.parse("basis:0.25"))
    penalty = 10 * 9 * sum(sizes) / sum(size**2 for size in sizes)
    loss = Recipe().loss(logits, labels, network)
    assert (loss - without).item() == pytest.approx(penalty, rel=1e-3)


@pytest.mark.parametrize("scheme", ["dense", "blocks:0.15", "soft:0.15", "reuse-2"])
def test_other_templates_than_bases_are_not_penalised(scheme: str) -> None:
    logits, labels = torch.randn(4, 10), torch.arange(4)
    network = MODEL.architecture(Scheme.parse(scheme))
    losses = [Recipe(orthogonality=each).loss(logits, labels, network) for each in (0, 10)]
    assert losses[0].item() == losses[1].item()


def test_label_smoothing_and_confidence_penalty() -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(6, 10), torch.arange(6)
    network = MODEL.architecture(Scheme.parse("dense"))
    log_p = logits.double().log_softmax(dim=1)
    cross = -log_p[range(6), labels].mean()
    smoothed = Recipe(label_smoothing=0.1).loss(logits, labels, network)
    assert smoothed.item() == pytest.approx((0.9 * cross - 0.1 * log_p.mean()).item(), rel=1e-5)
    entropy = -(log_p.exp() * log_p).sum(dim=1).mean()
    penalised = Recipe(confidence_penalty=0.2).loss(logits, labels, network)
    assert penalised.item() == pytest.approx((cross - 0.2 * entropy).item(), rel=1e-5)

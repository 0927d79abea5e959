"""Scheme ``soft``: W_l = Σ_k c_l,k · T_k, full-shape templates (Savarese & Maire 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.drawn import Bank, DrawnLayer, Recipe, Shape, kaiming, mixing
from models.fitting import fit_mixture
from models.groups import ShareGroup
from models.sizing import BankSize


class SoftBank(Bank):
    """Templates (K, outputs, inputs)."""

    def __init__(self, plan: BankSize, size: int) -> None:
        super().__init__()
        group = plan.parts[0].group
        self.templates = nn.Parameter(kaiming(size, group.outputs, group.inputs))

    def layer(self, shape: Shape, group: ShareGroup) -> SoftLayer:
        """A layer that mixes the templates with coefficients of length 1."""
        return SoftLayer(self, shape)

    def approximate(self, layers: Sequence[DrawnLayer], weights: Sequence[Tensor]) -> None:
        """Fit by singular values."""
        rows = torch.stack([weight.flatten() for weight in weights])
        coefficients, templates = fit_mixture(rows, len(self.templates))
        with torch.no_grad():
            self.templates.copy_(templates.view_as(self.templates))
            for layer, row in zip(layers, coefficients, strict=True):
                layer.get_parameter("coefficients").copy_(row)

    def recipe(self, layers: Sequence[DrawnLayer], scales: Sequence[Tensor]) -> Recipe:
        """One product makes the weights of all layers, each in one piece; the scales come after.

        With the scales in the coefficients there would be a coefficient per output, and the
        weights of a layer would lie apart from each other.
        """
        coefficients: list[Tensor] = [layer.get_parameter("coefficients") for layer in layers]
        return Recipe(
            "soft",
            {
                "templates": self.templates.flatten(1),
                "coefficients": torch.stack(coefficients),
                "scales": torch.stack(list(scales))[:, :, None],
            },
        )


class SoftLayer(DrawnLayer):
    """A layer with one coefficient per template: (K)."""

    def __init__(self, bank: SoftBank, shape: Shape) -> None:
        super().__init__(bank, shape)
        self.coefficients = nn.Parameter(mixing(1, len(bank.templates))[0])

    def generated(self) -> tuple[Tensor, Tensor | None]:
        """The mixture of the templates, and the layer's bias."""
        return torch.einsum("k,koi->oi", self.coefficients, self.bank.templates), self.bias

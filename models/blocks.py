"""Scheme ``blocks``: block (a, b) of W_l is Σ_k c_l,a,b,k · T_k with small square templates."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import torch
from torch import Tensor, nn

from models.drawn import Bank, DrawnLayer, Recipe, Shape, kaiming, mixing
from models.fitting import fit_mixture
from models.groups import ShareGroup
from models.sizing import BankSize


class BlocksBank(Bank):
    """Templates (K, t, t); t divides the inputs and outputs of all layers that draw on them."""

    def __init__(self, plan: BankSize, size: int) -> None:
        super().__init__()
        side = isqrt(plan.template)
        self.templates = nn.Parameter(kaiming(size, side, side))

    def layer(self, shape: Shape, group: ShareGroup) -> BlocksLayer:
        """A layer whose blocks mix the templates with coefficients of length 1."""
        return BlocksLayer(self, shape)

    def approximate(self, layers: Sequence[DrawnLayer], weights: Sequence[Tensor]) -> None:
        """Fit by singular values over the blocks of all layers."""
        side = self.templates.shape[-1]
        tiles = [_tiles(weight, side) for weight in weights]
        coefficients, templates = fit_mixture(torch.cat(tiles), len(self.templates))
        with torch.no_grad():
            self.templates.copy_(templates.view_as(self.templates))
            own = torch.split(coefficients, [len(part) for part in tiles])
            for layer, rows in zip(layers, own, strict=True):
                parameter = layer.get_parameter("coefficients")
                parameter.copy_(rows.view_as(parameter))

    def recipe(self, layers: Sequence[DrawnLayer], scales: Sequence[Tensor]) -> Recipe:
        """One product makes the blocks of all layers; the scales come after it."""
        coefficients = [layer.get_parameter("coefficients").flatten(0, 1) for layer in layers]
        return Recipe(
            "blocks",
            {
                "templates": self.templates.flatten(1),
                "coefficients": torch.cat(coefficients),
                "scales": torch.stack(list(scales))[:, :, None],
            },
        )


class BlocksLayer(DrawnLayer):
    """A layer with one coefficient per block and template: (outputs / t, inputs / t, K)."""

    def __init__(self, bank: BlocksBank, shape: Shape) -> None:
        super().__init__(bank, shape)
        templates, side, _ = bank.templates.shape
        down, across = shape.outputs // side, shape.inputs // side
        coefficients = mixing(down * across, templates).view(down, across, templates)
        # The templates are drawn for a fan-out of t; that of the whole weight is larger.
        self.coefficients = nn.Parameter(coefficients / down**0.5)

    def generated(self) -> tuple[Tensor, Tensor | None]:
        """The tiled weight, and the layer's bias."""
        tiles = torch.einsum("abk,kpq->apbq", self.coefficients, self.bank.templates)
        return tiles.reshape(self.shape.outputs, self.shape.inputs), self.bias


def _tiles(weight: Tensor, side: int) -> Tensor:
    """Blocks of a weight as rows: ((outputs / t) · (inputs / t), t²), across first."""
    outputs, inputs = weight.shape
    tiles = weight.view(outputs // side, side, inputs // side, side).transpose(1, 2)
    return tiles.reshape(-1, side * side)

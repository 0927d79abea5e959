"""Schemes ``reuse-1`` and ``reuse-2``: W_l = T, one weight for a place of repeated units."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.drawn import Bank, DrawnLayer, Recipe, Shape, kaiming
from models.groups import ShareGroup
from models.sizing import BankSize


class ReuseBank(Bank):
    """The weight that layers reuse: (outputs, inputs)."""

    def __init__(self, plan: BankSize, size: int) -> None:
        super().__init__()
        group = plan.parts[0].group
        self.templates = nn.Parameter(kaiming(size, group.outputs, group.inputs)[0])

    def layer(self, shape: Shape, group: ShareGroup) -> ReusedLayer:
        """A layer without parameters of its own, but for a bias."""
        return ReusedLayer(self, shape)

    def approximate(self, layers: Sequence[DrawnLayer], weights: Sequence[Tensor]) -> None:
        """Take the mean of the weights."""
        with torch.no_grad():
            self.templates.copy_(torch.stack([weight.double() for weight in weights]).mean(0))

    def recipe(self, layers: Sequence[DrawnLayer], scales: Sequence[Tensor]) -> Recipe:
        """Each layer scales the common weight."""
        scale = torch.stack(list(scales))[:, :, None]
        return Recipe("reuse", {"templates": self.templates, "scales": scale})


class ReusedLayer(DrawnLayer):
    """A layer that applies the bank's weight as it is."""

    def generated(self) -> tuple[Tensor, Tensor | None]:
        """The common weight, and the layer's bias."""
        return self.bank.templates, self.bias

"""Scheme ``basis``: W_l = C_l · [B_s ; B_u,l], from shared and own basis rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from models.drawn import Bank, DrawnLayer, Recipe, Shape, batch_norm_affine, orthogonal
from models.fitting import fit_basis
from models.groups import ShareGroup
from models.sizing import BankSize


class BasisBank(Bank):
    """Shared rows B_s: (S, inputs), orthonormal at the start.

    ``own``: layers have rows of their own; ``norm``: they have a BatchNorm on the basis output.
    """

    def __init__(self, plan: BankSize, size: int, *, own: bool, norm: bool) -> None:
        super().__init__()
        group = plan.parts[0].group
        self.templates = nn.Parameter(orthogonal(size, group.inputs))
        self._own, self._norm = own, norm

    def layer(self, shape: Shape, group: ShareGroup) -> BasisLayer:
        """A layer with orthogonal coefficients and own rows."""
        return BasisLayer(self, shape, group.own if self._own else 0, norm=self._norm)

    def approximate(self, layers: Sequence[DrawnLayer], weights: Sequence[Tensor]) -> None:
        """Fit by singular values and alternation; a BatchNorm on the basis starts as identity."""
        members = [layer for layer in layers if isinstance(layer, BasisLayer)]
        own = members[0].rows - len(self.templates)
        fit = fit_basis(weights, len(self.templates), own)
        with torch.no_grad():
            self.templates.copy_(fit.templates)
            for layer, rows, factors in zip(members, fit.own, fit.coefficients, strict=True):
                layer.coefficients.copy_(factors)
                if layer.own is not None:
                    layer.own.copy_(rows)
                if layer.norm is not None:
                    layer.norm.reset_parameters()
                    layer.norm.weight.fill_((1 + layer.norm.eps) ** 0.5)

    def recipe(self, layers: Sequence[DrawnLayer], scales: Sequence[Tensor]) -> Recipe:
        """Both BatchNorms go into the coefficients: that on the basis into their columns."""
        members = [layer for layer in layers if isinstance(layer, BasisLayer)]
        tensors = {
            "templates": self.templates,
            "coefficients": torch.stack(
                [
                    layer.folded_coefficients()[0] * scale[:, None]
                    for layer, scale in zip(members, scales, strict=True)
                ]
            ),
        }
        own: list[Tensor] = [layer.own for layer in members if layer.own is not None]
        return Recipe("basis", {**tensors, "own": torch.stack(own)} if own else tensors)


class BasisLayer(DrawnLayer):
    """A layer with coefficients C: (outputs, S + U) and own rows B_u: (U, inputs).

    Training applies the two factors one after the other with the BatchNorm between them,
    y = C·BN(B·x); evaluation generates the weight once per call with that BatchNorm folded in.
    """

    own: nn.Parameter | None
    norm: nn.BatchNorm1d | nn.BatchNorm2d | None

    def __init__(self, bank: BasisBank, shape: Shape, own: int, *, norm: bool) -> None:
        super().__init__(bank, shape)
        self.rows = len(bank.templates) + own
        parameter = nn.Parameter(orthogonal(own, shape.inputs)) if own else None
        self.register_parameter("own", parameter)
        self.coefficients = nn.Parameter(orthogonal(shape.outputs, self.rows))
        self.norm = None
        if norm:
            self.norm = (nn.BatchNorm1d if shape.linear else nn.BatchNorm2d)(self.rows)

    def basis(self) -> Tensor:
        """Shared and own rows together: (S + U, inputs)."""
        shared: Tensor = self.bank.templates
        return shared if self.own is None else torch.cat([shared, self.own])

    def folded_coefficients(self) -> tuple[Tensor, Tensor | None]:
        """Coefficients and bias with the BatchNorm on the basis output folded in.

        From C·(s ⊙ (B·x) + t) = (C·diag(s))·B·x + C·t, with s and t of the running statistics.
        """
        trained = self._trained_bias
        if self.norm is None:
            return self.coefficients, trained
        scale, shift = batch_norm_affine(self.norm)
        bias = self.coefficients @ shift
        return self.coefficients * scale, bias if trained is None else bias + trained

    @property
    def bias(self) -> Tensor | None:  # type: ignore[override]
        """The bias that goes with :attr:`weight`.

        Of both, torch's transformer layers make use without calling the layer.
        """
        return self.folded_coefficients()[1]

    @property
    def _trained_bias(self) -> nn.Parameter | None:
        """The parameter named bias, which training applies after the BatchNorm on the basis."""
        return cast("nn.Parameter | None", self.__getattr__("bias"))

    def generated(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias with the BatchNorm on the basis output folded in."""
        coefficients, bias = self.folded_coefficients()
        return coefficients @ self.basis(), bias

    def forward(self, x: Tensor) -> Tensor:
        """Map as the layer does that this one replaces."""
        if not self.training:
            return super().forward(x)
        y = self.shape.apply(x, self.basis())
        if self.norm is not None:
            y = self.norm(y.flatten(0, -2)).view(y.shape) if self.shape.linear else self.norm(y)
        return self.shape.apply_last(y, self.coefficients, self._trained_bias)


class FactoredBank(nn.Module):
    """Shared rows that factored layers refer to: (S, inputs)."""

    def __init__(self, templates: Tensor) -> None:
        super().__init__()
        self.templates = nn.Parameter(templates)


class FactoredLayer(nn.Module):
    """A folded layer of scheme ``basis`` that never generates its weight: y = C·(B·x) + bias.

    ``own`` is None when U = 0. The bank is owned by the network.
    """

    own: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        shape: Shape,
        bank: FactoredBank,
        own: Tensor | None,
        coefficients: Tensor,
        bias: Tensor | None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self._bank = (bank,)  # a tuple: a reference, not ownership
        self.register_parameter("own", None if own is None else nn.Parameter(own))
        self.coefficients = nn.Parameter(coefficients)
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias))

    def forward(self, x: Tensor) -> Tensor:
        """Map as the layer does that this one replaces."""
        shared: Tensor = self._bank[0].templates
        rows = shared if self.own is None else torch.cat([shared, self.own])
        return self.shape.apply_last(self.shape.apply(x, rows), self.coefficients, self.bias)


BASIS = partial(BasisBank, own=True, norm=True)
BASIS_SHARED = partial(BasisBank, own=False, norm=True)
BASIS_PLAIN = partial(BasisBank, own=True, norm=False)
BASIS_SHARED_PLAIN = partial(BasisBank, own=False, norm=False)

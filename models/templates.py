"""Template reuse: shared templates and the layers that draw their weights from them.

Reconstructed from the abstract of Kim & Kang, "Parameter-Efficient Neural Networks Using Template
Reuse" (KIPS TSDE 9(5), 2020, DOI 10.3745/KTSDE.2020.9.5.169), with the equations of the same
authors' later work on shared filter bases (arXiv 2006.05066).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TemplateBank(nn.Module):
    """The templates that the layers of one group share.

    ``templates``: (S, width), orthogonal rows at the start.
    """

    def __init__(self, templates: int, width: int) -> None:
        super().__init__()
        self.templates = nn.Parameter(orthogonal(templates, width))


class _DrawnPointwise(nn.Module):
    """A pointwise convolution without fixed weights: W = coefficients · [templates ; own].

    The bank is owned by the network, not by the layer, so that it appears once in the state
    dict. ``own``: (U, width); ``coefficients``: (width, S + U).
    """

    own: nn.Parameter
    coefficients: nn.Parameter

    def __init__(self, bank: TemplateBank) -> None:
        super().__init__()
        # A tuple is not searched for submodules: this is a reference, not ownership.
        self._bank = (bank,)

    @property
    def bank(self) -> TemplateBank:
        """The bank that this layer draws on."""
        return self._bank[0]

    def basis(self) -> Tensor:
        """Shared and own rows together: (S + U, width)."""
        return torch.cat([self.bank.templates, self.own])


class BasisPointwise(_DrawnPointwise):
    """A pointwise layer of scheme ``basis`` as it is trained.

    Training applies the two thin convolutions with a BatchNorm between them, y = C·BN(B·x);
    evaluation generates the weight once per call with that BatchNorm folded into it.
    """

    def __init__(self, bank: TemplateBank, own: int) -> None:
        super().__init__(bank)
        templates, width = bank.templates.shape
        self.own = nn.Parameter(orthogonal(own, width))
        self.coefficients = nn.Parameter(orthogonal(width, templates + own))
        self.norm = nn.BatchNorm2d(templates + own)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        if self.training:
            return _pointwise(self.norm(_pointwise(x, self.basis())), self.coefficients)
        coefficients, bias = self.folded_coefficients()
        return _pointwise(x, coefficients @ self.basis(), bias)

    def folded_coefficients(self) -> tuple[Tensor, Tensor]:
        """Coefficients and bias with the basis BatchNorm folded in.

        From C·(s ⊙ (B·x) + t) = (C·diag(s))·B·x + C·t, with s and t of the running statistics.
        """
        scale, shift = batch_norm_affine(self.norm)
        return self.coefficients * scale, self.coefficients @ shift


class FoldedPointwise(_DrawnPointwise):
    """The layer as it is exported: no BatchNorm left, a bias instead.

    ``factored`` chooses between generating the weight, y = (C·B)·x + bias, and two thin
    convolutions, y = C·(B·x) + bias.
    """

    def __init__(self, bank: TemplateBank, own: Tensor, coefficients: Tensor, bias: Tensor) -> None:
        super().__init__(bank)
        self.own = nn.Parameter(own)
        self.coefficients = nn.Parameter(coefficients)
        self.bias = nn.Parameter(bias)
        self.factored = False

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        if self.factored:
            return _pointwise(_pointwise(x, self.basis()), self.coefficients, self.bias)
        return _pointwise(x, self.coefficients @ self.basis(), self.bias)


def batch_norm_affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift per channel that a BatchNorm applies in evaluation mode."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return scale, norm.bias - mean * scale


def orthogonal(rows: int, columns: int) -> Tensor:
    """A matrix with orthonormal rows (or columns, when there are more rows).

    Rounded to steps of 2⁻²⁴, below which the machine's LAPACK shows.
    """
    return nn.init.orthogonal_(torch.empty(rows, columns)).mul(2**24).round().div(2**24)


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(x, weight.reshape(*weight.shape, 1, 1), bias)

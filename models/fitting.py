"""Best approximations of given weights by templates and coefficients.

All work in double precision and minimise the sum of squared differences over all weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SWEEPS = 10
TOLERANCE = 2e-3
"""Alternation ends when a sweep improves the squared error by less than this share of it."""


@dataclass(frozen=True, slots=True)
class BasisFit:
    """W_l ≈ coefficients_l · [templates ; own_l]; the templates are orthonormal, own rows too."""

    templates: Tensor
    own: list[Tensor]
    coefficients: list[Tensor]


def fit_mixture(rows: Tensor, templates: int) -> tuple[Tensor, Tensor]:
    """Approximate rows (m, d) by coefficients (m, K) · templates (K, d); returns both.

    The truncated singular value decomposition is the best such product (Eckart & Young 1936), the
    very point that alternating least squares would converge to. The singular values are split
    evenly, so that templates are of the size of weights.
    """
    rows = rows.double()
    left, values, right = torch.linalg.svd(rows, full_matrices=False)
    kept = min(templates, len(values))
    size = (rows.norm() / max(len(rows), 1) ** 0.5).clamp(min=1e-12)
    coefficients = rows.new_zeros(len(rows), templates)
    found = rows.new_zeros(templates, rows.shape[1])
    coefficients[:, :kept] = left[:, :kept] * values[:kept] / size
    found[:kept] = right[:kept] * size
    return coefficients, found


def fit_basis(weights: Sequence[Tensor], templates: int, own: int) -> BasisFit:
    """Approximate weights (outputs, inputs) by S shared and U own basis rows each.

    Starts from the principal rows of all weights together, with those of each residual as own
    rows; then alternates: the shared rows by least squares for the coefficients at hand, own rows
    and coefficients anew by projection. Every step is optimal for what it holds fixed, so the
    error never grows.
    """
    stacked = torch.stack([weight.double() for weight in weights])
    shared = _principal_rows(torch.einsum("loi,loj->ij", stacked, stacked), templates)
    best = _project(stacked, shared, own)
    if own == 0:
        return best[0]
    for _ in range(SWEEPS):
        trial = _project(stacked, _least_squares(stacked, best[0], templates), own)
        gain = best[1] - trial[1]
        if gain <= 0:
            break
        finished = gain < TOLERANCE * best[1]
        best = trial
        if finished:
            break
    return best[0]


def _project(stacked: Tensor, shared: Tensor, own: int) -> tuple[BasisFit, float]:
    """The best own rows and coefficients for given orthonormal shared rows; squared error."""
    residual = stacked - stacked @ shared.T @ shared
    own_rows = list(_principal_rows(residual.mT @ residual, own))
    bases = [torch.cat([shared, rows]) for rows in own_rows]
    # From the residual, since own rows of a residual that vanishes point anywhere.
    coefficients = [
        torch.cat([weight @ shared.T, rest @ rows.T], dim=1)
        for weight, rest, rows in zip(stacked, residual, own_rows, strict=True)
    ]
    error = sum(
        float((weight - factor @ basis).square().sum())
        for weight, factor, basis in zip(stacked, coefficients, bases, strict=True)
    )
    return BasisFit(shared, own_rows, coefficients), error


def _least_squares(stacked: Tensor, fit: BasisFit, templates: int) -> Tensor:
    """Orthonormal rows that span the best shared rows for given own rows and coefficients."""
    normal = stacked.new_zeros(templates, templates)
    moment = stacked.new_zeros(templates, stacked.shape[2])
    for weight, rows, factors in zip(stacked, fit.own, fit.coefficients, strict=True):
        shared_factors, own_factors = factors[:, :templates], factors[:, templates:]
        normal += shared_factors.T @ shared_factors
        moment += shared_factors.T @ (weight - own_factors @ rows)
    shared = torch.linalg.lstsq(normal, moment, driver="gelsd").solution
    orthonormal: Tensor = torch.linalg.qr(shared.T).Q
    return orthonormal.T


def _principal_rows(gram: Tensor, rows: int) -> Tensor:
    """The ``rows`` orthonormal directions of largest variance, from Gram matrices (…, i, i)."""
    vectors: Tensor = torch.linalg.eigh(gram).eigenvectors
    return vectors.flip(-1)[..., :rows].mT

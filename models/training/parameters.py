"""What a recipe must know about the parameters of a network that shares."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.basis import BasisBank
from models.drawn import DrawnLayer


def coefficient_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The coefficients that mix templates, of all layers that draw on banks; none otherwise."""
    return [
        parameter
        for layer in network.modules()
        if isinstance(layer, DrawnLayer)
        for name, parameter in layer.named_parameters(recurse=False)
        if name == "coefficients"
    ]


def orthogonality_penalty(network: nn.Module) -> Tensor:
    """How far shared bases are from orthonormal rows: the mean square entry of B·Bᵀ - I.

    The mean is over all banks, Σ‖B·Bᵀ - I‖² / ΣS², as the authors' training code has it
    (github.com/ssregibility/Net_RL2). Their λ = 10 belongs to it: with the plain sum a step of
    learning rate 0.1 along one row's length (curvature 8λ) overshoots and training diverges.
    0 for a network without shared bases.
    """
    bases = [module.templates for module in network.modules() if isinstance(module, BasisBank)]
    if not bases:
        return torch.zeros(())
    squares = [
        (basis @ basis.T - torch.eye(len(basis), device=basis.device)).square().sum()
        for basis in bases
    ]
    return torch.stack(squares).sum() / sum(len(basis) ** 2 for basis in bases)

"""How many parameters a network has."""

from __future__ import annotations

from torch import nn


def count_parameters(network: nn.Module) -> int:
    """Parameters of a network, those that several layers share once."""
    return sum(parameter.numel() for parameter in network.parameters())

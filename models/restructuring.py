"""What the schemes have in common that change a network itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from models.scheme import Scheme

if TYPE_CHECKING:
    from models.spec import ModelSpec


def count_parameters(network: nn.Module) -> int:
    """Parameters of a network, those that several layers share once."""
    return sum(parameter.numel() for parameter in network.parameters())


def restructured_total(spec: ModelSpec, change: Callable[[nn.Module], None]) -> int:
    """Parameters of the model's dense network after ``change``, which acts in place.

    Counted on the meta device: no memory, no arithmetic. Raises what ``change`` raises.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = spec.architecture(Scheme("dense"))
        change(network)
    return count_parameters(network)

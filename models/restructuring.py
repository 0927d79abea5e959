"""What the schemes have in common that change a network itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from models.parameters import count_parameters
from models.scheme import Scheme

if TYPE_CHECKING:
    from models.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class RestructuredPart:
    """Equal pieces of a network, the inner channels of a unit or the units of a run.

    ``kept`` of ``of`` are left; ``each`` is the parameters of one.
    """

    name: str
    kept: int
    of: int
    each: int

    @property
    def parameters(self) -> int:
        """Parameters of the pieces that are left."""
        return self.kept * self.each

    @property
    def parameters_dense(self) -> int:
        """Parameters of all pieces."""
        return self.of * self.each


class Restructuring(Protocol):
    """What a kind provides that changes a network's structure instead of sharing its layers."""

    def total(self, spec: ModelSpec, scheme: Scheme) -> int:
        """Parameters of the model's network under the scheme.

        Raises UnreachableReduction with the ceiling, SchemeError when the network has nothing to
        change, ModelsExtraMissing when it takes torch to know and torch is missing.
        """

    def apply(self, network: nn.Module, scheme: Scheme) -> None:
        """Change a network in place, judging by its present weights.

        It may be any torch network, and lie on the meta device, where only shapes are known.
        Random numbers come from torch's generator. Raises SchemeError as ``total`` does.
        """

    def parts(self, network: nn.Module, scheme: Scheme) -> tuple[RestructuredPart, ...]:
        """What is left of a dense network, part by part. Raises SchemeError as ``total``."""


@cache  # building a network takes a while, and every export asks more than once
def restructured_total(spec: ModelSpec, scheme: Scheme) -> int:
    """Parameters of the model's network under a scheme that changes it.

    Counted on the meta device: no memory, no arithmetic. Raises SchemeError when the scheme does
    not fit this network.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = spec.architecture(Scheme("dense"))
        scheme.kind.load().apply(network, scheme)
    return count_parameters(network)

"""Which layers of a network can share weights, as plain data. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


class SchemeError(ValueError):
    """A scheme is misspelled or does not fit the network; the message says what would."""


class UnreachableReduction(SchemeError):
    """The wanted reduction is larger than the scheme can reach; the message names the ceiling."""


@dataclass(frozen=True, slots=True)
class ShareGroup:
    """Layers of a network that can draw on the same templates: pointwise or linear, equal shapes.

    ``name`` tells the groups of a network apart (the module below which the layers lie, with the
    shape where that is not unique), ``inputs`` and ``outputs`` are the shape of each layer,
    ``layers`` is n, ``own`` is U, the number of basis rows that a layer of scheme ``basis`` keeps
    for itself. ``reused`` counts the layers that schemes ``reuse-1`` and ``reuse-2`` spare at the
    first and at the second pointwise layer of the units that repeat. All of it is what
    :func:`models.grouping.find_groups` finds in the network itself.
    """

    name: str
    inputs: int
    outputs: int
    layers: int
    own: int
    reused: tuple[int, int] = (0, 0)

    @property
    def layer_parameters(self) -> int:
        """Weights of one layer without sharing."""
        return self.inputs * self.outputs

    @property
    def dense_parameters(self) -> int:
        """Weights of the whole group without sharing."""
        return self.layers * self.layer_parameters

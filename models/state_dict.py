"""A state dict, as a training leaves it or torchvision has it, for just the network it is of."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

_COUNTER = "num_batches_tracked"
"""Of every BatchNorm; files from before torch 0.4.1 lack it, torchvision's among them."""


class Misfit(ValueError):
    """A state dict is of another network; the message says what it lacks, or has otherwise."""


def load(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict, or leave the network as it is. Raises Misfit."""
    own = network.state_dict()
    for name in dict.fromkeys([*own, *state]):
        if name not in own:
            raise Misfit(f"has {name}, which this network has not: {_ADVICE}")
        if name not in state:
            if name.endswith(_COUNTER):
                continue
            raise Misfit(f"lacks {name}: {_ADVICE}")
        found, wanted = tuple(state[name].shape), tuple(own[name].shape)
        if found != wanted:
            raise Misfit(f"has {name} as {found}, not {wanted}: {_ADVICE}")
    # A plain dict: what torch notes of versions beside it would make counters compulsory.
    network.load_state_dict(dict(state))


_ADVICE = "it is of another network, width, number of classes or scheme"

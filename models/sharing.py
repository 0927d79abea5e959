"""Puts a sharing scheme into a network: replaces its layers by ones that draw on templates."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from models.scheme import ShareGroup
from models.templates import BasisPointwise, TemplateBank


def share(network: nn.Module, groups: Sequence[ShareGroup], sizes: Sequence[int]) -> None:
    """Replace, in place, the layers of each group by ones that draw on a common bank.

    ``sizes``: templates per group. The banks become ``network.banks``, one per group. Raises
    ValueError when the network does not have the layers that a group announces.
    """
    if not groups:
        return
    banks = nn.ModuleDict()
    for group, size in zip(groups, sizes, strict=True):
        bank = TemplateBank(size, group.width)
        for path in shareable_layers(network, group):
            parent, _, name = path.rpartition(".")
            setattr(network.get_submodule(parent), name, BasisPointwise(bank, group.own))
        banks[group.name.replace(".", "_")] = bank
    network.add_module("banks", banks)


def shareable_layers(network: nn.Module, group: ShareGroup) -> list[str]:
    """Paths of the layers below ``group.name`` that are b × b pointwise convolutions."""
    paths = [
        f"{group.name}.{path}"
        for path, module in network.get_submodule(group.name).named_modules()
        if isinstance(module, nn.Conv2d) and _is_plain_pointwise(module, group.width)
    ]
    if len(paths) != group.layers:
        raise ValueError(
            f"{group.name} has {len(paths)} pointwise layers of width {group.width}, "
            f"not {group.layers}"
        )
    return paths


def _is_plain_pointwise(layer: nn.Conv2d, width: int) -> bool:
    return (
        layer.in_channels == layer.out_channels == width
        and layer.kernel_size == (1, 1)
        and layer.stride == (1, 1)
        and layer.groups == 1
        and layer.bias is None
    )

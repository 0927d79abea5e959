"""Puts a scheme into any torch network, from scratch or from a trained one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models import state_dict
from models.drawn import Bank, Banks, DrawnLayer, Shape
from models.grouping import FoundGroup, find_groups
from models.groups import SchemeError, ShareGroup
from models.parameters import count_parameters
from models.scheme import Scheme
from models.sizing import BankSize

BANKS = "banks"
"""Name under which the banks become a submodule of the network."""


@dataclass(frozen=True, slots=True)
class SharedLayer:
    """A layer that shares: its path, the name of its group and of its bank in the network.

    ``error`` is ‖W − Ŵ‖ / ‖W‖ (Frobenius) of the approximation of a trained weight, None without.
    """

    path: str
    group: str
    bank: str
    error: float | None


@dataclass(frozen=True, slots=True)
class SharingReport:
    """What a scheme did to a network.

    ``sizes`` are the templates of each bank by name; parameters count the whole network.
    """

    scheme: str
    sizes: dict[str, int]
    layers: tuple[SharedLayer, ...]
    parameters_dense: int
    parameters: int

    @property
    def saved(self) -> int:
        """Parameters saved."""
        return self.parameters_dense - self.parameters

    def __str__(self) -> str:
        head = (
            f"{self.scheme}: {self.saved:,} of {self.parameters_dense:,} parameters saved "
            f"({100 * self.saved / self.parameters_dense:.1f} %)"
        )
        rows = [
            f"  {layer.path}: {layer.group}"
            + (f", error {100 * layer.error:.1f} %" if layer.error is not None else "")
            for layer in self.layers
        ]
        return "\n".join([head, *rows])


def share(
    network: nn.Module,
    scheme: Scheme | str,
    *,
    groups: Sequence[ShareGroup] | None = None,
    init_from: Mapping[str, Tensor] | None = None,
) -> SharingReport:
    """Apply a scheme to a network in place and report what it did.

    Without ``groups`` every group is used that :func:`~models.grouping.find_groups` finds; with
    them, those of the network that are named. Layers are replaced by ones that draw on banks,
    which become ``network.banks``. ``init_from`` is the state dict of the trained dense network:
    it is loaded, and templates and coefficients start as its best approximation; without it, they
    start as for training from scratch, and everything else stays as it is. A kind that
    restructures is applied to the loaded weights.

    Raises SchemeError (UnreachableReduction) when scheme, groups or state dict do not fit the
    network, before any layer is replaced.
    """
    scheme = Scheme.parse(scheme) if isinstance(scheme, str) else scheme
    if hasattr(network, BANKS):
        raise SchemeError("this network shares already; start from the dense network")
    before = count_parameters(network)
    found = _chosen(find_groups(network), groups) if scheme.shares else ()
    plans = scheme.banks([each.group for each in found])
    sizes = scheme.fit([each.group for each in found], before) if scheme.shares else ()
    if init_from is not None:
        try:
            state_dict.load(network, init_from)
        except state_dict.Misfit as error:
            raise SchemeError(f"the state dict {error}") from None
    layers: list[SharedLayer] = []
    if scheme.kind.restructures:
        scheme.kind.load().apply(network, scheme)
    if plans:
        banks = Banks()
        for plan, size in zip(plans, sizes, strict=True):
            for name, members in _members(plan, found, scheme.kind.positions):
                bank = scheme.kind.load()(plan, size)
                banks[name] = bank
                layers += _replace(network, bank, name, members, fit=init_from is not None)
        network.add_module(BANKS, banks)
    return SharingReport(
        scheme=str(scheme),
        sizes={plan.name: size for plan, size in zip(plans, sizes, strict=True)},
        layers=tuple(layers),
        parameters_dense=before,
        parameters=count_parameters(network),
    )


def _chosen(
    found: Sequence[FoundGroup], wanted: Sequence[ShareGroup] | None
) -> tuple[FoundGroup, ...]:
    """The groups of a network that were asked for, with what was said about their own rows."""
    if wanted is None:
        return tuple(found)
    by_name = {each.group.name: each for each in found}
    chosen = []
    for group in wanted:
        each = by_name.get(group.name)
        if each is None:
            raise SchemeError(
                f"this network has no group {group.name!r} of layers that can share; "
                f"it has {', '.join(by_name) or 'none at all'}"
            )
        here, said = each.group, group
        if (here.inputs, here.outputs, here.layers) != (said.inputs, said.outputs, said.layers):
            raise SchemeError(
                f"{group.name} has {here.layers} layers of {here.inputs}×{here.outputs}, "
                f"not {said.layers} of {said.inputs}×{said.outputs}"
            )
        chosen.append(FoundGroup(group, each.layers, each.places))
    return tuple(chosen)


def _members(
    plan: BankSize, found: Sequence[FoundGroup], positions: int
) -> Iterator[tuple[str, list[tuple[ShareGroup, str]]]]:
    """Names of a plan's banks in the network, each with its layers: one, but for ``reuse``."""
    names = [part.group.name for part in plan.parts]
    drawing = [each for each in found if each.group.name in names]
    key = plan.name.replace(".", "_")
    if not positions:
        yield key, [(each.group, path) for each in drawing for path in each.layers]
        return
    for each in drawing:
        common = [paths for place in each.places[:positions] for paths in place]
        for index, paths in enumerate(common, start=1):
            yield f"{key}_{index}", [(each.group, path) for path in paths]


def _replace(
    network: nn.Module,
    bank: Bank,
    name: str,
    members: Sequence[tuple[ShareGroup, str]],
    *,
    fit: bool,
) -> list[SharedLayer]:
    drawn: list[DrawnLayer] = []
    weights: list[Tensor] = []
    for group, path in members:
        dense = network.get_submodule(path)
        weight = dense.get_parameter("weight").detach()
        layer = bank.layer(Shape.of(dense), group)
        if layer.shape.bias:
            layer.bias = dense.get_parameter("bias")
        layer.to(weight.device, weight.dtype).train(dense.training)
        bank.to(weight.device, weight.dtype)
        weights.append(weight.flatten(1))
        network.set_submodule(path, layer)
        drawn.append(layer)
    errors: list[float | None] = [None] * len(drawn)
    if fit:
        bank.approximate(drawn, weights)
        errors = [_error(layer, weight) for layer, weight in zip(drawn, weights, strict=True)]
    return [
        SharedLayer(path, group.name, name, error)
        for (group, path), error in zip(members, errors, strict=True)
    ]


def _error(layer: DrawnLayer, weight: Tensor) -> float:
    with torch.no_grad():
        generated, _ = layer.generated()
        difference = torch.linalg.norm(generated.double() - weight.double())
        return float(difference / torch.linalg.norm(weight.double()).clamp(min=1e-30))

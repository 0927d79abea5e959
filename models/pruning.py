"""Scheme ``prune-l1``: removes the channels between the two pointwise layers of a unit.

Li et al. 2017, "Pruning Filters for Efficient ConvNets" (arXiv 1608.08710): the channels whose
filters have the smallest sum of absolute weights go. Here these are the channels that the first
pointwise layer of a unit makes, a depthwise layer filters and the last pointwise layer uses up.
All other channels are tied to those of other units, by shuffling or by addition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from models.allocation import CLOSE, proportional
from models.groups import SchemeError, UnreachableReduction
from models.parameters import count_parameters
from models.restructuring import RestructuredPart, restructured_total
from models.scheme import Scheme

if TYPE_CHECKING:
    from models.spec import ModelSpec

_CHANNELWISE = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Identity)


@dataclass(frozen=True, slots=True)
class PrunableUnit:
    """Two pointwise layers with only channel by channel work between them.

    ``first``, ``between`` and ``last`` are module paths; ``channels`` is how many channels lie
    between, ``channel_parameters`` what one of them holds in all layers together.
    """

    first: str
    between: tuple[str, ...]
    last: str
    channels: int
    channel_parameters: int


class L1Pruning:
    """Prunes every unit to the same share of its channels, or to given numbers of them.

    Spelled ``prune-l1:0.25`` (share of the network's parameters to save) or with the channels
    that are left in each unit, ``prune-l1:12/12/11/…``, in the order of the network.
    """

    def total(self, spec: ModelSpec, scheme: Scheme) -> int:
        """Parameters of the model's network under the scheme. Raises as :func:`channels_left`."""
        return restructured_total(spec, scheme)

    def apply(self, network: nn.Module, scheme: Scheme) -> None:
        """Prune in place by the network's present weights. Raises as :func:`channels_left`."""
        units = prunable_units(network)
        left = channels_left(units, scheme, count_parameters(network))
        for unit, count in zip(units, left, strict=True):
            prune_unit(network, unit, count)

    def parts(self, network: nn.Module, scheme: Scheme) -> tuple[RestructuredPart, ...]:
        """The inner channels of each unit, named by its first layer."""
        units = prunable_units(network)
        left = channels_left(units, scheme, count_parameters(network))
        return tuple(
            RestructuredPart(unit.first, count, unit.channels, unit.channel_parameters)
            for unit, count in zip(units, left, strict=True)
        )


PRUNE_L1 = L1Pruning()


def prunable_units(network: nn.Module) -> list[PrunableUnit]:
    """Units whose inner channels nothing else uses, in the order of execution.

    Raises SchemeError when the order cannot be found out.
    """
    try:
        graph = fx.Tracer().trace(network)
    except TraceError as error:
        raise SchemeError(
            f"this network cannot be pruned: what it does depends on its input ({error})"
        ) from error
    modules = dict(network.named_modules())
    units = []
    for node in graph.nodes:
        between: list[str] = []
        following = node
        while (following := _only_user(following)) is not None and following.op == "call_module":
            module = modules[str(following.target)]
            if not _works_channelwise(module):
                break
            between.append(str(following.target))
        if following is None or following.op != "call_module" or node.op != "call_module":
            continue
        first, last = modules[str(node.target)], modules[str(following.target)]
        if (
            _is_pointwise(first)
            and _is_pointwise(last)
            and any(isinstance(modules[path], nn.Conv2d) for path in between)
        ):
            assert isinstance(first, nn.Conv2d) and isinstance(last, nn.Conv2d)
            held = sum(count_parameters(modules[path]) for path in (str(node.target), *between))
            units.append(
                PrunableUnit(
                    str(node.target),
                    tuple(between),
                    str(following.target),
                    channels=first.out_channels,
                    channel_parameters=held // first.out_channels + last.out_channels,
                )
            )
    return units


def channels_left(
    units: Sequence[PrunableUnit], scheme: Scheme, parameters: int
) -> tuple[int, ...]:
    """Channels that each unit keeps in a network of so many parameters.

    Raises SchemeError when the network has no such units or the given numbers do not fit them,
    UnreachableReduction when the wanted reduction takes more than all but one channel per unit.
    """
    if scheme.reduction is None or not units:
        _check(str(scheme), scheme.sizes, units)
        return scheme.sizes
    limits = [unit.channels for unit in units]
    costs = [unit.channel_parameters for unit in units]
    inner = sum(limit * cost for limit, cost in zip(limits, costs, strict=True))
    budget = inner - parameters * scheme.reduction
    left = proportional(limits, costs, budget, close=CLOSE * parameters)
    if left is None:
        raise unreachable(units, parameters, scheme.reduction)
    return left


def unreachable(
    units: Sequence[PrunableUnit], parameters: int, reduction: float
) -> UnreachableReduction:
    """The error that a network of so many parameters cannot be pruned by so much."""
    most = sum((unit.channels - 1) * unit.channel_parameters for unit in units)
    return UnreachableReduction(
        f"a reduction of {100 * reduction:g} % cannot be reached: with one channel per unit "
        f"this network saves at most {100 * most / parameters:.1f} %"
    )


def prune_unit(network: nn.Module, unit: PrunableUnit, count: int) -> None:
    """Leave the ``count`` channels of a unit whose first filters have the largest L1 norms."""
    first = network.get_submodule(unit.first)
    last = network.get_submodule(unit.last)
    assert isinstance(first, nn.Conv2d) and isinstance(last, nn.Conv2d)
    norms = first.weight.detach().abs().sum(dim=(1, 2, 3))
    kept = norms.argsort(descending=True, stable=True)[:count].sort().values
    first.out_channels = last.in_channels = count
    _keep(first, kept)
    for path in unit.between:
        module = network.get_submodule(path)
        if isinstance(module, nn.Conv2d):
            module.in_channels = module.out_channels = module.groups = count
        if isinstance(module, nn.BatchNorm2d):
            module.num_features = count
        _keep(module, kept)
    last.weight = nn.Parameter(last.weight.detach()[:, kept], last.weight.requires_grad)


def _keep(module: nn.Module, kept: Tensor) -> None:
    """Leave only some channels in every parameter and buffer that has one entry per channel."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        value = nn.Parameter(parameter.detach()[kept], parameter.requires_grad)
        setattr(module, name, value)
    for name, buffer in list(module.named_buffers(recurse=False)):
        if buffer.ndim:  # BatchNorm's count of batches has no channels
            setattr(module, name, buffer[kept])


def _check(text: str, sizes: Sequence[int], units: Sequence[PrunableUnit]) -> None:
    if not units:
        raise SchemeError(
            f"scheme {text!r}: this network has nothing to prune: it takes units of a "
            "pointwise, a depthwise and a pointwise layer"
        )
    if len(sizes) != len(units):
        raise SchemeError(
            f"scheme {text!r} gives channels for {len(sizes)} unit(s), this network has "
            f"{len(units)}"
        )
    for unit, size in zip(units, sizes, strict=True):
        if size > unit.channels:
            raise SchemeError(
                f"scheme {text!r}: {size} channels after {unit.first}, which has only "
                f"{unit.channels}"
            )


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _works_channelwise(module: nn.Module) -> bool:
    depthwise = isinstance(module, nn.Conv2d) and (
        1 < module.groups == module.in_channels == module.out_channels
    )
    return depthwise or isinstance(module, (nn.BatchNorm2d, *_CHANNELWISE))


def _is_pointwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1

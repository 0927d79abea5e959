"""How many channels to prune where, by what each unit's pruning costs in quality.

Li et al. 2017 (arXiv 1608.08710) prune each layer on its own, watch the accuracy, and spare the
layers that are sensitive. Here every unit is pruned on its own to a few numbers of channels; then
channels are taken away one by one, always where the loss of quality, interpolated between the
measurements, is still the smallest.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from models.allocation import spend
from models.pruning import PrunableUnit, prunable_units, prune_unit, unreachable
from models.scheme import Scheme

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of a unit's channels that are pruned for the measurement; one channel always stays."""


@dataclass(frozen=True, slots=True)
class UnitSensitivity:
    """What pruning one unit costs: ``losses`` of quality when ``channels`` are left.

    ``channels`` fall from all of them, where the loss is 0; losses never fall.
    """

    unit: PrunableUnit
    channels: tuple[int, ...]
    losses: tuple[float, ...]

    def loss(self, channels: int) -> float:
        """Loss of quality with so many channels left, linear between the measurements."""
        return float(np.interp(channels, self.channels[::-1], self.losses[::-1]))


def measure_sensitivity(
    network: nn.Module, evaluate: Callable[[nn.Module], float]
) -> list[UnitSensitivity]:
    """Prune each unit of a trained network on its own and evaluate it; the network stays as it is.

    ``evaluate`` returns a quality of the network it is given, the higher the better, such as its
    accuracy or its negative loss on data that are not the test set. It is called four times for
    each unit, and once before.
    """
    whole = evaluate(network)
    return [_measure(network, unit, whole, evaluate) for unit in prunable_units(network)]


def scheme_by_sensitivity(
    measured: Sequence[UnitSensitivity], parameters: int, reduction: float
) -> Scheme:
    """Return ``prune-l1`` with the channels of each unit that save a reduction at small loss.

    ``parameters`` counts the whole network, ``reduction`` (0..1) is the share of them to save.
    Raises as :func:`models.pruning.channels_left`.
    """
    limits = [each.unit.channels for each in measured]
    costs = [each.unit.channel_parameters for each in measured]
    inner = sum(limit * cost for limit, cost in zip(limits, costs, strict=True))
    budget = inner - parameters * reduction
    if not measured or sum(costs) > budget:
        raise unreachable([each.unit for each in measured], parameters, reduction)
    left = list(limits)
    while inner > budget:
        # Where losses are equal, the unit with the larger share of its channels left is next.
        index = min(
            (index for index, count in enumerate(left) if count > 1),
            key=lambda i: (measured[i].loss(left[i] - 1), -left[i] / limits[i]),
        )
        left[index] -= 1
        inner -= costs[index]
    order = [-each.loss(count) for each, count in zip(measured, left, strict=True)]
    return Scheme("prune-l1", sizes=spend(left, limits, costs, budget, order=order))


def _measure(
    network: nn.Module,
    unit: PrunableUnit,
    whole: float,
    evaluate: Callable[[nn.Module], float],
) -> UnitSensitivity:
    channels, losses = [unit.channels], [0.0]
    for share in SHARES:
        left = max(1, round(unit.channels * (1 - share)))
        pruned = copy.deepcopy(network)
        prune_unit(pruned, unit, left)
        channels.append(left)
        losses.append(max(losses[-1], whole - evaluate(pruned)))
    return UnitSensitivity(unit, tuple(channels), tuple(losses))

"""Scheme ``recursive``: units that follow each other are iterations of one unit.

After layer reuse (Köpüklü et al. 2019, "Convolutional Neural Networks with Layer Reuse",
arXiv 1901.09615) and recursive networks (Guo et al. 2019, "Dynamic Recursive Neural Network",
CVPR): the iterations have all weights in common, and each has BatchNorms (and biases) of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

from models.allocation import CLOSE, proportional
from models.drawn import Banks, Shape
from models.groups import SchemeError, UnreachableReduction
from models.parameters import count_parameters
from models.restructuring import RestructuredPart, restructured_total
from models.reuse import ReuseBank, ReusedLayer
from models.scheme import Scheme
from models.sharing import BANKS

if TYPE_CHECKING:
    from models.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Run:
    """Units of equal make that follow each other directly below one ``nn.Sequential``.

    ``units`` are their paths, ``unit_parameters`` counts the weights that iterations of one can
    have in common.
    """

    units: tuple[str, ...]
    unit_parameters: int


class Recursion:
    """Leaves a few units of every run; these are iterated in place of the others.

    Spelled ``recursive:0.25`` (share of the network's parameters to save) or with the units that
    are left in each run, ``recursive:1/2/1``, in the order of the network.
    """

    def total(self, spec: ModelSpec, scheme: Scheme) -> int:
        """Parameters of the model's network under the scheme. Raises as :func:`units_left`."""
        return restructured_total(spec, scheme)

    def apply(self, network: nn.Module, scheme: Scheme) -> None:
        """Let units share in place; the first unit of each sharing few keeps its weights.

        The weights they share become ``network.banks``. Raises as :func:`units_left`.
        """
        runs = find_runs(network)
        left = units_left(runs, scheme, count_parameters(network))
        banks = Banks()
        for run, count in zip(runs, left, strict=True):
            for few in _parts(run.units, count):
                banks.update(iterate(network, few))
        network.add_module(BANKS, banks)

    def parts(self, network: nn.Module, scheme: Scheme) -> tuple[RestructuredPart, ...]:
        """The units of each run, named by the first and the last of them."""
        runs = find_runs(network)
        left = units_left(runs, scheme, count_parameters(network))
        return tuple(
            RestructuredPart(
                f"{run.units[0]} … {run.units[-1]}", count, len(run.units), run.unit_parameters
            )
            for run, count in zip(runs, left, strict=True)
        )


RECURSION = Recursion()


class IterationBank(ReuseBank):
    """The weight that iterations have in common, flat: (outputs, everything else)."""

    def __init__(self, weight: Tensor) -> None:
        nn.Module.__init__(self)
        self.templates = nn.Parameter(weight.detach().flatten(1).clone())


def find_runs(network: nn.Module) -> list[Run]:
    """Runs of two or more units with weights, in the order of the network."""
    runs: list[Run] = []
    for path, module in network.named_modules():
        inside = any(path.startswith(f"{unit}.") for run in runs for unit in run.units)
        if not isinstance(module, nn.Sequential) or inside:
            continue
        for _, group in groupby(module.named_children(), key=lambda child: repr(child[1])):
            children = list(group)
            weights = sum(layer.weight.numel() for _, layer in _layers(children[0][1]))
            if len(children) > 1 and weights:
                prefix = f"{path}." if path else ""
                runs.append(Run(tuple(prefix + name for name, _ in children), weights))
    return runs


def units_left(runs: Sequence[Run], scheme: Scheme, parameters: int) -> tuple[int, ...]:
    """Units that each run keeps in a network of so many parameters.

    Raises SchemeError when the network has no runs or the given numbers do not fit them,
    UnreachableReduction when one unit per run is still too much.
    """
    if not runs:
        raise SchemeError(
            f"scheme {str(scheme)!r}: this network has no units of equal make that follow each "
            "other"
        )
    if scheme.reduction is None:
        _check(str(scheme), scheme.sizes, runs)
        return scheme.sizes
    limits = [len(run.units) for run in runs]
    costs = [run.unit_parameters for run in runs]
    held = sum(limit * cost for limit, cost in zip(limits, costs, strict=True))
    budget = held - parameters * scheme.reduction
    left = proportional(limits, costs, budget, close=CLOSE * parameters)
    if left is None:
        raise UnreachableReduction(
            f"a reduction of {100 * scheme.reduction:g} % cannot be reached: with one unit for "
            "all iterations this network saves at most "
            f"{100 * (held - sum(costs)) / parameters:.1f} %"
        )
    return left


def iterate(network: nn.Module, units: Sequence[str]) -> dict[str, IterationBank]:
    """Let units use the weights of the first one; returns these by name, none for a single unit."""
    banks: dict[str, IterationBank] = {}
    if len(units) == 1:
        return banks
    for name, layer in _layers(network.get_submodule(units[0])):
        paths = [f"{unit}.{name}" if name else unit for unit in units]
        bank = banks[paths[0].replace(".", "_")] = IterationBank(layer.weight)
        for path in paths:
            dense = network.get_submodule(path)
            drawn = ReusedLayer(bank, Shape.of(dense)).train(dense.training)
            if drawn.bias is not None:
                drawn.bias = dense.get_parameter("bias")
            network.set_submodule(path, drawn)
    return banks


def _parts(units: Sequence[str], count: int) -> list[Sequence[str]]:
    """Cut units into ``count`` parts of about equal length."""
    ends = [len(units) * part // count for part in range(count + 1)]
    return [units[start:end] for start, end in pairwise(ends)]


def _layers(unit: nn.Module) -> list[tuple[str, nn.Conv2d | nn.Linear]]:
    """The layers whose weights iterations have in common, by their paths in the unit."""
    # Of torch's own classes: one that derives from them may use its weight otherwise.
    return [
        (name, module)
        for name, module in unit.named_modules()
        if type(module) is nn.Linear
        or (type(module) is nn.Conv2d and module.padding_mode == "zeros")
    ]


def _check(text: str, sizes: Sequence[int], runs: Sequence[Run]) -> None:
    if len(sizes) != len(runs):
        raise SchemeError(
            f"scheme {text!r} gives units for {len(sizes)} run(s), this network has {len(runs)}"
        )
    for run, size in zip(runs, sizes, strict=True):
        if size > len(run.units):
            raise SchemeError(
                f"scheme {text!r}: {size} units from {run.units[0]} on, where there are only "
                f"{len(run.units)}"
            )

"""Finds the layers of a network that can share weights.

Layers qualify when they are pointwise convolutions or linear layers (of torch's own classes) with
a weight that no other module uses. Qualifying layers of equal shape form a group when they lie in
at least two *units*: the numbered modules, such as ``stage2.1`` or ``blocks.7``, of which a deep
network is a sequence. Layers in different *stages*, the modules that hold the units, form groups
of their own; where stages have one such layer each, or there are none, equal shape decides.

Units that are built alike (equal layers at equal places) *repeat*: the schemes ``reuse`` give
their first pointwise layers one weight.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from models.groups import ShareGroup


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A group and the paths of its layers, in the network's order.

    ``places`` lists, for the first and the second pointwise layer of repeating units, the paths
    that take part in a common weight, one tuple per common weight.
    """

    group: ShareGroup
    layers: tuple[str, ...]
    places: tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: str
    shape: tuple[str, int, int]
    stage: str
    unit: str


def find_groups(network: nn.Module) -> tuple[FoundGroup, ...]:
    """Return the groups of a network in the order of their first layers; none if none repeats.

    A layer keeps U basis rows of its own in proportion to the width of its group, one where it is
    narrowest.
    """
    candidates = _candidates(network)
    members = _members(candidates)
    if not members:
        return ()
    narrowest = min(min(layers[0].shape[1:]) for layers in members)
    places = _places(network, candidates)
    names = _names(members)
    found = []
    for name, layers in zip(names, members, strict=True):
        _, inputs, outputs = layers[0].shape
        paths = tuple(layer.path for layer in layers)
        first, second = (
            tuple(path for path in common if set(path) <= set(paths)) for common in places
        )
        group = ShareGroup(
            name,
            inputs,
            outputs,
            layers=len(layers),
            own=max(1, int(min(inputs, outputs) / narrowest + 0.5)),
            reused=(_spared(first), _spared(second)),
        )
        found.append(FoundGroup(group, paths, (first, second)))
    return tuple(found)


def _candidates(network: nn.Module) -> list[_Candidate]:
    users = Counter(
        id(parameter)
        for module in network.modules()
        for parameter in module.parameters(recurse=False)
    )
    candidates = []
    for path, module in network.named_modules():
        if not _qualifies(module) or users[id(module.weight)] > 1:
            continue
        outputs, inputs = module.weight.shape[:2]
        stage, unit = _split(path)
        shape = (type(module).__name__, int(inputs), int(outputs))
        candidates.append(_Candidate(path, shape, stage, unit))
    return candidates


def _qualifies(module: nn.Module) -> bool:
    """Exactly torch's own classes: one that derives from them may use its weight otherwise."""
    if type(module) is nn.Linear:
        return True
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (1, 1)
        and module.groups == 1
        and module.padding in ((0, 0), "valid")
    )


def _split(path: str) -> tuple[str, str]:
    """Stage and unit of a layer: its path before and up to the first number."""
    names = path.split(".")
    for index, name in enumerate(names):
        if name.isdigit():
            return ".".join(names[:index]), ".".join(names[: index + 1])
    return path, path


def _members(candidates: Sequence[_Candidate]) -> list[list[_Candidate]]:
    by_shape: dict[tuple[str, int, int], list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_shape[candidate.shape].append(candidate)
    members = []
    for layers in by_shape.values():
        by_stage: dict[str, list[_Candidate]] = defaultdict(list)
        for layer in layers:
            by_stage[layer.stage].append(layer)
        members += [group for group in by_stage.values() if _repeats(group)]
        left = [layer for group in by_stage.values() if not _repeats(group) for layer in group]
        # A stage that holds two such layers in one unit does not repeat them.
        single = [layer for layer in left if len(by_stage[layer.stage]) == 1]
        if _repeats(single):
            members.append(single)
    order = {candidate.path: index for index, candidate in enumerate(candidates)}
    return sorted(members, key=lambda group: order[group[0].path])


def _repeats(layers: Iterable[_Candidate]) -> bool:
    return len({layer.unit for layer in layers}) > 1


def _names(members: Sequence[Sequence[_Candidate]]) -> list[str]:
    """The common stage, with the shape where that is not unique; the shape where there is none."""
    stages = [_common([layer.stage for layer in layers]) for layers in members]
    names = []
    for stage, layers in zip(stages, members, strict=True):
        _, inputs, outputs = layers[0].shape
        shape = f"{inputs}x{outputs}"
        if stage and stages.count(stage) == 1:
            names.append(stage)
        else:
            names.append(f"{stage}.{shape}" if stage else shape)
    return names


def _common(paths: Sequence[str]) -> str:
    """The longest path, in whole names, that all paths begin with."""
    split = [path.split(".") for path in paths]
    common = []
    for names in zip(*split, strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return ".".join(common)


def _places(
    network: nn.Module, candidates: Sequence[_Candidate]
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Paths with a common weight at the first and at the second candidate of repeating units."""
    in_unit: dict[str, list[str]] = defaultdict(list)
    stage_of = {}
    for candidate in candidates:
        in_unit[candidate.unit].append(candidate.path)
        stage_of[candidate.unit] = candidate.stage
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for unit in in_unit:
        if unit != stage_of[unit]:
            build = _build(network.get_submodule(unit))
            alike[(stage_of[unit], build)].append(unit)
    first, second = [], []
    for units in alike.values():
        if len(units) > 1:
            first.append(tuple(in_unit[unit][0] for unit in units))
            if len(in_unit[units[0]]) > 1:
                second.append(tuple(in_unit[unit][1] for unit in units))
    return first, second


def _build(unit: nn.Module) -> tuple[object, ...]:
    """What a unit is made of: every module with parameters, its place, options and shapes."""
    return tuple(
        (path, repr(module), tuple(tuple(p.shape) for p in module.parameters(recurse=False)))
        for path, module in unit.named_modules()
        if list(module.parameters(recurse=False))
    )


def _spared(places: Sequence[Sequence[str]]) -> int:
    return sum(len(paths) - 1 for paths in places)

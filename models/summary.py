"""How large a model is under a scheme, as a whole and stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from models.scheme import Scheme
from models.sizing import BankSize, Part, ceiling
from models.spec import ModelSpec, require_torch

if TYPE_CHECKING:
    from torch import nn

FLOAT_BYTES = 4
_DENSE = Scheme("dense")


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """How one group shares: ``templates`` of a ``bank`` serve ``layers`` of inputs × outputs.

    ``template_bytes`` and ``coefficient_bytes`` (whatever the layers have of their own) are in
    float32; a bank that serves several groups has a row of its own, without layers. ``macs_dense``
    are the multiply-adds of the layers for one input with the weights at hand, ``macs_generation``
    those that generate the weights, ``macs_factored`` those of the layers where nothing is
    generated (None where the scheme has no such mode). ``ceiling`` is the largest share of the
    whole network's parameters that this group can save.
    """

    group: str
    bank: str
    inputs: int
    outputs: int
    layers: int
    templates: int
    own: int
    parameters: int
    parameters_dense: int
    template_bytes: int
    coefficient_bytes: int
    macs_dense: int
    macs_generation: int
    macs_factored: int | None
    ceiling: float


@dataclass(frozen=True, slots=True)
class PartSummary:
    """What is left of a part by a scheme that changes the network: ``kept`` of ``of`` pieces.

    The pieces are the inner channels of a unit, or the units of a run. ``ceiling``: as in
    :class:`GroupSummary`.
    """

    part: str
    kept: int
    of: int
    parameters: int
    parameters_dense: int
    ceiling: float


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """Size of a network under a scheme.

    ``reduction`` is the share of ``parameters_dense`` that is saved, ``ceiling`` the largest that
    the scheme can save (None for dense). ``parts`` are for schemes that change the network,
    ``groups`` for those that share. ``macs`` are the multiply-adds of one
    inference of one input with the weights at hand; ``macs_by_weights`` has them per weight mode
    (``runtime`` also counts the generation of the weights).
    """

    name: str
    scheme: str
    parameters: int
    parameters_dense: int
    reduction: float
    ceiling: float | None
    macs: int
    macs_by_weights: dict[str, int]
    groups: tuple[GroupSummary, ...]
    parts: tuple[PartSummary, ...]


def describe(spec: ModelSpec, scheme: Scheme) -> ModelSummary:
    """Count parameters and multiply-adds.

    Raises SchemeError, and ModelsExtraMissing without torch (which counts the multiply-adds).
    """
    total = spec.total(scheme)
    macs = count_macs(spec, scheme)
    banks = scheme.banks(spec.groups) if scheme.shares else ()
    parts = _parts(spec, scheme) if scheme.kind.restructures else ()
    most = ceiling(banks, spec.parameters) if banks else sum(part.ceiling for part in parts)
    return ModelSummary(
        name=spec.name,
        scheme=str(scheme),
        parameters=total,
        parameters_dense=spec.parameters,
        reduction=1 - total / spec.parameters,
        ceiling=most if banks or parts else None,
        macs=macs[None],
        macs_by_weights={mode: count for mode, count in macs.items() if mode is not None},
        groups=_groups(spec, scheme, banks),
        parts=parts,
    )


def count_macs(spec: ModelSpec, scheme: Scheme) -> dict[str | None, int]:
    """Multiply-adds of one inference of one input by weight mode; None: with the weights at hand.

    Counted by torch on the meta device (no memory, no arithmetic); generating the weights is
    counted by formula. Raises as :meth:`ModelSpec.build`.
    """
    torch = require_torch()
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        if scheme == _DENSE:
            return {None: _dense_macs(spec)}
        if not scheme.shares:
            return {None: _run_and_count(spec, spec.architecture(scheme))}
        dense = _dense_macs(spec)
        macs: dict[str | None, int] = {None: dense}
        for mode in scheme.weight_modes:
            macs[mode] = dense
        if "runtime" in macs:
            sizes = zip(scheme.banks(spec.groups), spec.fit(scheme), strict=True)
            macs["runtime"] += sum(
                part.generation_macs(size) for bank, size in sizes for part in bank.parts
            )
        if "factored" in macs:
            from models.folding import factored, fold

            macs["factored"] = _run_and_count(spec, factored(fold(spec.architecture(scheme))))
    return macs


@cache
def _dense_macs(spec: ModelSpec) -> int:
    return _run_and_count(spec, spec.architecture(_DENSE))


def _groups(
    spec: ModelSpec, scheme: Scheme, banks: tuple[BankSize, ...]
) -> tuple[GroupSummary, ...]:
    if not banks:
        return ()
    positions = _positions(spec)
    rows = []
    for bank, size in zip(banks, spec.fit(scheme), strict=True):
        common = len(bank.parts) > 1
        if common:
            rows.append(_common_bank(spec, bank, size))
        template = 0 if common else bank.template
        for part in bank.parts:
            rows.append(_group(spec, scheme, bank, part, size, template, positions))
    return tuple(rows)


def _common_bank(spec: ModelSpec, bank: BankSize, size: int) -> GroupSummary:
    """The row of a bank that serves several groups."""
    templates = bank.template * size
    return GroupSummary(
        group=bank.name,
        bank=bank.name,
        inputs=0,
        outputs=0,
        layers=0,
        templates=size,
        own=0,
        parameters=templates,
        parameters_dense=0,
        template_bytes=templates * FLOAT_BYTES,
        coefficient_bytes=0,
        macs_dense=0,
        macs_generation=0,
        macs_factored=None,
        ceiling=-bank.template / spec.parameters,
    )


def _parts(spec: ModelSpec, scheme: Scheme) -> tuple[PartSummary, ...]:
    torch = require_torch()
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        found = scheme.kind.load().parts(spec.architecture(_DENSE), scheme)
    return tuple(
        PartSummary(
            part.name,
            part.kept,
            part.of,
            part.parameters,
            part.parameters_dense,
            (part.parameters_dense - part.each) / spec.parameters,
        )
        for part in found
    )


def _group(
    spec: ModelSpec,
    scheme: Scheme,
    bank: BankSize,
    part: Part,
    size: int,
    template: int,
    positions: dict[str, int],
) -> GroupSummary:
    """``template``: parameters of a template of the group's own bank, 0 where that has a row."""
    group = part.group
    templates, coefficients = template * size, part.layer_parameters(size)
    generation = part.generation_macs(size)
    rows = generation // group.dense_parameters
    at_least = part.layer_parameters(1) + template
    return GroupSummary(
        group=group.name,
        bank=bank.name,
        inputs=group.inputs,
        outputs=group.outputs,
        layers=group.layers,
        templates=size,
        own=rows - size if "factored" in scheme.weight_modes else 0,
        parameters=templates + coefficients,
        parameters_dense=group.dense_parameters,
        template_bytes=templates * FLOAT_BYTES,
        coefficient_bytes=coefficients * FLOAT_BYTES,
        macs_dense=group.layer_parameters * positions[group.name],
        macs_generation=generation,
        macs_factored=(
            rows * (group.inputs + group.outputs) * positions[group.name]
            if "factored" in scheme.weight_modes
            else None
        ),
        ceiling=(group.dense_parameters - at_least) / spec.parameters,
    )


def _positions(spec: ModelSpec) -> dict[str, int]:
    """How often the layers of each group are applied to one input, over all of them together."""
    torch = require_torch()
    from models.grouping import find_groups

    counts: dict[str, int] = {}
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = spec.architecture(_DENSE)
        for found in find_groups(network):
            name, outputs = found.group.name, found.group.outputs
            counts[name] = 0

            def note(
                module: nn.Module, inputs: Any, y: Any, name: str = name, outputs: int = outputs
            ) -> None:
                counts[name] += y.numel() // outputs

            for path in found.layers:
                network.get_submodule(path).register_forward_hook(note)
        _run_and_count(spec, network)
    return counts


def _run_and_count(spec: ModelSpec, network: nn.Module) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.eval()(torch.empty(1, *spec.input_shape))
    return counter.get_total_flops() // 2

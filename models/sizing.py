"""How large a network is under a sharing scheme, and the sizes for a wanted reduction.

In every scheme the parameters are linear in the number of templates. So a scheme is sized by a
few integers per group, worked out below, and one solver serves all. Needs no torch.

With n layers of i inputs and o outputs in a group, parameters of the group:

========== ==================================== =================================================
scheme     weight of layer l                    parameters
========== ==================================== =================================================
basis      C_l · [B_s ; B_u,l]                  S·i + n·(o(S+U) + U·i) + 2n(S+U)
blocks     block (a, b) is Σ_k c_l,a,b,k · T_k  K·t² + K·n·(o/t)(i/t)
soft       Σ_k c_l,k · T_k                      K·o·i + K·n
reuse      T                                    o·i per layer that is left
========== ==================================== =================================================

U is 0 without own rows; the last term of ``basis`` is the BatchNorm on the basis output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import gcd

from models.allocation import CLOSE, proportional
from models.groups import SchemeError, ShareGroup, UnreachableReduction


@dataclass(frozen=True, slots=True)
class Part:
    """What one group costs that draws on a bank of K templates, besides the templates.

    The layers hold ``fixed + K · per_template`` parameters of their own. Generating the weights
    of all layers once takes ``generation_fixed + K · generation`` multiply-adds.
    """

    group: ShareGroup
    fixed: int
    per_template: int
    generation_fixed: int
    generation: int

    def layer_parameters(self, size: int) -> int:
        """Parameters of all layers of the group with ``size`` templates."""
        return self.fixed + size * self.per_template

    def generation_macs(self, size: int) -> int:
        """Multiply-adds that generate the weights of all layers of the group."""
        return self.generation_fixed + size * self.generation


@dataclass(frozen=True, slots=True)
class BankSize:
    """Size of one bank: ``template`` parameters per template, at most ``largest`` of them."""

    name: str
    parts: tuple[Part, ...]
    template: int
    largest: int

    @property
    def step(self) -> int:
        """Parameters that one template more costs, its coefficients included."""
        return self.template + sum(part.per_template for part in self.parts)

    def parameters(self, size: int) -> int:
        """Parameters of the bank and of all layers that draw on it."""
        return size * self.step + sum(part.fixed for part in self.parts)


Sizing = Callable[[Sequence[ShareGroup]], tuple[BankSize, ...]]
"""From the groups of a network to its banks."""


def basis(groups: Sequence[ShareGroup], *, own: bool, norm: bool) -> tuple[BankSize, ...]:
    """Bases of S shared rows: ``own`` adds the U rows of each layer, ``norm`` the BatchNorm."""
    banks = []
    for group in groups:
        rows = group.own if own else 0
        per_row = group.outputs + (2 if norm else 0)
        part = Part(
            group,
            fixed=group.layers * rows * (per_row + group.inputs),
            per_template=group.layers * per_row,
            generation_fixed=group.dense_parameters * rows,
            generation=group.dense_parameters,
        )
        banks.append(BankSize(group.name, (part,), group.inputs, largest=group.inputs))
    return tuple(banks)


def soft(groups: Sequence[ShareGroup]) -> tuple[BankSize, ...]:
    """Full-shape templates, mixed with one coefficient per template and layer."""
    return tuple(
        BankSize(
            group.name,
            (Part(group, 0, group.layers, 0, group.dense_parameters),),
            group.layer_parameters,
            largest=group.layers,
        )
        for group in groups
    )


def blocks(groups: Sequence[ShareGroup], *, one_bank: bool) -> tuple[BankSize, ...]:
    """Square templates that tile the weights; one bank per group, or one for all groups."""
    if not groups:
        return ()
    side = block_size(groups)
    if side == 1:
        raise SchemeError("the layers that can share have no common divisor to tile them with")
    template = side**2
    parts = [
        Part(group, 0, group.dense_parameters // template, 0, group.dense_parameters)
        for group in groups
    ]
    if one_bank:
        largest = min(template, sum(part.per_template for part in parts))
        return (BankSize("all", tuple(parts), template, largest),)
    return tuple(
        BankSize(part.group.name, (part,), template, min(template, part.per_template))
        for part in parts
    )


def reuse(groups: Sequence[ShareGroup], *, positions: int) -> tuple[BankSize, ...]:
    """One weight for all layers at each of the first ``positions`` places of repeated units.

    The bank of a group counts as one template: all weights of the group that are left.
    """
    return tuple(
        BankSize(
            group.name,
            (Part(group, 0, 0, 0, 0),),
            (group.layers - sum(group.reused[:positions])) * group.layer_parameters,
            largest=1,
        )
        for group in groups
        if sum(group.reused[:positions])
    )


BASIS = partial(basis, own=True, norm=True)
BASIS_SHARED = partial(basis, own=False, norm=True)
BASIS_PLAIN = partial(basis, own=True, norm=False)
BASIS_SHARED_PLAIN = partial(basis, own=False, norm=False)
BLOCKS = partial(blocks, one_bank=False)
BLOCKS_ONE = partial(blocks, one_bank=True)
REUSE_1 = partial(reuse, positions=1)
REUSE_2 = partial(reuse, positions=2)


def block_size(groups: Sequence[ShareGroup]) -> int:
    """Side t of the square templates of ``blocks``: the largest that tiles every weight."""
    return gcd(*(side for group in groups for side in (group.inputs, group.outputs)))


def shared_total(banks: Sequence[BankSize], dense_parameters: int, sizes: Sequence[int]) -> int:
    """Parameters of the whole network when each bank has the given number of templates."""
    return dense_parameters + sum(
        bank.parameters(size) - sum(part.group.dense_parameters for part in bank.parts)
        for bank, size in zip(banks, sizes, strict=True)
    )


def ceiling(banks: Sequence[BankSize], dense_parameters: int) -> float:
    """Largest share of the network's parameters that sharing saves: with one template per bank."""
    return 1 - shared_total(banks, dense_parameters, [1] * len(banks)) / dense_parameters


def check_sizes(text: str, sizes: Sequence[int], banks: Sequence[BankSize]) -> None:
    """Raise SchemeError, naming the scheme ``text``, when sizes do not fit the banks."""
    if len(sizes) != len(banks):
        names = "/".join(bank.name for bank in banks)
        raise SchemeError(
            f"scheme {text!r} gives {len(sizes)} size(s), this network needs {len(banks)}: {names}"
        )
    for bank, size in zip(banks, sizes, strict=True):
        if size > bank.largest:
            raise SchemeError(
                f"scheme {text!r}: {size} templates for {bank.name}, "
                f"which can use {bank.largest} at most"
            )


def solve(banks: Sequence[BankSize], dense_parameters: int, reduction: float) -> tuple[int, ...]:
    """Sizes about proportional to the largest with the largest total that saves enough.

    ``reduction`` (0..1) is the share of ``dense_parameters`` to save; see
    :func:`models.allocation.proportional`. Raises UnreachableReduction.
    """
    fixed = shared_total(banks, dense_parameters, [0] * len(banks))
    sizes = proportional(
        [bank.largest for bank in banks],
        [bank.step for bank in banks],
        dense_parameters * (1 - reduction) - fixed,
        close=CLOSE * dense_parameters,
    )
    if sizes is None:
        raise UnreachableReduction(
            f"a reduction of {100 * reduction:g} % cannot be reached: with one template per bank "
            f"this network saves at most {100 * max(0, ceiling(banks, dense_parameters)):.1f} %"
        )
    return sizes

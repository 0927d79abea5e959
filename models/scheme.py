"""Sharing schemes: how they are spelled, and their sizes for a network. Needs no torch.

====================== ========================================================================
``dense``              the network as it is
``basis:0.25``         pointwise layers from shared bases, sized to save 25 % of all parameters
``basis:26/53/106``    the same with the templates per group given
``basis-shared:…``     ``basis`` without the rows that each layer keeps for itself
``basis-plain:…``      ``basis`` without the BatchNorm on the basis output
``basis-shared-plain`` without both
``blocks:…``           small square templates that tile the weights, a bank per group
``blocks-one:…``       the same with one bank for all groups
``soft:…``             full-shape templates, mixed per layer (soft sharing)
``reuse-1, reuse-2``   one weight for the first pointwise layer (the first two) of repeated units
``prune-l1:…``         fewer channels between the pointwise layers of units, or how many are left
``recursive:…``        units that repeat one, or how many are left in each run
====================== ========================================================================

The equations stand in :mod:`models.sizing`, the kinds (and how to add one) in
:mod:`models.kinds`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from models.groups import SchemeError, ShareGroup, UnreachableReduction
from models.kinds import KINDS, Kind
from models.sizing import BankSize, check_sizes, shared_total, solve

__all__ = ["SPELLINGS", "Scheme", "SchemeError", "ShareGroup", "UnreachableReduction"]

SPELLINGS = (
    ", ".join(f"{name}:0.25" if kind.sized else name for name, kind in KINDS.items())
    + " (0.25: share of all parameters to save), or with templates: basis:26/53/106"
)
"""How schemes are written, in one line."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A parsed scheme; ``str()`` gives the spelling that :meth:`parse` reads.

    ``name`` is a key of KINDS. ``reduction`` is the wanted share (0..1) of the whole network's
    parameters to save, ``sizes`` the templates per bank; at most one of the two is given.
    """

    name: str
    reduction: float | None = None
    sizes: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.reduction is not None:
            return f"{self.name}:{self.reduction!r}"
        if self.sizes:
            return f"{self.name}:{'/'.join(map(str, self.sizes))}"
        return self.name

    @property
    def kind(self) -> Kind:
        """The kind of this scheme."""
        return KINDS[self.name]

    @property
    def shares(self) -> bool:
        """Whether layers draw on common templates."""
        return self.kind.shares

    @property
    def weight_modes(self) -> tuple[str, ...]:
        """When weights may come into being: of load, runtime, factored; none if they just are."""
        return self.kind.weight_modes

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Read a spelling such as ``dense``, ``basis:0.25``, ``soft:2/4/3`` or ``reuse-1``.

        Raises SchemeError when it is none.
        """
        name, colon, argument = text.strip().partition(":")
        if name not in KINDS:
            near = difflib.get_close_matches(name.lower(), KINDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SchemeError(f"unknown scheme {text!r}; {hint}known: {SPELLINGS}")
        if not KINDS[name].sized:
            if colon:
                raise SchemeError(f"scheme {text!r}: {name!r} takes nothing after it")
            return cls(name)
        if not argument:
            raise SchemeError(
                f"scheme {text!r} needs a reduction or sizes: {name}:0.25 or {name}:26/53/106"
            )
        if "/" in argument or argument.isdigit():
            return cls(name, sizes=_parse_sizes(text, name, argument))
        return cls(name, reduction=_parse_reduction(text, name, argument))

    def banks(self, groups: Sequence[ShareGroup]) -> tuple[BankSize, ...]:
        """The banks of templates that groups of layers get (none unless the scheme shares).

        Raises SchemeError when there is nothing that can share.
        """
        if self.kind.sizing is None:
            return ()
        banks = self.kind.sizing(groups)
        if not banks:
            raise SchemeError(
                f"scheme {str(self)!r}: this network has no layers that can share: "
                "it takes pointwise or linear layers of equal shape in several units"
            )
        return banks

    def fit(self, groups: Sequence[ShareGroup], dense_parameters: int) -> tuple[int, ...]:
        """Return the templates for each bank of a network (none unless the scheme shares).

        ``dense_parameters`` counts the whole network without sharing. Raises SchemeError when
        explicit sizes do not fit the groups, UnreachableReduction when the wanted reduction is
        beyond what the groups can save.
        """
        banks = self.banks(groups)
        if self.reduction is not None and banks:
            return solve(banks, dense_parameters, self.reduction)
        if not self.kind.sized:
            return (1,) * len(banks)
        check_sizes(str(self), self.sizes, banks)
        return self.sizes

    def total(self, groups: Sequence[ShareGroup], dense_parameters: int) -> int:
        """Parameters of a whole network when its groups share. Raises as :meth:`fit`."""
        sizes = self.fit(groups, dense_parameters)
        return shared_total(self.banks(groups), dense_parameters, sizes)


def _parse_sizes(text: str, name: str, argument: str) -> tuple[int, ...]:
    sizes = []
    for part in argument.split("/"):
        if not part.isascii() or not part.isdigit() or int(part) < 1:
            raise SchemeError(
                f"scheme {text!r}: {part!r} is not a number of templates (1 or more); "
                f"write {name}:0.25 or {name}:26/53/106"
            )
        sizes.append(int(part))
    return tuple(sizes)


def _parse_reduction(text: str, name: str, argument: str) -> float:
    try:
        reduction = float(argument)
    except ValueError:
        raise SchemeError(
            f"scheme {text!r}: {argument!r} is neither a reduction ({name}:0.25) "
            f"nor sizes ({name}:26/53/106)"
        ) from None
    if not 0 < reduction < 1:
        raise SchemeError(
            f"scheme {text!r}: the reduction must lie between 0 and 1, such as 0.25 for 25 %"
        )
    return reduction

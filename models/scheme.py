"""Sharing schemes: how they are spelled and how large they make a network.

A scheme says how the weights of a network come into being. ``dense`` leaves it as it is;
``basis`` draws the pointwise layers of one group from shared templates:

    W_l = C_l · [B_s ; B_u,l]

with B_s: S × b shared templates, B_u,l: U × b rows of the layer's own, C_l: b × (S + U)
coefficients, and a BatchNorm (2 parameters per row) on the basis output. A group of n layers of
width b thus holds S·b + n·(b(S+U) + U·b) + 2n(S+U) parameters instead of n·b².

Everything here is arithmetic; torch is not needed.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("dense", "basis")
SPELLINGS = "dense, basis:0.25 (share of all parameters to save), basis:26/53/106 (templates)"


class SchemeError(ValueError):
    """A scheme is misspelled or does not fit the network; the message says what would."""


class UnreachableReduction(SchemeError):
    """The wanted reduction is larger than sharing can reach; the message names the ceiling."""


@dataclass(frozen=True, slots=True)
class ShareGroup:
    """Layers of a network that can draw on the same templates.

    ``name`` is the module below which they lie, ``width`` is b (each layer is a b × b pointwise
    convolution), ``layers`` is n, ``own`` is U, the number of basis rows that a layer keeps for
    itself.
    """

    name: str
    width: int
    layers: int
    own: int

    @property
    def dense_parameters(self) -> int:
        """Parameters of the group without sharing: n·b²."""
        return self.layers * self.width**2

    def shared_parameters(self, templates: int) -> int:
        """Parameters of the group with S = ``templates``, basis BatchNorm included."""
        rows = templates + self.own
        per_layer = self.width * rows + self.own * self.width + 2 * rows
        return templates * self.width + self.layers * per_layer

    @property
    def step(self) -> int:
        """Parameters that one template more costs."""
        return self.width + self.layers * (self.width + 2)


@dataclass(frozen=True, slots=True)
class Scheme:
    """A parsed scheme; ``str()`` gives the spelling that :meth:`parse` reads.

    ``reduction`` is the wanted share (0..1) of the whole network's parameters to save, ``sizes``
    the templates S per group; a ``basis`` scheme has exactly one of the two.
    """

    kind: str
    reduction: float | None = None
    sizes: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.reduction is not None:
            return f"{self.kind}:{self.reduction!r}"
        if self.sizes:
            return f"{self.kind}:{'/'.join(map(str, self.sizes))}"
        return self.kind

    @property
    def shares(self) -> bool:
        """Whether weights are drawn from templates (and so have weight modes)."""
        return self.kind != "dense"

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Read a spelling such as ``dense``, ``basis:0.25`` or ``basis:26/53/106``.

        Raises SchemeError when it is none.
        """
        kind, colon, argument = text.strip().partition(":")
        if kind not in KINDS:
            near = difflib.get_close_matches(kind.lower(), KINDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SchemeError(f"unknown scheme {text!r}: {hint}Schemes are {SPELLINGS}")
        if kind == "dense":
            if colon:
                raise SchemeError(f"scheme {text!r}: 'dense' takes nothing after it")
            return cls("dense")
        if not argument:
            raise SchemeError(
                f"scheme {text!r} needs a reduction or sizes: basis:0.25 or basis:26/53/106"
            )
        if "/" in argument or argument.isdigit():
            return cls(kind, sizes=_parse_sizes(text, argument))
        return cls(kind, reduction=_parse_reduction(text, argument))

    def fit(self, groups: Sequence[ShareGroup], dense_parameters: int) -> tuple[int, ...]:
        """Return the templates S for each group of a network (none for ``dense``).

        ``dense_parameters`` counts the whole network without sharing. Raises SchemeError when
        explicit sizes do not fit the groups, UnreachableReduction when the wanted reduction is
        beyond what the groups can save.
        """
        if not self.shares:
            return ()
        if not groups:
            raise SchemeError(f"scheme {str(self)!r}: this network has no layers that can share")
        if self.reduction is not None:
            return _solve(groups, dense_parameters, self.reduction)
        _check_sizes(str(self), self.sizes, groups)
        return self.sizes


def shared_total(groups: Sequence[ShareGroup], dense_parameters: int, sizes: Sequence[int]) -> int:
    """Parameters of the whole network when each group has the given number of templates."""
    return dense_parameters + sum(
        group.shared_parameters(size) - group.dense_parameters
        for group, size in zip(groups, sizes, strict=True)
    )


def _parse_sizes(text: str, argument: str) -> tuple[int, ...]:
    sizes = []
    for part in argument.split("/"):
        if not part.isascii() or not part.isdigit() or int(part) < 1:
            raise SchemeError(
                f"scheme {text!r}: {part!r} is not a number of templates (1 or more); "
                "write basis:0.25 or basis:26/53/106"
            )
        sizes.append(int(part))
    return tuple(sizes)


def _parse_reduction(text: str, argument: str) -> float:
    try:
        reduction = float(argument)
    except ValueError:
        raise SchemeError(
            f"scheme {text!r}: {argument!r} is neither a reduction (basis:0.25) "
            "nor sizes (basis:26/53/106)"
        ) from None
    if not 0 < reduction < 1:
        raise SchemeError(
            f"scheme {text!r}: the reduction must lie between 0 and 1, such as 0.25 for 25 %"
        )
    return reduction


def _check_sizes(text: str, sizes: Sequence[int], groups: Sequence[ShareGroup]) -> None:
    if len(sizes) != len(groups):
        names = "/".join(group.name for group in groups)
        raise SchemeError(
            f"scheme {text!r} gives {len(sizes)} size(s), this network needs {len(groups)}: {names}"
        )
    for group, size in zip(groups, sizes, strict=True):
        if size > group.width:
            raise SchemeError(
                f"scheme {text!r}: {size} templates for {group.name}, "
                f"whose layers are only {group.width} wide"
            )


def _solve(
    groups: Sequence[ShareGroup], dense_parameters: int, reduction: float
) -> tuple[int, ...]:
    """Sizes about proportional to the widths with the largest total that saves enough.

    The ratio S/b is raised as far as the total allows; what is left of the allowance then goes
    to single further templates, the most expensive group first.
    """
    allowed = dense_parameters * (1 - reduction)
    smallest = shared_total(groups, dense_parameters, [1] * len(groups))
    if smallest > allowed:
        ceiling = 100 * (1 - smallest / dense_parameters)
        raise UnreachableReduction(
            f"a reduction of {100 * reduction:g} % cannot be reached: with one template per group "
            f"this network saves at most {ceiling:.1f} %"
        )
    ratios = sorted({(k + 0.5) / group.width for group in groups for k in range(group.width)})
    best = [1] * len(groups)
    for ratio in ratios:
        sizes = [
            min(group.width, max(1, int(ratio * group.width + 0.5 + 1e-9))) for group in groups
        ]
        if shared_total(groups, dense_parameters, sizes) > allowed:
            break
        best = sizes
    spare = allowed - shared_total(groups, dense_parameters, best)
    for index in sorted(range(len(groups)), key=lambda i: -groups[i].step):
        if groups[index].step <= spare and best[index] < groups[index].width:
            best[index] += 1
            spare -= groups[index].step
    return tuple(best)

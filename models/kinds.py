"""The table of scheme kinds. Importing it does not import torch.

Adding a kind is one line in ``KINDS``. There are two sorts:

- A *sharing* kind lets equal layers draw on common templates. It has a ``sizing`` (arithmetic, in
  :mod:`models.sizing`), and ``code`` names a subclass of :class:`models.drawn.Bank`, or a callable
  that makes one from (:class:`models.sizing.BankSize`, number of templates).
- A *restructuring* kind changes the network itself (pruning, recursion). It has no sizing and no
  weight modes, and ``code`` names an object that is a :class:`models.restructuring.Restructuring`.

All but those of fixed size are spelled with what they are to save, or with sizes.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from models import sizing


@dataclass(frozen=True, slots=True)
class Kind:
    """One way in which a scheme makes a network smaller.

    ``code`` is ``"module:object"``, imported when it is needed. ``sized``: a reduction or sizes
    follow the name in a spelling. ``positions`` is for ``reuse``: how many places of each repeated
    unit share a weight; 0 means that all layers of a group draw on its bank.
    """

    code: str = ""
    sized: bool = True
    sizing: sizing.Sizing | None = None
    weight_modes: tuple[str, ...] = ()
    positions: int = 0

    @property
    def shares(self) -> bool:
        """Whether layers draw on common templates."""
        return self.sizing is not None

    @property
    def restructures(self) -> bool:
        """Whether the network itself is changed."""
        return bool(self.code) and self.sizing is None

    def load(self) -> Any:
        """Import and return what ``code`` names: a maker of banks, or a Restructuring."""
        module, _, name = self.code.partition(":")
        return getattr(importlib.import_module(module), name)


_GENERATED = ("load", "runtime")
_FACTORED = ("load", "runtime", "factored")


def _sharing(code: str, of: sizing.Sizing, modes: tuple[str, ...]) -> Kind:
    return Kind(code, sizing=of, weight_modes=modes)


def _reuse(of: sizing.Sizing, positions: int) -> Kind:
    return Kind("models.reuse:ReuseBank", sized=False, sizing=of, positions=positions)


KINDS: dict[str, Kind] = {
    "dense": Kind(sized=False),
    "basis": _sharing("models.basis:BASIS", sizing.BASIS, _FACTORED),
    "basis-shared": _sharing("models.basis:BASIS_SHARED", sizing.BASIS_SHARED, _FACTORED),
    "basis-plain": _sharing("models.basis:BASIS_PLAIN", sizing.BASIS_PLAIN, _FACTORED),
    "basis-shared-plain": _sharing(
        "models.basis:BASIS_SHARED_PLAIN", sizing.BASIS_SHARED_PLAIN, _FACTORED
    ),
    "blocks": _sharing("models.blocks:BlocksBank", sizing.BLOCKS, _GENERATED),
    "blocks-one": _sharing("models.blocks:BlocksBank", sizing.BLOCKS_ONE, _GENERATED),
    "soft": _sharing("models.soft:SoftBank", sizing.soft, _GENERATED),
    "reuse-1": _reuse(sizing.REUSE_1, 1),
    "reuse-2": _reuse(sizing.REUSE_2, 2),
    "prune-l1": Kind("models.pruning:PRUNE_L1"),
    "recursive": Kind("models.recursive:RECURSION"),
}
"""Kinds by the name that begins a scheme's spelling."""

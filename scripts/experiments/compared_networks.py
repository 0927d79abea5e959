"""Which networks the experiment compares, and where it keeps each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models import MODELS, Scheme, SchemeError
from models.kinds import KINDS

REDUCTIONS: dict[str, tuple[float, ...]] = {
    "shufflenet_v2_x0_5_fashion_mnist": (0.15, 0.25),
    # What 0.5x cannot reach with most schemes.
    "shufflenet_v2_x1_0_fashion_mnist": (0.35,),
}
"""Wanted shares of all parameters to save, by model."""

ONLY_SMALL = ("basis-plain", "basis-shared-plain")
"""Left out of the larger networks, and of the smaller reduction of the small one, since trainings
take long: what BatchNorm on the basis output does shows in one place."""

DENSE = "dense"
DENSE_AGAIN = "dense-again"
"""The dense network trained on, for as many epochs as the pruned ones are that start from it."""
BASIS_FROM_DENSE = "basis-from-dense"
"""``basis`` as close as it comes to the trained dense network, trained on for as many epochs."""
REPEATED = {DENSE_AGAIN: DENSE, BASIS_FROM_DENSE: "basis"}
"""Methods that differ from another one in their training alone, and that one."""
PRUNED = "prune-l1"
PRUNED_BY_SENSITIVITY = "prune-l1-sensitivity"


@dataclass(frozen=True, slots=True)
class Network:
    """A model made smaller in one way.

    ``method`` is a key of ``models.kinds.KINDS``, or of REPEATED, or PRUNED_BY_SENSITIVITY, whose
    channels per unit are found by measuring each seed's dense network. ``reduction`` is the share
    of parameters that is wanted, ``None`` where the method leaves no choice. ``problem`` says why
    there is no such network, empty where there is one.
    """

    model: str
    method: str
    reduction: float | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """A name for files, of its own among all networks."""
        parts = (self.model, self.method, "" if self.reduction is None else f"{self.reduction:g}")
        return "-".join(part for part in parts if part)

    @property
    def title(self) -> str:
        """How people are told about it, without the model."""
        titles = {
            PRUNED_BY_SENSITIVITY: "prune-l1 by sensitivity",
            DENSE_AGAIN: "dense, trained for twice as long",
            BASIS_FROM_DENSE: "basis from the trained dense one",
        }
        method = titles.get(self.method, self.method)
        return method if self.reduction is None else f"{method} at {100 * self.reduction:g} %"

    @property
    def scheme(self) -> Scheme:
        """The scheme; where sensitivity decides, the one that prunes all units alike."""
        kinds = {PRUNED_BY_SENSITIVITY: PRUNED, **REPEATED}
        return Scheme(kinds.get(self.method, self.method), reduction=self.reduction)

    @property
    def by_sensitivity(self) -> bool:
        """Whether the channels of each unit are chosen by measuring the dense network."""
        return self.method == PRUNED_BY_SENSITIVITY

    @property
    def starts_dense(self) -> bool:
        """Whether training starts from the trained dense network of the same seed.

        Pruning does, and what is there to be compared with it. Layer reuse and recursion are
        trained from the start by their authors, and so are all other sharing schemes here.
        """
        return self.method in (*REPEATED, PRUNED, PRUNED_BY_SENSITIVITY)

    def folder(self, out: Path, seed: int) -> Path:
        """Where a training of it is kept.

        The one whose graph is that of another network stays apart from those that are measured.
        """
        again = self.method in REPEATED
        return (out / f"again-{seed}" if again else seed_folder(out, seed)) / self.name


def seed_folder(out: Path, seed: int) -> Path:
    """Where all trainings of one seed are kept."""
    return out / f"seed-{seed}"


def compared() -> list[Network]:
    """Every network of the comparison, also those that cannot exist.

    In the order in which the table has them: in each model the dense one first, then those that
    start from it, and last what is of least interest.
    """
    found = []
    small = next(iter(REDUCTIONS))
    for model, reductions in REDUCTIONS.items():
        found += [Network(model, DENSE), Network(model, DENSE_AGAIN)]
        for method in (PRUNED, PRUNED_BY_SENSITIVITY, BASIS_FROM_DENSE, *_SHARED_OR_RECURSIVE):
            found += _of_method(model, method, reductions, also_missed=model == small)
    for method in ONLY_SMALL:
        found += _of_method(small, method, REDUCTIONS[small][-1:])
    return found


_SHARED_OR_RECURSIVE = tuple(name for name in KINDS if name not in (DENSE, PRUNED, *ONLY_SMALL))


def _of_method(
    model: str, method: str, reductions: Sequence[float], *, also_missed: bool = False
) -> list[Network]:
    """One network per reduction, or with its reason why there is none.

    A method that leaves no choice has one network, if it saves what is wanted or ``also_missed``.
    """
    spec = MODELS[model]
    if method in KINDS and not KINDS[method].sized:
        saved = 1 - spec.total(Scheme(method)) / spec.parameters
        always = f"it always saves {100 * saved:.1f} %"
        missed = [
            Network(
                model,
                method,
                reduction,
                f"a reduction of {100 * reduction:g} % cannot be reached: {always}",
            )
            for reduction in reductions
            if reduction > saved
        ]
        there = also_missed or len(missed) < len(reductions)
        return [Network(model, method), *missed] if there else missed
    found = []
    for reduction in reductions:
        network = Network(model, method, reduction)
        try:
            spec.total(network.scheme)
        except SchemeError as error:
            network = Network(model, method, reduction, str(error))
        found.append(network)
    return found

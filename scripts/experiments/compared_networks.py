"""Which networks the experiment compares, and where it keeps each of them."""

from __future__ import annotations

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
"""Left out of the larger networks, whose trainings take long: what BatchNorm on the basis output
does shows at the small width."""

DENSE = "dense"
PRUNED = "prune-l1"
PRUNED_BY_SENSITIVITY = "prune-l1-sensitivity"


@dataclass(frozen=True, slots=True)
class Network:
    """A model made smaller in one way.

    ``method`` is a key of ``models.kinds.KINDS``, or PRUNED_BY_SENSITIVITY, whose channels per
    unit are found by measuring each seed's dense network. ``reduction`` is the share of parameters
    that is wanted, ``None`` where the method leaves no choice. ``problem`` says why there is no
    such network, empty where there is one.
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
        method = "prune-l1 by sensitivity" if self.by_sensitivity else self.method
        return method if self.reduction is None else f"{method} at {100 * self.reduction:g} %"

    @property
    def scheme(self) -> Scheme:
        """The scheme; where sensitivity decides, the one that prunes all units alike."""
        kind = PRUNED if self.by_sensitivity else self.method
        return Scheme(kind, reduction=self.reduction)

    @property
    def by_sensitivity(self) -> bool:
        """Whether the channels of each unit are chosen by measuring the dense network."""
        return self.method == PRUNED_BY_SENSITIVITY

    @property
    def starts_dense(self) -> bool:
        """Whether training starts from the trained dense network of the same seed.

        Pruning does. Layer reuse and recursion are trained from the start by their authors, and
        so are all sharing schemes here.
        """
        return self.method in (PRUNED, PRUNED_BY_SENSITIVITY)

    def folder(self, out: Path, seed: int) -> Path:
        """Where a training of it is kept."""
        return seed_folder(out, seed) / self.name


def seed_folder(out: Path, seed: int) -> Path:
    """Where all trainings of one seed are kept."""
    return out / f"seed-{seed}"


def compared() -> list[Network]:
    """Every network of the comparison, also those that cannot exist, dense first in each model."""
    found = []
    small = next(iter(REDUCTIONS))
    for model in REDUCTIONS:
        found.append(Network(model, DENSE))
        left_out = (DENSE,) if model == small else (DENSE, *ONLY_SMALL)
        for method in (*(name for name in KINDS if name not in left_out), PRUNED_BY_SENSITIVITY):
            found += _of_method(model, method)
    return found


def _of_method(model: str, method: str) -> list[Network]:
    spec = MODELS[model]
    if method in KINDS and not KINDS[method].sized:
        saved = 1 - spec.total(Scheme(method)) / spec.parameters
        always = f"it always saves {100 * saved:.1f} %"
        beyond = [reduction for reduction in REDUCTIONS[model] if reduction > saved]
        missed = [
            Network(
                model,
                method,
                reduction,
                f"a reduction of {100 * reduction:g} % cannot be reached: {always}",
            )
            for reduction in beyond
        ]
        return [Network(model, method), *missed]
    found = []
    for reduction in REDUCTIONS[model]:
        network = Network(model, method, reduction)
        try:
            spec.total(network.scheme)
        except SchemeError as error:
            network = Network(model, method, reduction, str(error))
        found.append(network)
    return found

"""Whole numbers of channels, units or templates for a wanted size. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

CLOSE = 0.002
"""A total within this share of the network below what is allowed is close enough."""


def proportional(
    limits: Sequence[int], costs: Sequence[int], budget: float, *, close: float
) -> tuple[int, ...] | None:
    """Counts from 1 to ``limits``, about proportional to these, that cost ``budget`` at most.

    ``costs``: what one of each costs. The common ratio of count to limit is raised as far as the
    budget allows; what is left of it goes to single further ones, the costliest first, over and
    over while more than ``close`` is left (some cost a lot). None when one of each is already too
    expensive.
    """
    best = [1] * len(limits)
    if _cost(best, costs) > budget:
        return None
    for ratio in sorted({(k + 0.5) / limit for limit in limits for k in range(limit)}):
        counts = [min(limit, max(1, int(ratio * limit + 0.5 + 1e-9))) for limit in limits]
        if _cost(counts, costs) > budget:
            break
        best = counts
    costliest = [-each for each in costs]
    while True:
        left = spend(best, limits, costs, budget, order=costliest)
        if list(left) == best or budget - _cost(left, costs) <= close:
            return left
        best = list(left)


def spend(
    counts: Sequence[int],
    limits: Sequence[int],
    costs: Sequence[int],
    budget: float,
    *,
    order: Sequence[float],
) -> tuple[int, ...]:
    """Raise counts by one at most, where the budget and the limits allow it, lowest order first."""
    raised = list(counts)
    spare = budget - _cost(counts, costs)
    for index in sorted(range(len(raised)), key=order.__getitem__):
        if costs[index] <= spare and raised[index] < limits[index]:
            raised[index] += 1
            spare -= costs[index]
    return tuple(raised)


def _cost(counts: Sequence[int], costs: Sequence[int]) -> int:
    return sum(count * each for count, each in zip(counts, costs, strict=True))

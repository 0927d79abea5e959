"""Cases shared out among boards of one kind (``bench run --spread``).

Cases that are compared with each other should be measured on one board, round by round. So what
differs in nothing but scheme and weight mode stays together, unless there are fewer such blocks
than boards. One case, the pool's first (its dense one if it has any), is measured by every board:
what it differs by is how much boards of this kind differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.records.case import Case
from bench.records.manifest import Pool


def pools_of(kinds: Mapping[str, str], cases: Mapping[str, Sequence[Case]]) -> tuple[Pool, ...]:
    """Return the pools with more than one board.

    ``kinds``: by device, empty where it is not known: such a board is of no pool. ``cases``: what
    each device would measure alone.
    """
    together: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        if kind and cases[name]:
            together.setdefault(kind, []).append(name)
    return tuple(
        Pool(kind=kind, devices=tuple(names), shared=shared)
        for kind, names in together.items()
        if len(names) > 1 and (shared := _shared([cases[name] for name in names]))
    )


def share_out(pools: Sequence[Pool], cases: Mapping[str, Sequence[Case]]) -> dict[str, list[Case]]:
    """Return what each device measures; those of no pool measure all that is theirs."""
    parts = {name: list(own) for name, own in cases.items()}
    for pool in pools:
        parts.update(_parts(pool, cases))
    return parts


def _shared(cases: Sequence[Sequence[Case]]) -> str:
    """Return the key of the case that every board of a pool can measure, empty if there is none."""
    everywhere = set.intersection(*({case.key for case in own} for own in cases))
    found = [case for case in cases[0] if case.key in everywhere]
    dense = [case for case in found if case.scheme == "dense"]
    return next((case.key for case in (*dense, *found)), "")


def _parts(pool: Pool, cases: Mapping[str, Sequence[Case]]) -> dict[str, list[Case]]:
    own = {name: {case.key: case for case in cases[name]} for name in pool.devices}
    every = {key: case for of_board in own.values() for key, case in of_board.items()}
    most = math.ceil(len(every) / len(pool.devices))
    taken: dict[str, set[str]] = {name: {pool.shared} for name in pool.devices}
    for piece in sorted(_pieces(every, pool.shared, most), key=len, reverse=True):
        # Overrides and exclusions may name a board, so that not every board has every case.
        able = [name for name in pool.devices if set(piece) <= own[name].keys()]
        for keys in [piece] if able else [[key] for key in piece]:
            who = [name for name in pool.devices if set(keys) <= own[name].keys()]
            taken[min(who, key=lambda name: len(taken[name]))].update(keys)
    return {
        name: [case for key, case in own[name].items() if key in taken[name]]
        for name in pool.devices
    }


def _pieces(every: Mapping[str, Case], shared: str, most: int) -> list[list[str]]:
    """Return the keys that stay together, no more than ``most`` at a time."""
    blocks: dict[Case, list[str]] = {}
    for key, case in every.items():
        if key != shared:
            alike = case.model_copy(update={"device": "", "scheme": "", "weights": None})
            blocks.setdefault(alike, []).append(key)
    return [
        keys[start : start + most]
        for keys in blocks.values()
        for start in range(0, len(keys), most)
    ]

"""Why a place cannot be had, in words: who has it, and what may be done instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.device.labgrid.coordinator import Coordinator, Refused
from bench.device.labgrid.places import find_place, tagged
from bench.errors import PlaceError


def why_refused(lab: Coordinator, name: str, error: Refused) -> PlaceError:
    """Say in words of our own why a place is not given."""
    lab.refresh()
    place = lab.places[find_place(lab, name)]
    if place.acquired is not None:
        return busy(place)
    if place.reservation is not None:
        return PlaceError(
            f"place {name} is reserved by {person(lab.owner_of(place.reservation))}: ask them, or "
            f"wait for it ({_instead(name)})"
        )
    for path, entry in lab.resources.items():
        if entry.acquired and place.hasmatch(path):
            other = lab.places.get(entry.acquired)
            holder = "" if other is None or not other.acquired else f" ({person(other.acquired)})"
            return PlaceError(
                f"place {name}: its resource {'/'.join(path)} is in use by place "
                f"{entry.acquired}{holder}"
            )
    return error


def busy(place: Any) -> PlaceError:
    """Say who holds a place."""
    return PlaceError(
        f"place {place.name} is held by {person(place.acquired)}: ask them, or wait for it "
        f"({_instead(place.name)})"
    )


def who_has(lab: Coordinator, tags: Mapping[str, str]) -> str:
    """Say who has the places with these tags."""
    lab.refresh()
    return ", ".join(
        f"{place.name} is "
        + (f"held by {person(place.acquired)}" if place.acquired else "reserved by others")
        for place in tagged(lab, tags)
    )


def _instead(name: str) -> str:
    return f"`reservation: {{name: {name}}}` instead of `place`"


def person(owner: str) -> str:
    """``host/user`` → ``user@host``."""
    host, separator, user = owner.partition("/")
    return f"{user}@{host}" if separator else owner

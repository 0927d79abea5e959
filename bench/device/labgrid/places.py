"""Finding a place of a coordinator, and the way to the board that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.device.labgrid.address import tag_words
from bench.device.labgrid.coordinator import Coordinator, ResourcePath
from bench.errors import PlaceError, suggest

SERVICE = "NetworkService"
# They come from other machines and end up in ssh's configuration and its ProxyCommand.
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:-]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]*")


@dataclass(frozen=True, slots=True)
class Route:
    """How a place's board is reached. ``jump``: the exporter's host, where only it sees the
    board."""

    host: str
    port: int
    user: str
    jump: str | None


def find_place(lab: Coordinator, wanted: str) -> str:
    """Return the name of the place that is called so, or has this alias (``user:alias`` is the
    alias of that user alone).

    Raises:
        PlaceError: there is none; the message offers near matches.
    """
    if wanted in lab.places:
        return wanted
    own = f"{lab.owner.partition('/')[2]}:{wanted}"
    for name, place in lab.places.items():
        if wanted in place.aliases or own in place.aliases:
            return name
    raise PlaceError(
        f"the labgrid coordinator {lab.address} has no place {wanted!r}; "
        f"{suggest(wanted, sorted(lab.places))}"
    )


def tagged(lab: Coordinator, filters: Mapping[str, str]) -> list[Any]:
    """Return the places (labgrid's ``Place``) that have these tags."""
    return [place for place in lab.places.values() if _tags(place).items() >= filters.items()]


def require_tagged(lab: Coordinator, filters: Mapping[str, str]) -> None:
    """Raise PlaceError if no place has these tags, so that waiting would be for nothing."""
    if tagged(lab, filters):
        return
    known = sorted({word for place in lab.places.values() for word in tag_words(_tags(place))})
    wanted = " and ".join(tag_words(filters))
    raise PlaceError(
        f"no place of the labgrid coordinator {lab.address} has {wanted}; it has: "
        f"{', '.join(known) or 'no places'}"
    )


def route_to(lab: Coordinator, name: str, service: str | None) -> Route:
    """Return the way to a place's board.

    ``service`` names one of several NetworkServices.

    Raises:
        PlaceError: it has none, several and none is named, its exporter is gone, or what it says
            is no address.
    """
    params, extra = _service(lab, name, service)
    host, port, user = params.get("address"), params.get("port", 22), params.get("username")
    whose = f"the {SERVICE} of place {name}"
    if isinstance(host, str) and "%" in host:
        raise PlaceError(
            f"{whose} is bound to an interface ({host}); bench reaches no such address: export one "
            "that the exporter's host can route to"
        )
    if not (isinstance(host, str) and _HOST.fullmatch(host)):
        raise PlaceError(f"{whose} has the address {host!r}, which is none; correct its exporter")
    if not (isinstance(user, str) and _USER.fullmatch(user)):
        raise PlaceError(f"{whose} has the username {user!r}, which is none; correct its exporter")
    if not (isinstance(port, int) and 0 < port < 65536):
        raise PlaceError(f"{whose} has the port {port!r}, which is none; correct its exporter")
    jump = extra.get("proxy") if extra.get("proxy_required") else None
    if jump is not None and not (isinstance(jump, str) and _HOST.fullmatch(jump)):
        raise PlaceError(f"{whose} has the proxy {jump!r}, which is none; correct its exporter")
    return Route(host, port, user, jump)


def _service(
    lab: Coordinator, name: str, wanted: str | None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return parameters and extra information of the NetworkService to take."""
    place = lab.places[name]
    found = dict(_services(lab, place))
    if not found:
        missing = place.unmatched(list(lab.resources))
        if missing is None:
            raise PlaceError(
                f"place {name} has no {SERVICE}; add one (address, username, port) to its "
                "exporter's file, and a match for it to the place"
            )
        exporters = {path[0] for path in lab.resources}
        raise PlaceError(
            f"place {name}: nothing answers to its match {missing!r}; "
            + (
                "correct the match or the exporter's file"
                if missing.exporter in exporters
                else f"exporter {missing.exporter} is not connected: start labgrid-exporter there"
            )
        )
    if wanted is not None and wanted not in found:
        raise PlaceError(
            f"place {name} has no {SERVICE} called {wanted!r} (`service`); {suggest(wanted, found)}"
        )
    if wanted is None and len(found) > 1:
        raise PlaceError(
            f"place {name} has several {SERVICE}s: name one as `service` ({', '.join(found)})"
        )
    entry = found[wanted] if wanted is not None else next(iter(found.values()))
    if not entry.avail:
        raise PlaceError(f"the {SERVICE} of place {name} is not available; look at its exporter")
    return entry.args, entry.extra


def _services(lab: Coordinator, place: Any) -> Iterator[tuple[str, Any]]:
    """Yield the NetworkServices of a place by the names that it gives them."""
    path: ResourcePath
    for path, entry in lab.resources.items():
        match = place.getmatch(path) if path[2] == SERVICE else None
        if match is not None:
            yield match.rename or path[3], entry


def _tags(place: Any) -> dict[str, str]:
    # A reservation can also ask for a place by its name.
    return {"name": place.name, **place.tags}

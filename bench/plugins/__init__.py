"""Plug-ins: what other packages add to the tables, announced by entry points.

A package names in its metadata what it adds, one entry point each, in a group per table
(:data:`GROUPS`). Nothing is registered by being imported: the function of a table (``models()``,
``runtimes()`` …) joins what ships here with what :func:`joined` reads, once per process.

A plug-in that cannot be used costs itself alone: it is kept with its problem, which is told when
somebody asks for it by name (:meth:`Table.find`) or for a list (:meth:`Table.problems`). A name
that two packages claim is refused as a whole, since nobody could say what was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Generic, TypeVar

from bench.errors import ConfigError, suggest

BOARDS = "bench.boards"
METERS = "bench.meters"
MODELS = "bench.models"
RUNTIMES = "bench.runtimes"
SENSORS = "bench.sensors"
GROUPS = {
    BOARDS: "board",
    METERS: "meter",
    MODELS: "model",
    RUNTIMES: "runtime",
    SENSORS: "sensor",
}
"""Groups of entry points, and what one of each is called."""
OURS = "bench-on-device"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
"""Names end up in keys of cases, file names and module names."""

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point of another package: which table it adds to, and where it comes from."""

    group: str
    name: str
    package: str
    version: str
    target: str

    def __str__(self) -> str:
        return f"{GROUPS[self.group]} {self.name!r} of package {self.package} {self.version}"


class Unusable(Exception):
    """Why a plug-in cannot be used, in one line."""


@dataclass(frozen=True, slots=True)
class Table(Mapping[str, Thing], Generic[Thing]):
    """What there is of one kind, by name: what ships here first, then the plug-ins.

    ``plugins``: where those of ``things`` come from that are plug-ins. ``broken``: those that
    cannot be used, with the reason.
    """

    group: str
    things: Mapping[str, Thing]
    plugins: Mapping[str, Plugin]
    broken: Mapping[str, tuple[Plugin, str]]

    def __getitem__(self, name: str) -> Thing:
        return self.things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.things)

    def __len__(self) -> int:
        return len(self.things)

    def find(self, name: str) -> Thing:
        """Return what is called ``name``.

        Raises:
            ConfigError: there is no such thing (with near matches), or it is a plug-in that cannot
                be used (with its package and the reason).
        """
        if name in self.broken:
            plugin, problem = self.broken[name]
            raise ConfigError(f"{plugin} cannot be used: {problem}")
        if name not in self.things:
            raise ConfigError(f"unknown {GROUPS[self.group]} {name!r}; {suggest(name, self)}")
        return self.things[name]

    def problems(self) -> list[str]:
        """Return a line for each plug-in that cannot be used."""
        return [f"{plugin} is left out: {problem}" for plugin, problem in self.broken.values()]


def joined(
    group: str, built_in: Mapping[str, Thing], load: Callable[[metadata.EntryPoint], Thing]
) -> Table[Thing]:
    """Return a table: what ships here, and what the plug-ins of a group add.

    ``load`` makes of an entry point what the table holds; whatever it raises is the plug-in's
    problem (:class:`Unusable` with words of our own).

    Raises:
        ConfigError: two packages, or one and this project, claim one name.
    """
    things: dict[str, Thing] = dict(built_in)
    plugins: dict[str, Plugin] = {}
    broken: dict[str, tuple[Plugin, str]] = {}
    seen: dict[str, Plugin] = {}
    for plugin, entry in _announced(group):
        if plugin.name in built_in or plugin.name in seen:
            other = seen.get(plugin.name)
            whose = OURS if other is None else f"{other.package} {other.version}"
            raise ConfigError(
                f"{plugin} has the name of a {GROUPS[group]} of {whose}; uninstall one of them, "
                "or give one another name"
            )
        seen[plugin.name] = plugin
        try:
            things[plugin.name] = _loaded(plugin, entry, load)
            plugins[plugin.name] = plugin
        except Unusable as error:
            broken[plugin.name] = plugin, str(error)
    return Table(group, things, plugins, broken)


def _loaded(
    plugin: Plugin, entry: metadata.EntryPoint, load: Callable[[metadata.EntryPoint], Thing]
) -> Thing:
    """What an entry point stands for; raises Unusable, whatever is wrong with it."""
    if not _NAME.fullmatch(plugin.name):
        raise Unusable("a name has letters, digits, dots, dashes and underscores only")
    try:
        return load(entry)
    except Unusable:
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        kind = type(error).__name__
        raise Unusable(f"{kind}: {text}" if text else kind) from error


def loads(kind: type[Thing]) -> Callable[[metadata.EntryPoint], Thing]:
    """Return what loads an entry point that names an object of a class with a ``name`` of its own.

    The result raises Unusable for anything else, and whatever importing it raises.
    """

    def load(entry: metadata.EntryPoint) -> Thing:
        found = entry.load()
        if not isinstance(found, kind):
            raise Unusable(f"{entry.value} is of type {type(found).__name__}, not {kind.__name__}")
        name = getattr(found, "name", None)
        if name != entry.name:
            raise Unusable(f"{entry.value} is called {name!r}; its entry point must be called so")
        return found

    return load


def _announced(group: str) -> tuple[tuple[Plugin, metadata.EntryPoint], ...]:
    """The entry points of a group, by name and package, so that their order is the same always."""
    found = []
    for entry in metadata.entry_points(group=group):
        package = entry.dist.name if entry.dist is not None else "(unknown)"
        version = entry.dist.version if entry.dist is not None else ""
        found.append((Plugin(group, entry.name, package, version, entry.value), entry))
    return tuple(sorted(found, key=lambda pair: (pair[0].name, pair[0].package)))

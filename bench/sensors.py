"""The power sensors that a device may name: the agent's own, and plug-ins."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint

from bench import plugins
from bench.errors import ConfigError, suggest
from bench.plugins.agent_module import AgentModule, read_agent_module

OURS = (
    "ina3221",
    "ina2xx",
    "rpi-pmic",
    "jtop",
    "rapl",
    "battery",
    "nvml",
    "command",
    "replay",
    "estimate",
)
"""Those of :mod:`bench.agent.sensors`."""


@cache
def sensors() -> plugins.Table[AgentModule | None]:
    """Return the sensors by name, with the module of a plug-in (``None``: it is the agent's own).

    A plug-in's entry point names a module that is one of :mod:`bench.agent.sensors` says.
    """
    return plugins.joined(plugins.SENSORS, dict.fromkeys(OURS), _load)


def require_sensor(name: str) -> str:
    """Return a sensor's name, ``auto`` or ``none``. Raises ConfigError for any other."""
    known = sensors()
    choices = ("auto", "none", *known)
    if name in known.broken:
        known.find(name)  # says what is wrong with it
    if name not in choices:
        raise ConfigError(f"unknown sensor {name!r}; {suggest(name, choices)}")
    return name


def _load(entry: EntryPoint) -> AgentModule | None:
    return read_agent_module(entry.value, ("describe", "open_sensor"))

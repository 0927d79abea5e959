"""Which devices are meant: names, ``all``, patterns such as ``'jetson-*'``, and ``tag:NAME``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from fnmatch import fnmatchcase

from bench.config.device_settings import DeviceSettings, LabgridDevice, SshDevice
from bench.config.devices_file import find_device
from bench.device.labgrid.address import coordinator_or_default
from bench.device.ssh_config import way_to
from bench.errors import ConfigError, TransportError, suggest
from bench.fleet.connection import ssh_settings

ALL = "all"
TAG = "tag:"


def select(wanted: Sequence[str], known: dict[str, DeviceSettings]) -> dict[str, DeviceSettings]:
    """Return the devices that are meant, each once, in the order they were asked for.

    A device whose name is just what was written is meant before anything else.

    Raises:
        ConfigError: there is no such device or tag, or no device fits a pattern; the message says
            what there is.
    """
    names = dict.fromkeys(name for word in wanted for name in _names(word, known))
    return {name: known[name] for name in names}


def _names(word: str, known: dict[str, DeviceSettings]) -> list[str]:
    if word in known:
        return [word]
    if word == ALL:
        return list(known)
    if word.startswith(TAG):
        return _tagged(word.removeprefix(TAG), known)
    if any(sign in word for sign in "*?["):
        found = [name for name in known if fnmatchcase(name, word)]
        if not found:
            raise ConfigError(f"no device fits {word!r}; there is {', '.join(known)}")
        return found
    find_device(known, word)
    return [word]


def _tagged(tag: str, known: Mapping[str, DeviceSettings]) -> list[str]:
    found = [name for name, device in known.items() if tag in device.tags]
    if not found:
        tags = list(dict.fromkeys(each for device in known.values() for each in device.tags))
        there = suggest(tag, tags) if tags else "no device has any: add `tags:` in devices.yaml"
        raise ConfigError(f"no device has the tag {tag!r}; {there}")
    return found


def shared_boards(devices: Mapping[str, DeviceSettings]) -> list[str]:
    """Return a line for each board that several of the devices lead to."""
    found: dict[tuple[Hashable, str], list[str]] = {}
    for name, device in devices.items():
        board = _board(device)
        if board is not None:
            found.setdefault(board, []).append(name)
    return [
        f"{' and '.join(names)} lead to one board ({where}): one job at a time measures there, "
        "and whoever comes later is refused, or waits with --wait"
        for (_, where), names in found.items()
        if len(names) > 1
    ]


def _board(device: DeviceSettings) -> tuple[Hashable, str] | None:
    """Return what is the same for the same board, and where that is for people; ``None`` where it
    is not known."""
    try:
        if isinstance(device, SshDevice):
            way = way_to(ssh_settings(device))
            host, port, _ = way[-1]
            return way, f"{host}:{port}"
        if isinstance(device, LabgridDevice):
            place = device.place or (device.reservation or {}).get("name")
            coordinator = coordinator_or_default(device.coordinator)
            return None if place is None else (coordinator, f"place {place}")
    except (TransportError, ValueError):
        # It is said why when it is connected to.
        return None
    return None

"""Which devices are meant: names, ``all``, patterns such as ``'jetson-*'``, and ``tag:NAME``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from bench.config import find_device
from bench.connection import ssh_settings
from bench.device.ssh_config import resolve
from bench.device_settings import DeviceSettings, LabgridDevice, SshDevice
from bench.errors import ConfigError, TransportError, suggest

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
    places: dict[tuple[object, ...], list[str]] = {}
    for name, device in devices.items():
        if isinstance(device, SshDevice):
            places.setdefault(_place(name, device), []).append(name)
        elif isinstance(device, LabgridDevice) and device.place is not None:
            places.setdefault((device.coordinator, device.where), []).append(name)
    return [
        f"{' and '.join(names)} lead to one board ({place[-1]}): one job at a time measures there, "
        "and whoever comes later is refused, or waits with --wait"
        for place, names in places.items()
        if len(names) > 1
    ]


def _place(name: str, device: SshDevice) -> tuple[object, ...]:
    """Return what is the same for the same board: the whole way, since two hosts may each have a
    board of one address behind them."""
    try:
        hops = resolve(ssh_settings(device))
    except TransportError:
        # It is said why when it is connected to.
        return (name,)
    return (
        *((hop.proxy_command, hop.host, hop.port) for hop in hops[:-1]),
        hops[-1].proxy_command,
        f"{hops[-1].host}:{hops[-1].port}",
    )

"""Asks boards of what kind they are, before cases are shared out among those of one kind."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from bench.device_settings import DeviceSettings
from bench.errors import DeviceError
from bench.facts import board_kind
from bench.observer import Observer
from bench.parallel import on_devices
from bench.upkeep import probe_device


def kinds_of(
    devices: Mapping[str, DeviceSettings], observer: Observer
) -> tuple[dict[str, str], dict[str, DeviceError]]:
    """Return the kinds of the devices that answered, by name, and why the others did not.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        DeviceError: none answered.
    """
    found: dict[str, str] = {}

    def ask(name: str) -> None:
        observer.phase(name, "asking what it is")
        found[name] = board_kind(probe_device(name, devices[name]))

    cancel = threading.Event()
    failures = on_devices(devices, ask, cancel, observer)
    if cancel.is_set():
        raise KeyboardInterrupt
    errors = {name: error for name, error in failures.items() if isinstance(error, DeviceError)}
    for name, failure in failures.items():
        if name not in errors or not found:
            raise failure
    for name, error in errors.items():
        observer.ended(name, str(error))
    return {name: found[name] for name in devices if name in found}, errors

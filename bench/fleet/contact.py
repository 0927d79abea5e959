"""A device that is connected and has the agent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.config.device_settings import DeviceSettings
from bench.device.client import AgentClient
from bench.device.deploy import push_agent
from bench.device.transport import Transport
from bench.fleet.connection import interpreter, open_transport


@dataclass(frozen=True, slots=True)
class Contact:
    """``client`` talks over ``transport`` to the agent on the device called ``name``."""

    name: str
    settings: DeviceSettings
    transport: Transport
    client: AgentClient


@contextmanager
def contact(
    name: str,
    device: DeviceSettings,
    cancel: threading.Event | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Contact]:
    """Connect to a device and put the agent there, unless it is; disconnect in the end.

    When ``cancel`` is set, a link that is down is not waited for. ``tell``: as in
    :func:`bench.fleet.connection.open_transport`.

    Raises:
        DeviceError: it cannot be reached or written to.
    """
    transport = open_transport(device, cancel, tell)
    try:
        yield equip(name, device, transport)
    finally:
        transport.close()


def equip(name: str, device: DeviceSettings, transport: Transport) -> Contact:
    """Put the agent on a device that is connected, unless it is there.

    Raises:
        DeviceError: it cannot be written to.
    """
    agent = push_agent(transport, device.work_dir)
    python = interpreter(device)
    client = AgentClient(transport, python, agent, device.work_dir, device.lock)
    return Contact(name, device, transport, client)

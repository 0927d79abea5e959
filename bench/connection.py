"""Device settings → an open transport and the interpreter that runs the agent there."""

from __future__ import annotations

import sys
import threading

from bench.config import LocalDevice, SshDevice
from bench.device.local import LocalTransport
from bench.device.power_cycle import CommandPowerCycle, PowerCycle
from bench.device.ssh import SshSettings, connect
from bench.device.transport import Transport


def open_transport(
    device: LocalDevice | SshDevice, cancel: threading.Event | None = None
) -> Transport:
    """Connect to a device. When ``cancel`` is set, a link that is down is not waited for.

    Raises:
        HostKeyError: its host key is not the known one.
        TrustError: the key is revoked, or our key is refused.
        TransportError: it cannot be reached.
    """
    if isinstance(device, LocalDevice):
        return LocalTransport()
    return connect(ssh_settings(device), cancel)


def ssh_settings(device: SshDevice) -> SshSettings:
    """Return how a board is reached."""
    return SshSettings(
        host=device.host,
        port=device.port,
        user=device.user,
        identity_file=device.identity_file,
        known_hosts=device.known_hosts,
        connect_timeout_s=device.connect_timeout_s,
        retry_s=device.retry_s,
    )


def power_cycle(name: str, device: LocalDevice | SshDevice) -> PowerCycle | None:
    """Return what switches a device off and on again, ``None`` where nothing does."""
    remedy = device.on_hang
    return None if remedy is None else CommandPowerCycle(name, remedy.command, remedy.timeout_s)


def interpreter(device: LocalDevice | SshDevice) -> str:
    """Return the Python to run the agent with; on this machine the one that runs bench."""
    return device.python or sys.executable

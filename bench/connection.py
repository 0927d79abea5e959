"""Device settings → an open transport and the interpreter that runs the agent there."""

from __future__ import annotations

import sys

from bench.config import LocalDevice, SshDevice
from bench.device.local import LocalTransport
from bench.device.ssh import SshSettings, connect
from bench.device.transport import Transport


def open_transport(device: LocalDevice | SshDevice) -> Transport:
    """Connect to a device.

    Raises:
        TransportError: it cannot be reached, or its host key or our key is refused.
    """
    if isinstance(device, LocalDevice):
        return LocalTransport()
    return connect(
        SshSettings(
            host=device.host,
            port=device.port,
            user=device.user,
            identity_file=device.identity_file,
            known_hosts=device.known_hosts,
            connect_timeout_s=device.connect_timeout_s,
        )
    )


def interpreter(device: LocalDevice | SshDevice) -> str:
    """Return the Python to run the agent with; on this machine the one that runs bench."""
    return device.python or sys.executable

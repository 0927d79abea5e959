"""Getting to know a board's host key: only ever after a person has compared it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.config.device_settings import LabgridDevice, SshDevice
from bench.device.known_hosts import forget, remember
from bench.device.transport import Transport
from bench.errors import HostKeyError
from bench.fleet.connection import open_transport

MOST_KEYS = 8
"""A board behind jump hosts shows several, one after the other."""


def connect_asking(
    device: SshDevice | LabgridDevice, agree: Callable[[HostKeyError], None]
) -> Transport:
    """Connect to a board; each host key that is not known is shown to ``agree`` and then trusted.

    ``agree`` raises to refuse a key.

    Raises:
        HostKeyError: a key is another one than before.
        TransportError: the board cannot be reached, or refuses the login.
    """
    for _ in range(MOST_KEYS):
        try:
            return open_transport(device)
        except HostKeyError as refused:
            if refused.others:
                raise
            agree(refused)
            remember(refused)
    return open_transport(device)


def replace_key(refused: HostKeyError) -> list[Path]:
    """Put the key that a board shows now in the place of the old ones of that name.

    Returns the files in which the known_hosts are kept as they were.

    Raises:
        ConfigError: a file cannot be written.
    """
    files = {path for path, _ in refused.others}
    kept = [
        forget(path, {line for other, line in refused.others if other == path})
        for path in sorted(files)
    ]
    remember(refused)
    return kept

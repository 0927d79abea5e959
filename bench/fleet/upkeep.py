"""What a board is asked outside of a run: what it is, its jobs, and what it need not keep."""

from __future__ import annotations

from typing import Any

from bench.config.device_settings import DeviceSettings
from bench.fleet.contact import contact
from bench.power.choice import sensor_options


def probe_device(name: str, device: DeviceSettings) -> dict[str, Any]:
    """Return the facts of a board.

    Raises:
        DeviceError: it cannot be reached, or the agent cannot run there.
    """
    with contact(name, device) as board:
        return board.client.probe(device.root, sensor_options(device.power))


def restore_device(name: str, device: DeviceSettings) -> dict[str, Any] | None:
    """Put back a board's state if a job left a changed one behind.

    Returns what the board is like now, ``None`` when there was nothing to put back.

    Raises:
        LeaseError: the job that changed it is still running.
        StateError: it cannot be put back.
        DeviceError: it cannot be reached, or the agent cannot run there.
    """
    with contact(name, device) as board:
        return board.client.restore()


def device_jobs(name: str, device: DeviceSettings) -> dict[str, Any]:
    """Return the jobs on a board and who measures there (``jobs`` in :mod:`bench.agent.wire`).

    Raises:
        DeviceError: it cannot be reached, or the agent cannot run there.
    """
    with contact(name, device) as board:
        return board.client.jobs()


def clean_device(name: str, device: DeviceSettings, *, apply: bool) -> dict[str, Any]:
    """Return what a board need not keep (``clean`` in :mod:`bench.agent.wire`), and remove it if
    ``apply``.

    Raises:
        LeaseError: somebody measures there.
        DeviceError: it cannot be reached, or the agent cannot run there.
    """
    with contact(name, device) as board:
        return board.client.clean(apply)

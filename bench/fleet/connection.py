"""Device settings → an open transport and the interpreter that runs the agent there."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench.config.device_settings import DeviceSettings, LabgridDevice, LocalDevice, SshDevice
from bench.device.labgrid.address import coordinator_or_default
from bench.device.labgrid.holding import HeldPlace, Wish, hold_place
from bench.device.labgrid.power import cycle_power
from bench.device.labgrid.transport import PlaceTransport
from bench.device.local import LocalTransport
from bench.device.power_cycle import CommandPowerCycle, PowerCycle
from bench.device.ssh import SshSettings, connect
from bench.device.transport import Transport
from bench.errors import ConfigError, PlaceError, PowerCycleError


def open_transport(
    device: DeviceSettings,
    cancel: threading.Event | None = None,
    tell: Callable[[str], None] | None = None,
) -> Transport:
    """Connect to a device. When ``cancel`` is set, a link that is down is not waited for.

    A labgrid place is taken first and returned when the transport is closed. ``tell`` is told about
    it; without, a reservation that has no free place is not waited for.

    Raises:
        HostKeyError: its host key is not the known one.
        TrustError: the key is revoked, or our key is refused.
        TransportError: it cannot be reached.
        PlaceError: its labgrid place cannot be had.
        ConfigError: ``LG_COORDINATOR`` is no address.
    """
    if isinstance(device, LocalDevice):
        return LocalTransport()
    if isinstance(device, SshDevice):
        return connect(ssh_settings(device), cancel)
    cancel = cancel or threading.Event()
    held = hold_place(_wish(device), cancel, tell)
    try:
        return PlaceTransport(_settings_at(device, held), held, cancel)
    except BaseException:
        held.release()
        raise


def place_of(transport: Transport) -> str | None:
    """Return the labgrid place that was taken for a transport, if one was."""
    return transport.place if isinstance(transport, PlaceTransport) else None


def note_run(transport: Transport, run: Path) -> None:
    """Note beside the labgrid place of a transport, if it has one, which run starts a job there.

    Raises:
        PlaceError: the note cannot be written.
    """
    if isinstance(transport, PlaceTransport):
        transport.note_run(run.absolute())


def stay(device: DeviceSettings, transport: Transport, until_the_end: ExitStack) -> DeviceSettings:
    """Keep the labgrid place of a transport, so that nobody else is given it before
    ``until_the_end`` is closed, and return how that very board is reached from now on."""
    if not (isinstance(device, LabgridDevice) and isinstance(transport, PlaceTransport)):
        return device
    held = transport.keep()
    until_the_end.callback(held.release)
    return device.at(held.name)


@dataclass(frozen=True, slots=True)
class PlacePowerCycle:
    """Switches a board with ``command``, else with the power switch of its labgrid place.

    The place is taken for that, unless this login has it already: nobody else's board is switched.
    """

    device: LabgridDevice
    command: CommandPowerCycle | None = None

    @property
    def words(self) -> str:
        """The switch."""
        if self.command is not None:
            return self.command.words
        return f"on_hang switched labgrid's place {self.device.place} off and on"

    def __call__(self) -> None:
        """Switch it (see :class:`~bench.device.power_cycle.PowerCycle`)."""
        try:
            wish = _wish(self.device)
            if wish.place is None:
                raise PlaceError(
                    "a reservation does not say which board is to be power-cycled: name it as "
                    "`place` in devices.yaml"
                )
            held = hold_place(wish, threading.Event(), None)
            try:
                if self.command is None:
                    cycle_power(wish.coordinator, held.name)
                else:
                    replace(self.command, place=held.name)()
            finally:
                held.release()
        except (PlaceError, ConfigError) as error:
            raise PowerCycleError(f"on_hang: {error}") from error


def power_cycle(name: str, device: DeviceSettings) -> PowerCycle | None:
    """Return what switches a device off and on again, ``None`` where nothing does."""
    remedy = device.on_hang
    if remedy is None:
        return None
    command = None
    if remedy.command is not None:
        command = CommandPowerCycle(name, remedy.command, remedy.timeout_s)
    return PlacePowerCycle(device, command) if isinstance(device, LabgridDevice) else command


def ssh_settings(device: SshDevice) -> SshSettings:
    """Return how a board is reached."""
    return replace(_login(device, device.host), port=device.port)


def interpreter(device: DeviceSettings) -> str:
    """Return the Python to run the agent with; on this machine the one that runs bench."""
    return device.python or sys.executable


def _settings_at(device: LabgridDevice, held: HeldPlace) -> SshSettings:
    route = held.route
    login = _login(device, route.host)
    return replace(login, port=route.port, user=device.user or route.user, jump=route.jump)


def _login(device: SshDevice | LabgridDevice, host: str) -> SshSettings:
    return SshSettings(
        host=host,
        user=device.user,
        identity_file=device.identity_file,
        known_hosts=device.known_hosts,
        connect_timeout_s=device.connect_timeout_s,
        retry_s=device.retry_s,
    )


def _wish(device: LabgridDevice) -> Wish:
    try:
        coordinator = coordinator_or_default(device.coordinator)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Wish(
        coordinator=coordinator,
        place=device.place,
        reservation=device.reservation or {},
        service=device.service,
        wait_s=device.wait_s,
    )

"""Cases shared out among boards of one kind, which the boards are asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from bench.config.device_settings import DeviceSettings, LabgridDevice
from bench.errors import DeviceError
from bench.fleet.connection import stay
from bench.fleet.contact import contact
from bench.fleet.observer import Observer
from bench.fleet.parallel import on_devices
from bench.power.choice import sensor_options
from bench.records.case import Case
from bench.records.facts import board_kind
from bench.records.manifest import Pool
from bench.run.spread import pools_of, share_out


@dataclass(frozen=True, slots=True)
class Shares:
    """Who measures what, by device.

    ``devices``: how they are reached from now on. ``held``: what is closed when a device's part is
    done, since its labgrid place is kept until then. ``absent``: why those did not answer that have
    no cases.
    """

    devices: Mapping[str, DeviceSettings]
    cases: Mapping[str, Sequence[Case]]
    pools: tuple[Pool, ...] = ()
    held: Mapping[str, ExitStack] = field(default_factory=dict)
    absent: Mapping[str, DeviceError] = field(default_factory=dict)


def shared_out(
    devices: Mapping[str, DeviceSettings],
    cases: Mapping[str, Sequence[Case]],
    observer: Observer,
    until_the_end: ExitStack,
) -> Shares:
    """Ask all devices what they are, and share ``cases`` (what each would measure alone) out.

    The labgrid places of those that answered are kept, at the latest ``until_the_end`` is closed:
    of a reservation another board could be given when it comes to measuring.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        DeviceError: none answered.
    """
    held = {name: until_the_end.enter_context(ExitStack()) for name in devices}
    kinds: dict[str, str] = {}
    reached = dict(devices)
    cancel = threading.Event()

    def ask(name: str) -> None:
        observer.phase(name, "asking what it is")
        device = devices[name]
        tell = partial(observer.note, name)
        with contact(name, _at_once(device), cancel, tell) as board:
            reached[name] = stay(device, board.transport, held[name])
            probe = board.client.probe(device.root, sensor_options(device.power))
            kinds[name] = board_kind(probe)

    failures = on_devices(devices, ask, cancel, observer)
    if cancel.is_set():
        raise KeyboardInterrupt
    absent = {name: error for name, error in failures.items() if isinstance(error, DeviceError)}
    for name, failure in failures.items():
        if name not in absent:
            raise failure
    if not kinds:
        why = "; ".join(f"{name}: {absent[name]}" for name in devices if name in absent)
        raise DeviceError(f"no board answered, so that none measures anything: {why}")
    for name, error in absent.items():
        held[name].close()
        observer.ended(name, str(error))
    answered = {name: kinds[name] for name in devices if name in kinds}
    pools = pools_of(answered, cases)
    parts = share_out(pools, {name: cases[name] for name in answered})
    return Shares(reached, parts, pools, held, absent)


def _at_once(device: DeviceSettings) -> DeviceSettings:
    """A reservation that has no place now is not waited for: nobody measures before all have
    answered, and others can measure its share."""
    if not isinstance(device, LabgridDevice):
        return device
    return device.model_copy(update={"wait_s": 0.0})

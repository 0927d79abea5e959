"""Examines a device: connects, asks, and turns what comes back into checks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.boards import recognise_probed
from bench.config.device_settings import DeviceSettings
from bench.device.ssh import SshTransport
from bench.device.transport import Transport
from bench.errors import (
    AgentError,
    DeviceError,
    HostKeyError,
    LeaseError,
    PlaceError,
    TransportError,
    TrustError,
)
from bench.fleet.connection import interpreter, open_transport, place_of
from bench.fleet.contact import equip
from bench.onboarding.adding import require_linux
from bench.onboarding.checks import (
    Check,
    clock_check,
    does_not_apply,
    failed,
    passed,
    python_checks,
    room_checks,
    state_checks,
    surroundings_checks,
)
from bench.onboarding.meter_check import meter_check
from bench.onboarding.sensor_checks import sensor_checks
from bench.power.choice import choose_power, sensor_options

ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Examined:
    """All checks in order; ``reached``: whether the device could be logged in to."""

    checks: tuple[Check, ...]
    reached: bool

    @property
    def can_measure(self) -> bool:
        """Whether nothing that prevents measuring failed."""
        return not any(check.is_fatal for check in self.checks)


def examine(name: str, device: DeviceSettings) -> Examined:
    """Examine a device; nothing that is wrong with it is raised."""
    try:
        transport = open_transport(device)
    except TransportError as error:
        return Examined(tuple(_why_not_reached(name, device, error)), reached=False)
    except PlaceError as error:
        fix = "what the message says; docs/labgrid.md has the steps"
        return Examined((failed("place", str(error), fix, prevents=True),), reached=False)
    try:
        checks = list(_link(transport))
        try:
            checks += _examine(name, device, transport)
        except TransportError as error:
            checks.append(_lost(error))
            return Examined(tuple(checks), reached=False)
        return Examined(tuple(checks), reached=True)
    finally:
        transport.close()


def _why_not_reached(name: str, device: DeviceSettings, error: TransportError) -> Iterator[Check]:
    steps = ("ssh", "host key", "login")
    words = (
        f"switch the board on and check its cable and address (`host` of {name} in devices.yaml)",
        f"`bench devices trust {name}`",
        f"{_command_of(error)}name a key that the board takes as `identity_file` of {name}",
    )
    wrong = 1 if isinstance(error, HostKeyError) else 2 if isinstance(error, TrustError) else 0
    for number, step in enumerate(steps):
        if number < wrong:
            yield passed(step, "answers" if number == 0 else "known")
        elif number == wrong:
            yield failed(step, str(error), words[number], prevents=True)
        else:
            yield does_not_apply(step, f"not tried, since {steps[wrong]} failed")


def _command_of(error: TransportError) -> str:
    return f"`{error.fix}`, or " if isinstance(error, TrustError) and error.fix else ""


def _link(transport: Transport) -> Iterator[Check]:
    if not isinstance(transport, SshTransport):
        for step in ("ssh", "host key", "login"):
            yield does_not_apply(step, "this machine")
        return
    place = place_of(transport)
    if place is not None:
        yield passed("place", place)
    yield passed("ssh", transport.board.address)
    yield passed("host key", "known")
    yield passed("login", f"user {transport.board.user}")


def _lost(error: TransportError) -> Check:
    return failed("ssh", str(error), "check cable and power supply of the board", prevents=True)


def _examine(name: str, device: DeviceSettings, transport: Transport) -> Iterator[Check]:
    """Yield the checks of a device that is connected.

    Raises:
        TransportError: the link was lost.
    """
    try:
        require_linux(name, transport)
    except TransportError:
        raise
    except DeviceError as error:
        fix = f"name a board that runs Linux as `host` of {name}, or install Linux there"
        yield failed("system", str(error), fix, prevents=True)
        return
    try:
        board = equip(name, device, transport)
    except TransportError:
        raise
    except DeviceError as error:
        fix = "what the message says; bench needs a shell there and a folder it can write"
        yield failed("work folder", str(error), fix, prevents=True)
        return
    yield passed("work folder", device.work_dir)
    options = sensor_options(device.power)
    try:
        facts = board.client.probe(device.root, options)
    except LeaseError as busy:
        yield failed("is free", str(busy), "wait for the end of that job", prevents=True)
        return
    except AgentError as error:
        fix = f"install Python 3.6 or newer there, or set `python` of {name}"
        yield failed("python", str(error), fix, prevents=True)
        return
    known = recognise_probed(facts)
    yield from python_checks(name, facts, known.runtimes)
    yield from room_checks(name, facts)
    yield _clock(device, transport)
    power, verdict = choose_power(known, facts["sensors"], device.power, estimates=True)
    is_named = device.power.is_named
    try:
        deep = board.client.doctor(device.root, options)
    except LeaseError as busy:
        yield from sensor_checks(facts, None, power, verdict, is_named=is_named)
        yield failed("is free", str(busy), "wait for the end of that job", prevents=True)
        return
    yield from sensor_checks(facts, deep, power, verdict, is_named=is_named)
    yield from state_checks(facts, deep)
    yield from surroundings_checks(facts, deep, device.lock)
    # Last: a job that is under way may be reading it, and has ended the checks above.
    yield meter_check(name, device.meter)


def _clock(device: DeviceSettings, transport: Transport) -> Check:
    """Ask for the board's time; it was told somewhere between question and answer."""
    argv = [interpreter(device), "-c", "import time; print(time.time())"]
    before_s = time.time()
    done = transport.run(argv, timeout_s=ASK_S, repeatable=True)
    after_s = time.time()
    try:
        board_s = float(done.stdout)
    except ValueError:
        return does_not_apply("clock", "the board does not tell its time")
    return clock_check(board_s - (before_s + after_s) / 2, (after_s - before_s) / 2)

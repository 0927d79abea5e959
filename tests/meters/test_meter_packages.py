"""Joulescope and PPK2: the names that we use are those of the real packages (their hardware is not
here), and our code over doubles of the devices that have just these names."""

from __future__ import annotations

import inspect
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joulescope
import pytest
from joulescope.parameters_v1 import PARAMETERS_DICT
from joulescope.v1.device import Device
from ppk2_api import ppk2_api

from bench.errors import SensorError
from bench.meters import METERS
from bench.meters.joulescope import RATE_HZ
from bench.meters.meter import Meter, MeterOptions

LOG = Path("unused.log")


def accepts(function: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    inspect.signature(function).bind(*arguments, **named)


def test_the_names_of_joulescope() -> None:
    accepts(joulescope.scan, config="auto")
    accepts(Device.open, None)
    accepts(Device.parameter_set, None, "reduction_frequency", RATE_HZ)
    accepts(Device.statistics_callback_register, None, print, "sensor")
    accepts(Device.statistics_callback_unregister, None, print, "sensor")
    accepts(Device.close, None)
    rates = [value for _, value, _ in PARAMETERS_DICT["reduction_frequency"].options]
    assert RATE_HZ in rates


def test_the_names_of_ppk2_api() -> None:
    api = ppk2_api.PPK2_API
    accepts(api, "/dev/ttyACM0", timeout=1, write_timeout=1)
    accepts(ppk2_api.serial.Serial, "/dev/ttyACM0", timeout=1, write_timeout=1)
    accepts(api.list_devices)
    for name in ("get_modifiers", "use_ampere_meter", "start_measuring", "stop_measuring"):
        accepts(getattr(api, name), None)
    accepts(api.get_data, None)
    accepts(api.set_source_voltage, None, 5000)
    accepts(api.toggle_DUT_power, None, "ON")
    accepts(api.get_samples, None, b"")


class JoulescopeDouble(Device):
    """The real class over a driver that is not there: what it hands to callbacks is its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._statistics_callbacks = []
        self._statistics_offsets = []
        self.is_open = False
        self.parameters_set: dict[str, Any] = {}

    def __str__(self) -> str:
        return self._name

    def open(self, *_: Any, **__: Any) -> None:
        self.is_open = True

    def close(self, timeout: Any = None) -> None:
        self.is_open = False

    def _statistics_start(self) -> None: ...

    def _statistics_stop(self) -> None: ...

    def parameter_set(self, name: str, value: Any) -> None:
        self.parameters_set[name] = value

    def measure(self, samples: tuple[int, int], power_w: float) -> None:
        """What the driver publishes for statistics; the real class makes the rest of it."""
        figure = {"avg": {"value": power_w, "units": "W"}, "std": {"value": 0.0, "units": "W"}}
        self._on_stats(
            "s/stats/value",
            {
                "time": {"samples": {"value": list(samples)}},
                "signals": {name: dict(figure) for name in ("current", "voltage", "power")},
                "accumulators": {"charge": {"value": 0.0}, "energy": {"value": 0.0}},
            },
        )


def open_joulescope(
    monkeypatch: pytest.MonkeyPatch, *devices: JoulescopeDouble, **options: Any
) -> Meter:
    monkeypatch.setattr(joulescope, "scan", lambda name=None, config=None: list(devices))
    return METERS["joulescope"].open_meter(MeterOptions(**options), LOG, print)


def test_a_joulescope_is_read_by_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    device = JoulescopeDouble("JS220-000415")
    meter = open_joulescope(monkeypatch, device)
    assert device.is_open
    assert device.parameters_set == {"reduction_frequency": RATE_HZ}
    # 2 million samples a second: two readings of 10 ms each, dated by their middles.
    device.measure((1_000_000, 1_020_000), 1.5)
    device.measure((1_020_000, 1_040_000), 2.5)
    readings = meter.read(0.1)
    assert [reading.power_w for reading in readings] == [1.5, 2.5]
    assert [reading.t_ns for reading in readings] == [5_000_000, 15_000_000]
    meter.close()
    assert not device.is_open


@pytest.mark.parametrize("step", ["parameter_set", "_statistics_start"])
def test_a_joulescope_that_cannot_be_set_up_is_let_go_of(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = JoulescopeDouble("JS220-000415")

    def fail(*_: Any) -> None:
        raise RuntimeError("firmware too old")

    monkeypatch.setattr(device, step, fail)
    with pytest.raises(SensorError, match="cannot open JS220-000415: firmware too old"):
        open_joulescope(monkeypatch, device)
    assert not device.is_open


def test_a_joulescope_is_closed_also_where_it_does_not_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = JoulescopeDouble("JS220-000415")
    meter = open_joulescope(monkeypatch, device)

    def fail() -> None:
        raise RuntimeError("timed out")

    monkeypatch.setattr(device, "_statistics_stop", fail)
    with pytest.raises(RuntimeError, match="timed out"):
        meter.close()
    assert not device.is_open


def test_a_joulescope_that_falls_silent_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = open_joulescope(monkeypatch, JoulescopeDouble("JS110-001"))
    assert meter.read(0.001) == []
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 10)
    with pytest.raises(SensorError, match=r"JS110-001 gave no reading .*plugged in"):
        meter.read(0.001)


def test_which_joulescope(monkeypatch: pytest.MonkeyPatch) -> None:
    two = JoulescopeDouble("JS220-000415"), JoulescopeDouble("JS220-000777")
    with pytest.raises(SensorError, match=r"found JS220-000415, JS220-000777: .*serial"):
        open_joulescope(monkeypatch, *two)
    open_joulescope(monkeypatch, *two, serial="777").close()
    with pytest.raises(SensorError, match="found none"):
        open_joulescope(monkeypatch)


METADATA = b"Calibrated: 1\nR4: 0.05\nGS4: 0.0\nGI4: 1.0\nHW: 9173\nEND"


class SerialDouble:
    """The serial port of a PPK2: metadata, then samples as the firmware packs them."""

    def __init__(self, port: str, **_: Any) -> None:
        self.baudrate = 0
        self.pending = b""
        self.commands: list[bytes] = []
        self.unplugged = False
        self.is_open = True

    @property
    def in_waiting(self) -> int:
        if self.unplugged:
            raise OSError(5, "Input/output error")
        return len(self.pending)

    def read(self, count: int) -> bytes:
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def write(self, data: bytes) -> None:
        self.commands.append(data)
        if data == bytes([ppk2_api.PPK2_Command.GET_META_DATA]):
            self.pending = METADATA

    def close(self) -> None:
        self.is_open = False


PPK2 = MeterOptions(serial="/dev/ttyACM7", voltage_v=5.0)


@pytest.fixture
def ppk2(monkeypatch: pytest.MonkeyPatch) -> tuple[Meter, SerialDouble, list[str]]:
    """A real PPK2_API over a serial port that is none."""
    ports: list[SerialDouble] = []

    def port(*arguments: Any, **named: Any) -> SerialDouble:
        ports.append(SerialDouble(*arguments, **named))
        return ports[-1]

    notes: list[str] = []
    monkeypatch.setattr(ppk2_api.serial, "Serial", port)
    meter = METERS["ppk2"].open_meter(PPK2, LOG, notes.append)
    return meter, ports[0], notes


def samples(count: int, adc: int = 2000, span: int = 4) -> bytes:
    """The bytes of samples in one measuring range."""
    return struct.pack("<I", adc | span << 14) * count


def test_a_ppk2_is_read_as_means_over_a_millisecond(ppk2: Any) -> None:
    meter, port, _ = ppk2
    port.pending = samples(250)
    first = meter.read(0.01)
    port.pending = samples(50)
    second = meter.read(0.01)
    assert [reading.t_ns for reading in (*first, *second)] == [500_000, 1_500_000, 2_500_000]
    # The range's 0.05 ohm are the device's own word, the 5 V those that were stated.
    expected_w = 2000 * 4 * 1.8 / 163840 / 0.05 * 5.0
    assert [reading.power_w for reading in first] == pytest.approx([expected_w] * 2, rel=1e-6)
    meter.close()
    assert bytes([ppk2_api.PPK2_Command.AVERAGE_STOP]) in port.commands
    assert not port.is_open


def test_samples_that_a_ppk2_lost_are_a_gap(ppk2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    meter, port, notes = ppk2
    port.pending = samples(100)
    (before,) = meter.read(0.01)
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 2.0)
    port.pending = samples(100)
    (after,) = meter.read(0.01)
    assert (after.t_ns - before.t_ns) * 1e-9 == pytest.approx(2.0, abs=0.1)
    assert "lost 2." in notes[0] or "lost 1.9" in notes[0]


def test_a_ppk2_that_is_unplugged(ppk2: Any) -> None:
    meter, port, _ = ppk2
    port.unplugged = True
    with pytest.raises(SensorError, match=r"PPK2 is gone: .*Input/output error"):
        meter.read(0.01)
    meter.close()


def test_what_does_not_answer_as_a_ppk2_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    port = SerialDouble("")
    monkeypatch.setattr(ppk2_api.serial, "Serial", lambda *_, **__: port)
    monkeypatch.setattr(ppk2_api.PPK2_API, "get_modifiers", lambda self: None)
    # The package closes its port too, but only when it is collected.
    monkeypatch.delattr(ppk2_api.PPK2_API, "__del__")
    with pytest.raises(SensorError, match="ttyACM7 does not answer as a PPK2"):
        METERS["ppk2"].open_meter(PPK2, LOG, print)
    assert not port.is_open


def test_a_ppk2_is_closed_also_where_it_does_not_stop(
    ppk2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter, port, _ = ppk2

    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ppk2_api.PPK2_API, "stop_measuring", fail)
    with pytest.raises(OSError, match="Input/output error"):
        meter.close()
    assert not port.is_open


@pytest.mark.parametrize("kind", ["joulescope", "ppk2"])
def test_a_package_that_is_missing_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = {"joulescope": "joulescope", "ppk2": "ppk2_api.ppk2_api"}[kind]
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(SensorError, match=rf"-m pip install 'bench-on-device\[{kind}\]'"):
        METERS[kind].open_meter(MeterOptions(voltage_v=5.0), LOG, print)


def test_no_ppk2_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppk2_api.PPK2_API, "list_devices", staticmethod(list))
    with pytest.raises(SensorError, match="found none: plug in one PPK2"):
        METERS["ppk2"].open_meter(MeterOptions(voltage_v=5.0), LOG, print)

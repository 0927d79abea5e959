"""``meter:`` in devices.yaml: what is taken, and one line for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.devices_file import load_devices
from bench.errors import ConfigError


def load(tmp_path: Path, meter: str) -> object:
    path = tmp_path / "devices.yaml"
    path.write_text(
        f"devices:\n  nano:\n    transport: ssh\n    host: nano.lan\n    meter: {meter}\n"
    )
    return load_devices(path)["nano"].meter


def test_meters_are_taken_with_what_they_need(tmp_path: Path) -> None:
    meter = load(tmp_path, "{kind: command, command: [prog, --fast], scope: board input}")
    assert meter.options.command == ("prog", "--fast")
    assert (meter.scope, meter.reading, meter.gain_error) == ("board input", "auto", None)
    # One line is split as a shell would, as with a program on the board (power.command.run).
    meter = load(tmp_path, "{kind: command, command: prog '/dev/my meter', scope: board input}")
    assert meter.options.command == ("prog", "/dev/my meter")
    assert load(tmp_path, "{kind: joulescope, scope: board input}").options.serial is None
    meter = load(tmp_path, "{kind: ppk2, scope: board, voltage_v: 5.1, serial: /dev/ttyACM0}")
    assert meter.options.voltage_v == 5.1


@pytest.mark.parametrize(
    ("meter", "words"),
    [
        ("{kind: command, scope: wall}", "a meter of kind command needs 'command'"),
        ("{kind: command, scope: wall, command: []}", "'meter.command': must not be empty"),
        ("{kind: command, command: [a]}", "key 'meter.scope' is missing"),
        ("{kind: joulscope, scope: wall}", "did you mean 'joulescope'?"),
        ("{kind: joulescope, scope: wall, command: [a]}", "has no 'command'; remove it"),
        ("{kind: ppk2, scope: wall}", "needs 'voltage_v'"),
        ("{kind: ppk2, scope: wall, voltage_v: 0}", "meter.voltage_v"),
        ("{kind: command, command: [a], scope: wall, readng: mean}", "did you mean 'reading'?"),
        (
            "{kind: command, command: [a], scope: wall, reading: median}",
            "key 'meter.reading': must be 'auto', 'mean' or 'instant' (it is 'median')",
        ),
        ("joulescope", "key 'meter': must be a mapping of keys to values (it is 'joulescope')"),
        ("{kind: command, command: 5, scope: wall}", "key 'meter.command': must be a list"),
        ("{kind: command, command: [a, 5], scope: wall}", "key 'meter.command.1': must be text"),
        ("{kind: ppk2, scope: wall, voltage_v: five}", "must be a number (it is 'five')"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, meter: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, meter)
    text = str(caught.value)
    assert words in text
    assert "device 'nano'" in text
    assert "\n" not in text
    for jargon in ("value error", "valid ", "input", "instance", "metersettings"):
        assert jargon not in text.lower()

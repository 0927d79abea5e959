"""devices.yaml: what is accepted, and what is said about what is not."""

from pathlib import Path

import pytest

from bench.config.device_settings import LabgridDevice, LocalDevice, SshDevice
from bench.config.devices_file import find_device, load_devices
from bench.errors import ConfigError

ROOT = Path(__file__).parents[2]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    return path


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_devices(write(tmp_path, text))
    message = str(caught.value)
    assert "\n" not in message
    assert "devices.yaml" in message
    return message


def test_the_shipped_file_measures_this_machine() -> None:
    devices = load_devices(ROOT / "devices.yaml")
    assert list(devices) == ["local"]
    assert isinstance(devices["local"], LocalDevice)
    assert devices["local"].power.estimate is not None


def test_the_commented_examples_are_valid_when_uncommented(tmp_path: Path) -> None:
    lines = (ROOT / "devices.yaml").read_text().splitlines()
    active = [line.replace("  # ", "  ", 1) if line.startswith("  # ") else line for line in lines]
    devices = load_devices(write(tmp_path, "\n".join(active)))
    assert list(devices) == [
        "local",
        "jetson-nano",
        "jetson-orin-nano",
        "shared-orin",
        "raspberry-pi",
    ]
    assert isinstance(devices["jetson-nano"], SshDevice)


def test_without_a_file_there_is_still_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DEVICES", raising=False)
    assert list(load_devices()) == ["local"]


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "devices:\n  board:\n    transport: ssh\n    host: b\n")
    monkeypatch.setenv("BENCH_DEVICES", str(path))
    assert list(load_devices()) == ["board"]


def test_malformed_yaml_names_line_and_column(tmp_path: Path) -> None:
    assert ":3:" in problem(tmp_path, "devices:\n  a: {transport: local}\n  b: [}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devices:\n  x:\n    transport: ssh\n    hots: b\n", ["'x'", "hots", "'host'"]),
        ("devices:\n  x:\n    transport: ssh\n", ["'x'", "'host' is missing"]),
        ("devices:\n  x:\n    host: b\n", ["'x'", "transport: ssh"]),
        ("devices:\n  x:\n    transport: telnet\n", ["'telnet'", "'ssh', 'local' or 'labgrid'"]),
        ("devices:\n  x: 3\n", ["'x'", "mapping"]),
        ("devices: {}\n", ["'devices'"]),
        ("boards:\n  x: 1\n", ["'devices'"]),
        ("", ["is empty"]),
        ("devices:\n  x:\n    transport: ssh\n    host: b\n    port: many\n", ["port", "'many'"]),
        ("devices:\n  x:\n    transport: ssh\n    host: b\n    port: 70000\n", ["port", "70000"]),
        (
            "devices:\n  x:\n    transport: local\n    power: {sensr: auto}\n",
            ["power.sensr", "did you mean 'sensor'"],
        ),
        (
            "devices:\n  x:\n    transport: local\n    power: {estimate: {idle_w: 3}}\n",
            ["power.estimate.busy_w", "missing"],
        ),
        (
            'devices:\n  x:\n    transport: ssh\n    host: b\n    user: "u\\nProxyCommand touch"\n',
            ["'x'", "user"],
        ),
        (
            "devices:\n  x:\n    transport: ssh\n    host: b\n    password: hunter2\n",
            ["password", "SSH key"],
        ),
        ("devices:\n  x:\n    transport: labgrid\n", ["'x': name a 'place', or"]),
        (
            "devices: {x: {transport: labgrid, place: p, reservation: {board: orin}}}",
            ["'x': name a 'place', or", "not both"],
        ),
        ("devices: {x: {transport: labgrid, plaice: p}}", ["plaice", "did you mean 'place'"]),
        (
            "devices: {x: {transport: labgrid, reservation: {}}}",
            ["'reservation'", "not be empty"],
        ),
        ("devices: {x: {transport: labgrid, reservation: {a: 'b c'}}}", ["reservation.a"]),
        (
            "devices: {x: {transport: labgrid, place: p, coordinator: 'ws://lab:20408/ws'}}",
            ["'coordinator'", "HOST or HOST:PORT", "ws://lab"],
        ),
        ("devices: {x: {transport: labgrid, place: p, coordinator: 'lab:0'}}", ["coordinator"]),
        ("devices: {x: {transport: labgrid, place: p, host: h}}", ["unknown key 'host'"]),
    ],
)
def test_bad_input_names_device_key_and_fix(tmp_path: Path, text: str, said: list[str]) -> None:
    message = problem(tmp_path, text)
    for part in said:
        assert part in message


def test_a_labgrid_device_s_coordinator_and_tags(tmp_path: Path) -> None:
    text = "devices: {x: {transport: labgrid, reservation: {board: 3}, coordinator: '[::1]'}}"
    (device,) = load_devices(write(tmp_path, text)).values()
    assert isinstance(device, LabgridDevice)
    assert device.reservation == {"board": "3"}
    assert device.coordinator == "[::1]:20408"


def test_a_secret_is_never_repeated(tmp_path: Path) -> None:
    text = "devices:\n  x:\n    transport: ssh\n    host: b\n    password: hunter2\n"
    assert "hunter2" not in problem(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such devices file"):
        load_devices(tmp_path / "nowhere.yaml")


def test_an_unknown_device_gets_near_matches() -> None:
    with pytest.raises(ConfigError, match="did you mean 'local'"):
        find_device(load_devices(ROOT / "devices.yaml"), "lokal")


def test_relative_paths_start_in_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "devices: {nano: {transport: ssh, host: h, identity_file: keys/id, known_hosts: hosts}, "
        "orin: {transport: ssh, host: h, identity_file: ~/.ssh/id, known_hosts: /etc/hosts}}"
    )
    path = write(tmp_path, text)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    nano, orin = load_devices(path).values()
    assert isinstance(nano, SshDevice) and isinstance(orin, SshDevice)
    assert nano.identity_file == tmp_path / "keys" / "id"
    assert nano.known_hosts == tmp_path / "hosts"
    assert orin.identity_file == Path.home() / ".ssh" / "id"
    assert orin.known_hosts == Path("/etc/hosts")

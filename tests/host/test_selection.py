"""Which devices ``--device`` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.device_settings import LabgridDevice, LocalDevice, SshDevice
from bench.config.devices_file import load_devices
from bench.errors import ConfigError
from bench.fleet.selection import select, shared_boards

FILE = """
devices:
  local: {transport: local}
  jetson-nano: {transport: ssh, host: nano.lan, tags: [lab, maxwell]}
  jetson-orin-1: {transport: ssh, host: orin1.lan, tags: orin, on_hang: usbrelay 'BOARD 1'}
  jetson-orin-2: {transport: ssh, host: orin2.lan, tags: [orin, lab]}
"""


@pytest.fixture
def known(tmp_path: Path) -> dict[str, LocalDevice | SshDevice]:
    path = tmp_path / "devices.yaml"
    path.write_text(FILE)
    return load_devices(path)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["jetson-nano"], ["jetson-nano"]),
        (["jetson-orin-2", "jetson-orin-2", "local"], ["jetson-orin-2", "local"]),
        (["all"], ["local", "jetson-nano", "jetson-orin-1", "jetson-orin-2"]),
        (["jetson-*"], ["jetson-nano", "jetson-orin-1", "jetson-orin-2"]),
        (["*-[12]"], ["jetson-orin-1", "jetson-orin-2"]),
        (["tag:lab"], ["jetson-nano", "jetson-orin-2"]),
        (["tag:orin", "all"], ["jetson-orin-1", "jetson-orin-2", "local", "jetson-nano"]),
    ],
)
def test_what_is_meant(known: dict, wanted: list[str], names: list[str]) -> None:
    assert list(select(wanted, known)) == names


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pi-*", "no device fits 'pi-*'; there is local, jetson-nano"),
        ("tag:orni", "no device has the tag 'orni'; did you mean 'orin'?"),
        ("jetson-nan", "unknown device 'jetson-nan'; did you mean 'jetson-nano'"),
        ("Jetson-*", "no device fits 'Jetson-*'"),
    ],
)
def test_what_is_not_there_is_one_line_that_names_what_is(
    known: dict, word: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        select([word], known)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_no_tags_at_all(known: dict) -> None:
    with pytest.raises(ConfigError, match="no device has any: add `tags:`"):
        select(["tag:lab"], {"local": known["local"]})


def test_a_name_wins_over_what_it_would_mean(known: dict) -> None:
    named = {**known, "all": known["local"]}
    assert list(select(["all"], named)) == ["all"]


def board(**settings: object) -> SshDevice:
    return SshDevice(**{"transport": "ssh", "host": "10.0.0.9", **settings})


def test_two_names_of_one_board_are_told_whatever_the_user() -> None:
    (line,) = shared_boards({"a": board(), "b": board(port=22, user="ada"), "c": board(port=2222)})
    assert line.startswith("a and b lead to one board (10.0.0.9:22)") and "--wait" in line
    assert shared_boards({"a": board(), "local": LocalDevice(transport="local")}) == []


def test_names_of_ssh_s_configuration_lead_where_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    config = "Host orin\n HostName Board.lan\n Port 2222\nHost far\n HostName board.lan\n"
    config += " Port 2222\n ProxyJump gate\nHost gate\n HostName 10.0.0.1\n"
    (tmp_path / ".ssh/config").write_text(config)
    devices = {
        "alias": board(host="orin"),
        "plain": board(host="board.lan", port=2222),
        "behind": board(host="far"),
    }
    (line,) = shared_boards(devices)
    assert line.startswith("alias and plain lead to one board (board.lan:2222)")


def test_two_names_of_one_labgrid_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LG_COORDINATOR", "lab")
    devices = {
        "a": LabgridDevice(transport="labgrid", place="nano"),
        "b": LabgridDevice(transport="labgrid", place="nano", coordinator="lab:20408"),
        "waits": LabgridDevice(transport="labgrid", reservation={"name": "nano"}),
        "any": LabgridDevice(transport="labgrid", reservation={"board": "nano"}),
        "any-too": LabgridDevice(transport="labgrid", reservation={"board": "nano"}),
        "elsewhere": LabgridDevice(transport="labgrid", place="nano", coordinator="other"),
    }
    (line,) = shared_boards(devices)
    assert line.startswith("a and b and waits lead to one board (place nano)")
    monkeypatch.setenv("LG_COORDINATOR", "ws://lab/ws")
    assert shared_boards({"a": devices["a"], "waits": devices["waits"]}) == []


def test_a_hang_s_remedy_is_words_and_never_a_shell(known: dict) -> None:
    remedy = known["jetson-orin-1"].on_hang
    assert remedy.command == ("usbrelay", "BOARD 1") and remedy.times == 2


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{transport: local, on_hang: reboot}", "this machine would switch itself off"),
        ("{transport: ssh, host: x, on_hang: {comand: [a]}}", "unknown key 'on_hang.comand'"),
        ("{transport: ssh, host: x, on_hang: []}", "on_hang"),
        ("{transport: ssh, host: x, on_hang: labgrid}", "for devices of transport labgrid"),
        ("{transport: labgrid, place: x, on_hang: {times: 1}}", "a command or `switch: labgrid`"),
        ("{transport: ssh, host: x, tags: ['a b']}", "tags"),
        ("{transport: ssh, host: x, give_up_after: 0}", "give_up_after"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, entry: str, said: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(f"devices:\n  a: {entry}\n")
    with pytest.raises(ConfigError) as caught:
        load_devices(path)
    assert said in str(caught.value) and "\n" not in str(caught.value)

"""`bench devices add`, `trust` and `remove` against a real sshd."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from new_board import NewBoard
from sshd import key_words, make_key

from bench.cli import main
from bench.config.device_settings import SshDevice
from bench.config.devices_file import load_devices
from bench.device.transport import Transport
from bench.onboarding.adding import entry_of, free_name, summary, survey
from bench.onboarding.trust import connect_asking

Make = Callable[..., NewBoard]
Capture = pytest.CaptureFixture[str]

TESTS = Path(__file__).parents[1]
BENCH_WITH_OWN_LOCK = [
    sys.executable,
    "-c",
    "import sys; from bench.cli import device_add, main; from new_board import with_own_lock;"
    "device_add.device_at = with_own_lock(device_add.device_at); sys.exit(main())",
]
MINE = """\
# My boards.
devices:

    local:              # this machine
        transport: local
        power: {sensor: none}   # declined

    # old:              # sold
    #     transport: ssh
"""


def test_without_a_terminal_an_unknown_key_is_named_and_nothing_is_written(
    new_board: Make, capsys: Capture
) -> None:
    board = new_board()
    assert board.add(trusting=False) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"add --accept-key {board.fingerprint()}" in line
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in line
    assert not board.known_hosts.exists() and not board.devices.exists()


def test_another_fingerprint_than_the_accepted_one_is_not_trusted(
    new_board: Make, capsys: Capture
) -> None:
    board = new_board()
    assert board.add("--accept-key", "SHA256:" + "A" * 43, trusting=False) == 2
    assert board.fingerprint() in capsys.readouterr().err
    assert not board.known_hosts.exists() and not board.devices.exists()


def test_an_accepted_board_is_written_down_and_measures(new_board: Make, capsys: Capture) -> None:
    board = new_board()
    board.devices.write_text(MINE)
    assert board.add("--name", "nano", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "nano" and told["next"] == "bench run --device nano"
    assert told["runtimes"]["onnxruntime"] is None

    text = board.devices.read_text()
    assert text.startswith(MINE), text
    added = load_devices(board.devices)["nano"]
    assert isinstance(added, SshDevice)
    assert (added.host, added.port) == (board.server.host, board.server.port)
    assert added.user == board.server.user and added.identity_file == board.server.key
    words = key_words(board.server.host_keys[0])
    assert board.known_hosts.read_text() == f"{board.server.known_name} {words}\n"
    assert board.known_hosts.stat().st_mode & 0o777 == 0o600
    # The real ssh takes the same file, so nothing is asked there either.
    ssh = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-i", str(board.server.key)]
    ssh += ["-o", f"UserKnownHostsFile={board.known_hosts}", "-p", str(board.server.port)]
    argv = [*ssh, board.address.partition(":")[0], "echo hello"]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"hello\n"
    assert main(["devices", "probe", "nano"]) == 0


def test_the_end_says_what_works_and_what_to_type_next(new_board: Make, capsys: Capture) -> None:
    board = new_board()
    assert board.add() == 0
    said = capsys.readouterr()
    assert "onnxruntime" in said.out and "devices.yaml" in said.out
    name = next(name for name in load_devices(board.devices) if name != "local")
    assert said.err.splitlines()[-1] == f"next: bench run --device {name}"


def test_a_name_or_a_place_that_is_taken_is_refused(new_board: Make, capsys: Capture) -> None:
    board = new_board()
    assert board.add("--name", "nano") == 0
    before = board.devices.read_text()
    assert board.add("--name", "nano") == 2
    assert "'nano' already" in capsys.readouterr().err
    assert board.add("--name", "other") == 2
    assert "nano is at this host and port" in capsys.readouterr().err
    assert board.devices.read_text() == before
    assert board.add("--name", "other", "--again") == 0
    assert list(load_devices(board.devices)) == ["local", "nano", "other"]


def test_a_changed_key_is_only_replaced_when_that_is_asked_for(
    new_board: Make, tmp_path: Path, capsys: Capture
) -> None:
    board = new_board()
    assert board.add("--name", "nano") == 0
    other = f"{board.server.known_name} {key_words(make_key(tmp_path / 'other'))}\n"
    text = f"# mine\nelsewhere ssh-ed25519 AAAA\n{other}"
    board.known_hosts.write_text(text)
    assert board.add("--name", "again", "--again") == 4
    assert "line 3 has another one" in capsys.readouterr().err
    accept = ("--accept-key", board.fingerprint())
    assert main(["devices", "trust", "nano", *accept]) == 2
    assert "bench devices trust nano --replace" in capsys.readouterr().err
    # Without a terminal somebody must have named the new key.
    assert main(["devices", "trust", "nano", "--replace"]) == 2
    assert board.known_hosts.read_text() == text
    assert main(["devices", "trust", "nano", "--replace", *accept]) == 0
    words = key_words(board.server.host_keys[0])
    assert board.known_hosts.read_text() == text.replace(
        other, f"{board.server.known_name} {words}\n"
    )
    assert board.known_hosts.with_name("known_hosts.old").read_text() == text


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2)])
def test_a_person_at_a_terminal_is_asked(new_board: Make, answer: str, code: int) -> None:
    board = new_board()
    ours, theirs = pty.openpty()
    argv = [
        *BENCH_WITH_OWN_LOCK,
        "devices",
        "add",
        board.address,
        "--identity",
        str(board.server.key),
    ]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    process = subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    os.write(ours, f"{answer}\n".encode())
    _, said = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code, said
    assert board.fingerprint() in said
    assert board.known_hosts.exists() is board.devices.exists() is (code == 0)


def test_a_recognised_board_gets_its_name_and_its_total(new_board: Make, tmp_path: Path) -> None:
    """The tree of a Jetson Nano is constructed; the board behind it is this machine."""
    board = new_board()
    chip = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    tree: dict[str, str] = {
        "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
        "proc/device-tree/compatible": "nvidia,p3450-0000\0nvidia,jetson-nano\0",
    }
    for number, rail in enumerate(("POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU")):
        tree[f"{chip}/rail_name_{number}"] = f"{rail}\n"
        tree[f"{chip}/in_power{number}_input"] = "2500\n"
    for name, text in tree.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    device = SshDevice(
        transport="ssh",
        host=board.server.host,
        port=board.server.port,
        user=board.server.user,
        identity_file=board.server.key,
        root=str(tmp_path / "root"),
        lock="lock",
    )
    transport: Transport = connect_asking(device, lambda refused: None)
    found = survey(device, transport)
    transport.close()
    assert free_name(found, ["local"]) == "jetson-nano"
    assert free_name(found, ["jetson-nano"]) == "jetson-nano-2"
    assert found.power is not None and found.power.total == ("POM_5V_IN",)
    assert "ina3221 POM_5V_IN (board input (5 V), measured)" in summary(found)
    assert "python" not in entry_of(found.settings)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody at all"], "is no address"),
        (["-oProxyCommand=x"], "No such option"),
        (["a@b:22", "--port", "23"], "two ports"),
        (["a@b", "--identity", "absent"], "no such file"),
        (["a@b", "--name", "x,y"], "is no name"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    new_board: Make, capsys: Capture, arguments: list[str], said: str
) -> None:
    new_board()
    assert main(["devices", "add", *arguments]) == 2
    assert said.lower() in capsys.readouterr().err.lower()


def test_a_board_that_is_off(new_board: Make, capsys: Capture) -> None:
    board = new_board()
    board.server.stop()
    assert board.add() == 4
    assert "is the board on" in capsys.readouterr().err
    assert not board.devices.exists()

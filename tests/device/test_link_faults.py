"""A link that is cut, freezes or answers too late, in each thing the host does over it.

A cable with a real sshd at its end is pulled; the agent is a small real program.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from cable import Cable
from sshd import Sshd

import bench.device.ssh_link
from bench.device.ssh import SshSettings, SshTransport, connect
from bench.device.transport import Push
from bench.errors import DeviceError, TransportError, TrustError

TIMEOUT_S = 60.0
GONE_S = 3.0
MIB = 2**20

Connect = Callable[..., SshTransport]


@pytest.fixture(autouse=True)
def soon_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that says nothing is given up after two seconds."""
    monkeypatch.setattr(bench.device.ssh_link, "KEEP_ALIVE_S", 0.3)
    monkeypatch.setattr(bench.device.ssh_link, "DEAD_AFTER_S", 2.0)


@pytest.fixture
def connected(cabled: SshSettings) -> Iterator[Connect]:
    """Connects through the cable; takes the cancel event and changes to the settings."""
    made: list[SshTransport] = []

    def make(cancel: threading.Event | None = None, **changes: float) -> SshTransport:
        settings = replace(cabled, **{"connect_timeout_s": 3.0, "retry_s": 30.0, **changes})
        made.append(connect(settings, cancel))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@contextmanager
def meanwhile(fault: Callable[[], object]) -> Iterator[None]:
    """Do something to the link beside the body."""
    thread = threading.Thread(target=fault)
    thread.start()
    yield
    thread.join()


def large_file(folder: Path, size: int) -> Push:
    local = folder / "large"
    local.write_bytes(os.urandom(size))
    sha256 = hashlib.sha256(local.read_bytes()).hexdigest()
    return Push(local, f"{folder}/board/large-{sha256[:16]}", sha256)


def is_empty_soon(folder: Path) -> bool:
    """The board itself needs a moment to notice that a connection is gone."""
    deadline = time.monotonic() + TIMEOUT_S
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not list(folder.iterdir())


@pytest.mark.parametrize("fault", ["cut", "freeze", "forget"])
def test_an_upload_survives_a_link_that_comes_back(
    connected: Connect, cable: Cable, tmp_path: Path, fault: str
) -> None:
    """The frozen one is given up meanwhile, with half of the file still in the board's hands."""
    transport = connected()
    file = large_file(tmp_path, 8 * MIB)
    cable.slow(16 * MIB)

    def break_it() -> None:
        cable.wait_for_up(2 * MIB)
        with cable.faulty(getattr(cable, fault), seconds=GONE_S):
            pass

    with meanwhile(break_it):
        assert transport.push([file]) == 1
    assert Path(file.remote).read_bytes() == file.local.read_bytes()
    assert [path.name for path in (tmp_path / "board").iterdir()] == [Path(file.remote).name]
    assert transport.push([file]) == 0


def test_an_upload_that_stands_still_for_a_moment_just_goes_on(
    sshd: Sshd, connected: Connect, cable: Cable, tmp_path: Path
) -> None:
    transport = connected(retry_s=0.0)
    file = large_file(tmp_path, 4 * MIB)
    cable.slow(16 * MIB)

    def break_it() -> None:
        cable.wait_for_up(MIB)
        with cable.faulty(cable.freeze, seconds=0.7):
            pass

    with meanwhile(break_it):
        assert transport.push([file]) == 1
    assert Path(file.remote).read_bytes() == file.local.read_bytes()


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_an_upload_over_a_link_that_is_gone_for_good_leaves_nothing(
    connected: Connect, cable: Cable, tmp_path: Path, fault: str
) -> None:
    transport = connected(retry_s=2.0)
    file = large_file(tmp_path, 8 * MIB)
    cable.slow(16 * MIB)

    def break_it() -> None:
        cable.wait_for_up(2 * MIB)
        getattr(cable, fault)()

    with meanwhile(break_it), pytest.raises(TransportError, match=r"\(tried again for \d s\)$"):
        transport.push([file])
    assert not Path(file.remote).exists()
    cable.close()
    assert is_empty_soon(tmp_path / "board")


def test_what_an_attempt_left_on_a_board_that_heard_of_no_loss_is_removed(
    sshd: Sshd, connected: Connect, cable: Cable, tmp_path: Path
) -> None:
    """The old connection stays up on the board for hours; its half of the file must not."""
    transport = connected()
    file = large_file(tmp_path, 8 * MIB)
    cable.slow(16 * MIB)

    def break_it() -> None:
        cable.wait_for_up(2 * MIB)
        cable.forget()

    before = len(sshd.sessions())
    with meanwhile(break_it):
        transport.push([file])
    assert len(sshd.sessions()) > before
    assert [path.name for path in (tmp_path / "board").iterdir()] == [Path(file.remote).name]


def test_reading_goes_on_where_the_link_was_lost(
    connected: Connect, cable: Cable, tmp_path: Path
) -> None:
    transport = connected()
    data = os.urandom(12 * MIB)
    (tmp_path / "journal").write_bytes(data)
    cable.slow(16 * MIB)

    def break_it() -> None:
        for _ in range(2):
            cable.wait_for_down(4 * MIB)
            with cable.faulty(cable.cut, seconds=0.5):
                pass
            cable.slow(16 * MIB)

    before = cable.down_bytes
    with meanwhile(break_it):
        assert transport.read(f"{tmp_path}/journal", 5) == data[5:]
    assert cable.down_bytes - before < 1.5 * len(data)


def test_a_program_is_not_started_twice_unless_that_is_allowed(
    connected: Connect, cable: Cable, tmp_path: Path
) -> None:
    transport = connected()
    runs = tmp_path / "runs"
    argv = ["sh", "-c", 'echo once >> "$1"; sleep 1', "sh", str(runs)]

    def break_it() -> None:
        while not runs.exists():
            time.sleep(0.01)
        with cable.faulty(cable.cut, seconds=0.5):
            pass

    with meanwhile(break_it), pytest.raises(TransportError, match="was lost while running sh"):
        transport.run(argv, timeout_s=TIMEOUT_S)
    assert runs.read_text() == "once\n"
    runs.unlink()
    with meanwhile(break_it):
        assert transport.run(argv, timeout_s=TIMEOUT_S, repeatable=True).status == 0
    assert runs.read_text() == "once\nonce\n"


def test_a_lost_answer_is_not_taken_for_a_refusal(
    connected: Connect, cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the program was started is not known then."""
    transport = connected(retry_s=0.0)
    ask = paramiko.Channel.exec_command

    def ask_in_vain(channel: paramiko.Channel, command: bytes) -> None:
        cable.cut_after_up(0)
        ask(channel, command)

    monkeypatch.setattr(paramiko.Channel, "exec_command", ask_in_vain)
    with pytest.raises(TransportError, match="was lost while running true"):
        transport.run(["true"], timeout_s=TIMEOUT_S)


def test_a_program_waits_for_the_link_before_it_is_started(
    connected: Connect, cable: Cable, tmp_path: Path
) -> None:
    transport = connected()
    with cable.faulty(cable.cut, seconds=1.0):
        argv = ["sh", "-c", 'echo once >> "$1"', "sh", f"{tmp_path}/runs"]
        assert transport.run(argv, timeout_s=TIMEOUT_S).status == 0
    assert (tmp_path / "runs").read_text() == "once\n"


def test_a_board_that_hangs_is_noticed_while_a_program_runs(
    connected: Connect, cable: Cable, tmp_path: Path
) -> None:
    """Everything is acknowledged, nothing is answered."""
    transport = connected(retry_s=0.0)

    def break_it() -> None:
        while not (tmp_path / "runs").exists():
            time.sleep(0.01)
        cable.freeze(up=False)

    argv = ["sh", "-c", 'touch "$1"; sleep 50', "sh", f"{tmp_path}/runs"]
    with meanwhile(break_it), pytest.raises(TransportError, match="was lost while running sh"):
        transport.run(argv, timeout_s=TIMEOUT_S)


def test_a_program_that_says_nothing_is_no_lost_link(connected: Connect) -> None:
    transport = connected(retry_s=0.0)
    assert transport.run(["sleep", "4"], timeout_s=TIMEOUT_S).status == 0


def test_silence_is_no_lost_link(sshd: Sshd, connected: Connect, cable: Cable) -> None:
    transport = connected()
    transport.quiet(True)
    before, logins = cable.up_bytes, len(sshd.sessions())
    time.sleep(3.0)
    assert cable.up_bytes == before
    transport.quiet(False)
    assert transport.run(["echo", "x"], timeout_s=TIMEOUT_S).stdout == b"x\n"
    assert len(sshd.sessions()) == logins


def test_attempts_are_logged(
    connected: Connect, cable: Cable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bench.device")
    transport = connected()
    with cable.faulty(cable.cut, seconds=1.0):
        transport.write(f"{tmp_path}/board/x", b"x")
    attempts = [text for text in caplog.messages if "trying again in" in text]
    assert attempts and "Connection refused" in attempts[0] and "attempt 2" in attempts[0]


def test_no_retrying_was_asked_for(connected: Connect, cable: Cable) -> None:
    transport = connected(retry_s=0.0)
    cable.cut()
    with pytest.raises(TransportError, match=r"Connection refused; is the board on.*\?$"):
        transport.read("anything")


def test_the_first_connection_is_not_tried_again(connected: Connect, cable: Cable) -> None:
    cable.cut()
    with pytest.raises(TransportError, match=r"Connection refused; is the board on.*\?$"):
        connected(retry_s=600.0)


def test_a_host_key_that_changed_meanwhile_is_not_tried_again(
    connected: Connect, cable: Cable, cabled: SshSettings, tmp_path: Path
) -> None:
    transport = connected(retry_s=600.0)
    assert cabled.known_hosts is not None
    cabled.known_hosts.write_text("")
    cable.cut()
    cable.restore()
    with pytest.raises(TrustError, match="is not in"):
        transport.read("anything")


def test_what_the_board_cannot_do_is_not_tried_again(connected: Connect, tmp_path: Path) -> None:
    transport = connected(retry_s=600.0)
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="cannot write"):
        transport.write(f"{tmp_path}/file/x", b"x")
    with pytest.raises(DeviceError, match="took longer than 1 s"):
        transport.run(["sleep", "60"], timeout_s=1.0, repeatable=True)


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_an_end_is_heard_while_the_link_is_down(
    connected: Connect, cable: Cable, fault: str
) -> None:
    cancel = threading.Event()
    transport = connected(cancel, retry_s=600.0, connect_timeout_s=200.0)
    getattr(cable, fault)()
    timer = threading.Timer(4.0, cancel.set)
    timer.start()
    with pytest.raises(TransportError, match="interrupted while"):
        transport.read("anything")
    cable.restore()
    # What is asked for after that is done, if it can be at once.
    assert transport.run(["echo", "x"], timeout_s=TIMEOUT_S).stdout == b"x\n"


def test_an_end_is_heard_while_connecting(connected: Connect, cable: Cable) -> None:
    cancel = threading.Event()
    cable.freeze()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(TransportError, match="interrupted while connecting"):
        connected(cancel, connect_timeout_s=200.0)


def test_a_link_lost_in_the_login_is_no_refusal(
    cabled: SshSettings, cable: Cable, sshd: Sshd
) -> None:
    """A refusal is final, a lost link is not."""
    connect(cabled).close()
    whole = cable.up_bytes
    said = set()
    for missing in range(100, 900, 100):
        before = cable.up_bytes
        cable.cut_after_up(whole - missing)
        with pytest.raises(TransportError) as caught:
            connect(replace(cabled, connect_timeout_s=5.0))
        assert not isinstance(caught.value, TrustError), str(caught.value)
        assert cable.up_bytes - before <= whole
        said.add(str(caught.value).partition(": ")[0])
        cable.restore()
    assert any("was lost during the login" in text for text in said), said

"""How the one connection of a run behaves: silence, loss, login shells, round trips."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cable import Cable
from sshd import Sshd

import bench.device.ssh_link
from bench.device.ssh import SshSettings, SshTransport, connect
from bench.device.transport import Push
from bench.errors import DeviceError, TransportError, TrustError

Start = Callable[..., Sshd]
TIMEOUT_S = 20.0


@pytest.fixture
def transport(settings: SshSettings) -> Iterator[SshTransport]:
    made = connect(settings)
    yield made
    made.close()


def echo(transport: SshTransport, text: str = "hello") -> bool:
    return transport.run(["echo", text], timeout_s=TIMEOUT_S).stdout == text.encode() + b"\n"


def toward(server: Sshd, settings: SshSettings) -> SshSettings:
    return replace(
        settings, port=server.port, identity_file=server.key, known_hosts=server.known_hosts
    )


def hears_something(cable: Cable) -> bool:
    """Wait for the client to send anything."""
    cable.wait_for_up(1)
    return True


def test_nothing_is_sent_while_quiet(
    cabled: SshSettings, cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.device.ssh_link, "KEEP_ALIVE_S", 0.2)
    transport = connect(cabled)
    assert hears_something(cable)
    transport.quiet(True)
    time.sleep(0.3)
    before = cable.up_bytes
    time.sleep(0.8)
    assert cable.up_bytes == before
    transport.quiet(False)
    assert hears_something(cable)
    transport.close()


def test_a_connection_that_was_cut_is_made_again(sshd: Sshd, transport: SshTransport) -> None:
    assert echo(transport)
    transport.quiet(True)
    sshd.cut()
    transport.quiet(False)
    assert echo(transport, "after")
    sshd.cut()
    assert echo(transport, "and after")


def test_a_connection_that_a_router_forgot_is_made_again(cabled: SshSettings, cable: Cable) -> None:
    """Nothing comes back and nobody says so."""
    transport = connect(replace(cabled, connect_timeout_s=2.0))
    assert echo(transport)
    cable.forget()
    assert echo(transport, "after")
    transport.close()


def test_silence_holds_after_a_new_connection(
    sshd: Sshd, cabled: SshSettings, cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.device.ssh_link, "KEEP_ALIVE_S", 0.2)
    transport = connect(cabled)
    transport.quiet(True)
    sshd.cut()
    assert echo(transport)
    time.sleep(0.3)
    before = cable.up_bytes
    time.sleep(0.6)
    assert cable.up_bytes == before
    transport.close()


def test_a_server_with_another_key_is_not_reconnected_to(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    known.write_text(sshd.known_hosts.read_text())
    transport = connect(replace(settings, known_hosts=known))
    sshd.cut()
    known.write_text("")
    with pytest.raises(TrustError, match="is not in"):
        echo(transport)
    known.write_text(sshd.known_hosts.read_text())
    assert echo(transport)
    transport.close()


def test_a_server_that_is_gone_is_a_transport_error(
    sshd_with: Start, settings: SshSettings
) -> None:
    server = sshd_with()
    transport = connect(toward(server, settings))
    assert echo(transport)
    server.stop()
    with pytest.raises(TransportError, match="cannot reach"):
        echo(transport)
    with pytest.raises(TransportError, match="cannot reach"):
        echo(transport)
    transport.close()


def test_a_link_lost_while_a_program_runs_is_not_tried_again(
    sshd: Sshd, transport: SshTransport, tmp_path: Path
) -> None:
    def cut_when_it_runs() -> None:
        while not (tmp_path / "runs").exists():
            time.sleep(0.01)
        sshd.cut()

    thread = threading.Thread(target=cut_when_it_runs)
    thread.start()
    argv = ["sh", "-c", 'echo once >> "$1"; sleep 30', "sh", str(tmp_path / "runs")]
    with pytest.raises(TransportError, match="was lost while running sh"):
        transport.run(argv, timeout_s=TIMEOUT_S)
    thread.join()
    assert (tmp_path / "runs").read_text() == "once\n"
    assert echo(transport)


def test_an_upload_that_is_torn_leaves_nothing(
    sshd: Sshd, transport: SshTransport, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    local = tmp_path / "large"
    local.write_bytes(b"\0" * (400 * 2**20))
    file = Push(local, f"{board}/large-1234", "0" * 64)

    def cut_in_the_middle() -> None:
        while not any(path.stat().st_size for path in board.glob("*.part")):
            time.sleep(0.001)
        sshd.cut()

    thread = threading.Thread(target=cut_in_the_middle)
    thread.start()
    with pytest.raises(TransportError, match="lost"):
        transport.push([file])
    thread.join()
    for _ in range(500):
        if not list(board.iterdir()):
            break
        time.sleep(0.02)
    assert list(board.iterdir()) == []
    small = Push(tmp_path / "s", f"{board}/s", hashlib.sha256(b"s").hexdigest())
    small.local.write_bytes(b"s")
    assert transport.push([small]) == 1


def test_a_board_that_can_write_no_more_is_one_clear_line(
    sshd_with: Start, settings: SshSettings, tmp_path: Path
) -> None:
    server = sshd_with()
    # A limit on the size of files stands for the full disk: both end cat in the middle.
    (server.home / ".bashrc").write_text("trap '' XFSZ\nulimit -f 1000\n")
    transport = connect(toward(server, settings))
    local = tmp_path / "large"
    local.write_bytes(os.urandom(8 * 2**20))
    with pytest.raises(DeviceError, match=r"cannot write .*large-1234.*: cat: .*too large") as e:
        transport.push([Push(local, f"{tmp_path}/board/large-1234", "0" * 64)])
    assert not isinstance(e.value, TransportError)
    assert "\n" not in str(e.value)
    assert list((tmp_path / "board").iterdir()) == []
    transport.close()


def test_an_unchanged_push_is_one_round_trip(
    sshd: Sshd, transport: SshTransport, tmp_path: Path
) -> None:
    files = []
    for number in range(20):
        local = tmp_path / f"f{number}"
        local.write_bytes(os.urandom(1000))
        sha256 = hashlib.sha256(local.read_bytes()).hexdigest()
        files.append(Push(local, f"{tmp_path}/board/{sha256[:16]}", sha256))
    assert transport.push(files) == 20
    before = sshd.commands()
    assert transport.push(files) == 0
    assert sshd.commands() - before == 1


def test_a_login_shell_that_talks_does_not_disturb(
    sshd_with: Start, settings: SshSettings, tmp_path: Path
) -> None:
    server = sshd_with()
    (server.home / ".bashrc").write_text("echo welcome\necho warning >&2\n")
    transport = connect(toward(server, settings))
    completed = transport.run(["sh", "-c", "printf out; printf err >&2"], timeout_s=TIMEOUT_S)
    assert (completed.stdout, completed.stderr) == (b"out", b"err")
    transport.write(f"{tmp_path}/board/x", b"data")
    assert transport.read(f"{tmp_path}/board/x") == b"data"
    transport.close()


def test_a_server_that_runs_something_else_is_one_clear_line(
    sshd_with: Start, settings: SshSettings
) -> None:
    server = sshd_with(lines=["ForceCommand echo 'this account only gets mail'; exit 3"])
    transport = connect(toward(server, settings))
    with pytest.raises(DeviceError, match="this account only gets mail") as e:
        echo(transport)
    assert not isinstance(e.value, TransportError)
    transport.close()


def test_a_server_that_opens_no_session_is_one_clear_line(
    sshd_with: Start, settings: SshSettings
) -> None:
    server = sshd_with(lines=["MaxSessions 0"])
    transport = connect(toward(server, settings))
    with pytest.raises(DeviceError, match="opens no session"):
        echo(transport)
    transport.close()


def test_a_closed_transport_stays_closed(transport: SshTransport) -> None:
    transport.close()
    with pytest.raises(DeviceError, match="has been closed"):
        echo(transport)


def test_a_board_without_openssl_uses_sha256sum(
    sshd_with: Start, settings: SshSettings, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "cat", "mkdir", "mv", "rm", "stat", "sha256sum"):
        (programs / name).symlink_to(f"/bin/{name}")
    server = sshd_with(lines=[f"SetEnv PATH={programs}"])
    (server.home / ".bashrc").write_text(f"PATH={programs}\n")
    transport = connect(toward(server, settings))
    transport.write(f"{tmp_path}/board/x", b"data")
    assert (tmp_path / "board/x").read_bytes() == b"data"
    transport.close()
    (programs / "sha256sum").unlink()
    transport = connect(toward(server, settings))
    with pytest.raises(DeviceError, match=r"sha256sum: .*install coreutils"):
        transport.write(f"{tmp_path}/board/y", b"data")
    assert not list((tmp_path / "board").glob("y*"))
    transport.close()


def test_the_fast_cipher_and_key_exchange_are_agreed_on(
    sshd_with: Start, settings: SshSettings
) -> None:
    server = sshd_with(lines=["LogLevel DEBUG1"])
    transport = connect(toward(server, settings))
    transport.close()
    log = server.log.read_text()
    assert "kex: algorithm: curve25519-sha256" in log
    assert log.count("cipher: aes128-gcm@openssh.com MAC: <implicit> compression: none") == 2

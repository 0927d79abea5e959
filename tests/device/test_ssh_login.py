"""Reaching a server and logging in: what works, and what is said when it does not."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sshd import HOST, Sshd, make_key, public

from bench.device.ssh import SshSettings, connect
from bench.errors import TransportError, TrustError

Start = Callable[..., Sshd]


def failure(settings: SshSettings) -> str:
    with pytest.raises(TransportError) as caught:
        connect(settings)
    assert not isinstance(caught.value, TrustError)
    message = str(caught.value)
    assert "\n" not in message
    return message


def refusal(settings: SshSettings) -> str:
    """A failure that a person must do something about."""
    with pytest.raises(TrustError) as caught:
        connect(settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def works(settings: SshSettings) -> bool:
    transport = connect(settings)
    try:
        return transport.run(["echo", "hello"], timeout_s=20).stdout == b"hello\n"
    finally:
        transport.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_agent: None) -> Iterator[None]:
    """An empty ssh agent."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    while not path.exists():
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield
    process.kill()
    process.wait()


def add_to_agent(key: Path, folder: Path, passphrase: str) -> None:
    answer = folder / "answer"
    answer.write_text(f"#!/bin/sh\necho {passphrase}\n")
    answer.chmod(0o700)
    environment = {**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environment)


def authorize(server: Sshd, key: Path) -> None:
    with (server.key.parent / "authorized_keys").open("ab") as stream:
        stream.write(public(key).read_bytes())


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_every_kind_of_key_logs_in(
    sshd: Sshd, settings: SshSettings, tmp_path: Path, kind: str
) -> None:
    key = make_key(tmp_path / kind, kind)
    authorize(sshd, key)
    assert works(replace(settings, identity_file=key))


def test_a_port_without_a_server(settings: SshSettings) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        message = failure(replace(settings, port=port))
    assert f"cannot reach {HOST}:{port}: Connection refused" in message


def test_a_name_that_does_not_exist(settings: SshSettings) -> None:
    assert "cannot find the host no-such.invalid" in failure(
        replace(settings, host="no-such.invalid")
    )


def test_a_name_that_cannot_be_one(settings: SshSettings) -> None:
    assert "cannot find the host" in failure(replace(settings, host=f"{'x' * 70}.invalid"))


def test_a_server_that_says_nothing_ends_at_the_timeout(
    settings: SshSettings, silent_port: int
) -> None:
    message = failure(replace(settings, port=silent_port, connect_timeout_s=1.0))
    assert "did not finish connecting in time" in message


def test_a_server_that_stops_in_the_login_ends_at_the_timeout(
    sshd: Sshd, settings: SshSettings
) -> None:
    """Everything is passed on until the keys are agreed, then nothing is."""
    with socket.create_server((HOST, 0)) as server:

        def forward() -> None:
            ours, _ = server.accept()
            theirs = socket.create_connection((sshd.host, sshd.port))
            threading.Thread(target=copy, args=(ours, theirs, None), daemon=True).start()
            copy(theirs, ours, 1600)

        threading.Thread(target=forward, daemon=True).start()
        port = server.getsockname()[1]
        words = sshd.known_hosts.read_text().split()
        known = sshd.known_hosts.with_name(f"known-{port}")
        known.write_text(f"[{HOST}]:{port} {words[1]} {words[2]}\n")
        message = failure(replace(settings, port=port, known_hosts=known, connect_timeout_s=1.5))
    assert "in time" in message


def copy(source: socket.socket, target: socket.socket, limit: int | None) -> None:
    """Pass bytes on, up to ``limit`` of them; then stay silent."""
    passed = 0
    while block := source.recv(65536 if limit is None else max(limit - passed, 0) or 65536):
        if limit is None or passed < limit:
            target.sendall(block)
        passed += len(block)


def test_something_that_is_no_ssh_server(settings: SshSettings) -> None:
    with socket.create_server((HOST, 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        message = failure(replace(settings, port=server.getsockname()[1]))
    assert "is no ssh server" in message


def test_a_key_that_is_not_authorized(settings: SshSettings, tmp_path: Path) -> None:
    key = make_key(tmp_path / "stranger")
    settings = replace(settings, identity_file=key)
    message = refusal(settings)
    assert f"refused {key}" in message
    command = re.search("`(ssh-copy-id .+)`", message)
    assert command is not None
    # OpenSSH's own program takes it, gets to the server, and finds that the key is not there yet.
    argv = shlex.split(command[1])
    (tmp_path / "home/.ssh").mkdir(parents=True)  # where it keeps what it does
    environment = {**os.environ, "HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [argv[0], "-n", *argv[1:]], env=environment, capture_output=True, text=True
    )
    assert public(key).read_text().strip() in done.stdout, done.stderr
    assert argv[-1] == f"{getpass.getuser()}@{settings.host}"


def test_keys_of_the_agent_that_are_not_authorized(
    settings: SshSettings, tmp_path: Path, agent: None
) -> None:
    add_to_agent(make_key(tmp_path / "stranger"), tmp_path, "")
    message = refusal(replace(settings, identity_file=None))
    assert "refused the agent's" in message and "`ssh-copy-id -" in message
    assert " -i " not in message


def test_a_key_file_that_does_not_exist(settings: SshSettings, tmp_path: Path) -> None:
    message = refusal(replace(settings, identity_file=tmp_path / "absent"))
    assert f"{tmp_path / 'absent'} does not exist" in message


def test_a_key_file_that_is_none(settings: SshSettings, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no key\n")
    assert f"{path} is no private key" in refusal(replace(settings, identity_file=path))


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_encrypted_key_without_agent_says_how_to_unlock_it(
    sshd: Sshd, settings: SshSettings, tmp_path: Path, kind: str
) -> None:
    key = make_key(tmp_path / "locked", kind, passphrase="secret")
    authorize(sshd, key)
    message = refusal(replace(settings, identity_file=key))
    assert f"{key} is encrypted" in message and f"ssh-add {key}" in message


def test_an_encrypted_key_is_used_through_the_agent(
    sshd: Sshd, settings: SshSettings, tmp_path: Path, agent: None
) -> None:
    key = make_key(tmp_path / "locked", passphrase="secret")
    authorize(sshd, key)
    add_to_agent(key, tmp_path, "secret")
    assert works(replace(settings, identity_file=key))


def test_the_chosen_key_comes_before_the_agents_many(
    sshd_with: Start, settings: SshSettings, tmp_path: Path, agent: None
) -> None:
    server = sshd_with(lines=["MaxAuthTries 2"])
    for number in range(4):
        add_to_agent(make_key(tmp_path / f"other{number}"), tmp_path, "")
    key = make_key(tmp_path / "locked", passphrase="secret")
    authorize(server, key)
    add_to_agent(key, tmp_path, "secret")
    assert works(
        replace(settings, port=server.port, known_hosts=server.known_hosts, identity_file=key)
    )


def test_a_server_that_hangs_up_after_too_many_keys_is_a_refusal(
    sshd_with: Start, settings: SshSettings, tmp_path: Path, agent: None
) -> None:
    server = sshd_with(lines=["MaxAuthTries 2"])
    for number in range(4):
        add_to_agent(make_key(tmp_path / f"other{number}"), tmp_path, "")
    key = make_key(tmp_path / "stranger")
    settings = replace(settings, port=server.port, known_hosts=server.known_hosts)
    assert "and hung up" in refusal(replace(settings, identity_file=key))


def test_an_agent_that_is_gone_does_no_harm(
    settings: SshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert works(settings)


def test_a_server_that_only_takes_passwords(sshd_with: Start, settings: SshSettings) -> None:
    server = sshd_with(lines=["PubkeyAuthentication no", "PasswordAuthentication yes"])
    message = refusal(replace(settings, port=server.port, known_hosts=server.known_hosts))
    assert "takes no keys" in message and "password" in message


def test_a_server_that_wants_two_factors(sshd_with: Start, settings: SshSettings) -> None:
    server = sshd_with(
        lines=["AuthenticationMethods publickey,password", "PasswordAuthentication yes"]
    )
    settings = replace(settings, identity_file=server.key, known_hosts=server.known_hosts)
    message = refusal(replace(settings, port=server.port))
    assert "wants more than a key" in message


def test_nothing_of_a_failure_is_printed_besides(
    settings: SshSettings, silent_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    failure(replace(settings, port=silent_port, connect_timeout_s=0.5))
    assert capfd.readouterr() == ("", "")


def test_no_process_is_left_of_a_proxy_command(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import os, socket, sys, threading\n"
        "open(sys.argv[3], 'w').write(str(os.getpid()))\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while b := os.read(0, 65536): s.sendall(b)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while b := s.recv(65536): os.write(1, b)\n"
    )
    python = shutil.which("python3")
    config = tmp_path / "proxy_config"
    config.write_text(f"Host *\n  ProxyCommand {python} {relay} %h %p {tmp_path}/pid\n")
    assert works(replace(settings, config_file=config))
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_a_proxy_command_that_fails(settings: SshSettings, tmp_path: Path) -> None:
    config = tmp_path / "proxy_config"
    config.write_text("ProxyCommand false\n")
    assert "ProxyCommand closed" in failure(replace(settings, config_file=config))

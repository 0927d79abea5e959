"""What of ``~/.ssh/config`` is honoured."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sshd import Sshd, key_words

from bench.device.ssh import SshSettings, connect
from bench.device.ssh_config import resolve
from bench.errors import TransportError

Start = Callable[..., Sshd]


def settings_of(folder: Path, text: str, host: str, **given: object) -> SshSettings:
    path = folder / "config"
    path.write_text(text, encoding="utf-8")
    return replace(SshSettings(host, config_file=path), **given)  # type: ignore[arg-type]


def test_without_a_file_ssh_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_rsa").touch()
    (hop,) = resolve(SshSettings("board"))
    assert (hop.host, hop.port, hop.user) == ("board", 22, getpass.getuser())
    assert hop.identity_files == (tmp_path / ".ssh/id_rsa",)
    assert hop.known_hosts[0] == tmp_path / ".ssh/known_hosts"
    assert Path("/etc/ssh/ssh_known_hosts") in hop.known_hosts
    assert hop.command == "ssh board"


def test_an_alias_leads_to_host_port_user_and_key(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    text = (
        f"Host nano\n  HostName 192.0.2.7\n  Port=2222\n  User me\n  IdentityFile {tmp_path}/key\n"
        "  IdentitiesOnly yes\n  HostKeyAlias nano-key\nHost *\n  User other\n  Port 1\n"
    )
    (hop,) = resolve(settings_of(tmp_path, text, "nano"))
    assert (hop.host, hop.port, hop.user) == ("192.0.2.7", 2222, "me")
    assert hop.identity_files == (tmp_path / "key",)
    assert hop.identities_only
    assert hop.key_names == ("nano-key",)
    assert hop.address == "nano (192.0.2.7:2222)"


def test_what_is_given_wins_over_the_file(tmp_path: Path) -> None:
    text = "Host *\n  Port 2222\n  User me\n  ProxyCommand connect %r@%h %p\n"
    settings = settings_of(
        tmp_path, text, "nano", port=7, user="you", identity_file=tmp_path / "mine"
    )
    (hop,) = resolve(settings)
    assert (hop.port, hop.user) == (7, "you")
    assert hop.identity_files == (tmp_path / "mine",)
    assert hop.proxy_command == "connect you@nano 7"
    assert hop.command == f"ssh -F {tmp_path}/config -p 7 you@nano"


def test_included_files_count_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.conf").write_text("Host nano\n  Port 1111\nHost else\n  User wrong\n")
    (tmp_path / "d/b.conf").write_text("Include c.conf\n")
    (tmp_path / "c.conf").write_text("Host nano\n  HostName 192.0.2.9\n")
    (hop,) = resolve(settings_of(tmp_path, "Include d/*.conf\nUser right\n", "nano"))
    assert (hop.host, hop.port, hop.user) == ("192.0.2.9", 1111, "right")


def test_jump_hosts_are_taken_in_order_with_their_own_settings(tmp_path: Path) -> None:
    text = (
        "Host board\n  ProxyJump root@gate:2200,inner\n"
        "Host gate\n  HostName gate.example\n  ProxyJump outer\n"
        "Host inner\n  Port 33\n  ProxyJump none\n"
        "Host outer\n  User guest\n"
    )
    hops = resolve(settings_of(tmp_path, text, "board", identity_file=tmp_path / "k"))
    assert [(hop.name, hop.host, hop.port) for hop in hops] == [
        ("outer", "outer", 22),
        ("gate", "gate.example", 2200),
        ("inner", "inner", 33),
        ("board", "board", 22),
    ]
    assert [hop.user for hop in hops[:2]] == ["guest", "root"]
    assert hops[-1].identity_files == (tmp_path / "k",)
    assert tmp_path / "k" not in hops[0].identity_files


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("ssh://u@[::1]:44", "::1", 44), ("[2001:db8::1]", "2001:db8::1", 22), ("a.b", "a.b", 22)],
)
def test_forms_of_a_jump(tmp_path: Path, text: str, host: str, port: int) -> None:
    first, _ = resolve(settings_of(tmp_path, f"Host x\n ProxyJump {text}\n", "x"))
    assert (first.host, first.port) == (host, port)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Host x\n  Port many\n", "many"),
        ("Host x\n  ProxyJump x\n", "circles"),
        ("Include config\n", "circles"),
        ("Host x\n  ProxyJump a:b:c\n", "a:b:c"),
        ("Host\n", "Host"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TransportError) as caught:
        resolve(settings_of(tmp_path, text, "x"))
    message = str(caught.value)
    assert said in message and str(tmp_path / "config") in message and "\n" not in message


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="there is no ssh configuration file"):
        resolve(SshSettings("x", config_file=tmp_path / "absent"))


def test_a_board_is_reached_by_its_alias_through_a_jump_host(
    sshd: Sshd, sshd_with: Start, tmp_path: Path, no_agent: None
) -> None:
    """The board's name means something only to ssh, and both servers are checked."""
    gate = sshd_with()
    known = tmp_path / "both"
    known.write_text(
        f"{gate.known_name} {key_words(gate.host_keys[0])}\nboard {key_words(sshd.host_keys[0])}\n"
    )
    text = (
        f"Host gate\n  HostName {gate.host}\n  Port {gate.port}\n  IdentityFile {gate.key}\n"
        f"Host board\n  HostName {sshd.host}\n  Port {sshd.port}\n  IdentityFile {sshd.key}\n"
        f"  ProxyJump gate\n  HostKeyAlias board\nHost *\n  UserKnownHostsFile {known}\n"
    )
    settings = settings_of(tmp_path, text, "board")
    transport = connect(settings)
    try:
        assert transport.run(["cat"], timeout_s=30, stdin=b"x" * 2**20).stdout == b"x" * 2**20
        assert gate.sessions()
    finally:
        transport.close()
    known.write_text(f"board {key_words(sshd.host_keys[0])}\n")
    with pytest.raises(TransportError, match=rf"gate \({gate.host}:{gate.port}\) shows"):
        connect(settings)
    known.write_text(f"{gate.known_name} {key_words(gate.host_keys[0])}\n")
    with pytest.raises(TransportError, match=rf"board \({sshd.host}:{sshd.port}\) shows"):
        connect(settings)


def test_a_jump_host_that_cannot_reach_the_board(
    sshd: Sshd, tmp_path: Path, no_agent: None
) -> None:
    text = (
        f"Host gate\n  HostName {sshd.host}\n  Port {sshd.port}\n  IdentityFile {sshd.key}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n"
        "Host board\n  HostName 127.0.0.1\n  Port 1\n  ProxyJump gate\n"
    )
    with pytest.raises(TransportError, match=r"cannot reach board \(127\.0\.0\.1:1\)"):
        connect(settings_of(tmp_path, text, "board"))


def test_the_command_that_brings_a_key_there(tmp_path: Path) -> None:
    text = "Host *\n  User me\n"
    settings = settings_of(tmp_path, text, "nano", port=7, jump="you@gate:22")
    *_, hop = resolve(settings)
    route = f"-F {tmp_path}/config -o ProxyJump=you@gate:22 -p 7"
    assert hop.command == f"ssh {route} nano"
    key = tmp_path / "my key"
    assert hop.command_to_authorize(key) == f"ssh-copy-id -i '{key}.pub' {route} me@nano"
    assert hop.command_to_authorize(None) == f"ssh-copy-id {route} me@nano"

"""Which servers are trusted: everything against a real sshd and the real ssh tools."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sshd import Sshd, key_words, known_hosts_lines, make_key, public

from bench.device.ssh import SshSettings, connect
from bench.errors import TrustError

Start = Callable[..., Sshd]


def trusting(settings: SshSettings, folder: Path, text: str) -> SshSettings:
    """The same settings with a known_hosts file of that text."""
    path = folder / "known"
    path.write_text(text, encoding="utf-8")
    return replace(settings, known_hosts=path)


def says_hello(settings: SshSettings) -> bool:
    transport = connect(settings)
    try:
        return transport.run(["echo", "hello"], timeout_s=20).stdout == b"hello\n"
    finally:
        transport.close()


def refusal(settings: SshSettings) -> str:
    with pytest.raises(TrustError) as caught:
        connect(settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def fingerprint(key: Path) -> str:
    listing = subprocess.run(
        ["ssh-keygen", "-lf", str(public(key))], check=True, capture_output=True, text=True
    )
    return listing.stdout.split()[1]


def run_command_of(message: str, prefix: str, *options: str) -> None:
    """Type a command of a message, with the options that stand for answering its question."""
    command = next(part for part in message.split("`") if part.startswith(prefix))
    words = shlex.split(command)
    subprocess.run([words[0], *options, *words[1:]], check=False, stdin=subprocess.DEVNULL)


def test_an_unknown_key_is_refused_with_fingerprint_and_a_command_that_trusts_it(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    settings = trusting(settings, tmp_path, "")
    message = refusal(settings)
    assert fingerprint(sshd.host_keys[0]) in message
    assert f"{sshd.host}:{sshd.port}" in message
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in message
    assert settings.known_hosts is not None and settings.known_hosts.read_text() == ""
    # What the message says to type does trust it ("accept-new" is the "yes").
    yes = ("-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes")
    run_command_of(message, "ssh -F", *yes)
    assert says_hello(settings)


def test_a_changed_key_is_refused_until_the_old_one_is_forgotten(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "other")
    text = f"# hosts\n{sshd.known_name} {key_words(other)}\n"
    settings = trusting(settings, tmp_path, text)
    message = refusal(settings)
    assert fingerprint(sshd.host_keys[0]) in message
    assert f"{settings.known_hosts} line 2" in message
    run_command_of(message, "ssh-keygen -R")
    assert "is not in" in refusal(settings)
    yes = ("-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes")
    run_command_of(message, "ssh -F", *yes)
    assert says_hello(settings)


def test_a_revoked_key_is_refused_even_where_it_is_also_trusted(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    words = key_words(sshd.host_keys[0])
    text = f"{known_hosts_lines(sshd)}@revoked * {words}\n"
    message = refusal(trusting(settings, tmp_path, text))
    assert "revoked" in message and "line 2" in message
    assert fingerprint(sshd.host_keys[0]) in message


def test_a_revoked_key_is_refused_through_a_hashed_name(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    settings = trusting(settings, tmp_path, known_hosts_lines(sshd))
    known = settings.known_hosts
    assert known is not None
    subprocess.run(["ssh-keygen", "-H", "-f", str(known)], check=True, capture_output=True)
    known.write_text(f"{known_hosts_lines(sshd)}@revoked {known.read_text()}")
    assert "revoked" in refusal(settings)


def test_an_authority_of_other_hosts_is_not_mentioned(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    text = f"@cert-authority *.example {key_words(sshd.host_keys[0])}\n"
    assert "certificates" not in refusal(trusting(settings, tmp_path, text))


def test_marker_and_broken_lines_do_not_hide_the_rest(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    other = key_words(make_key(tmp_path / "other"))
    text = (
        f"@cert-authority * {other}\n@revoked * {other}\n\n  # a note\nhalf a\n"
        f"host ssh-ed25519 !!!\n|1|x|y ssh-ed25519 AAAA\n{known_hosts_lines(sshd)}"
    )
    assert says_hello(trusting(settings, tmp_path, text))


def test_an_authority_is_not_a_host_key(sshd: Sshd, settings: SshSettings, tmp_path: Path) -> None:
    text = f"@cert-authority * {key_words(sshd.host_keys[0])}\n"
    settings = trusting(settings, tmp_path, text)
    message = refusal(settings)
    assert "is not in" in message
    assert f"certificates are not understood, so {settings.known_hosts} line 1 does not" in message


def test_hashed_entries_are_understood(sshd: Sshd, settings: SshSettings, tmp_path: Path) -> None:
    settings = trusting(settings, tmp_path, known_hosts_lines(sshd))
    subprocess.run(
        ["ssh-keygen", "-H", "-f", str(settings.known_hosts)], check=True, capture_output=True
    )
    assert settings.known_hosts is not None
    assert settings.known_hosts.read_text().startswith("|1|")
    assert says_hello(settings)


@pytest.mark.parametrize(
    ("hosts", "trusted"),
    [
        ("127.0.0.1", True),
        ("other,[127.0.0.?]:*", True),
        ("[127.0.0.1]:1", False),
        ("[127.0.0.*]:*,![127.0.0.1]:*", False),
        ("LOCALHOST", False),
    ],
)
def test_patterns_select_hosts_as_in_ssh(
    sshd: Sshd, settings: SshSettings, tmp_path: Path, hosts: str, trusted: bool
) -> None:
    settings = trusting(settings, tmp_path, f"{hosts} {key_words(sshd.host_keys[0])}\n")
    by_hand = subprocess.run(
        [
            *("ssh", "-F", "none", "-p", str(sshd.port), "-i", str(sshd.key)),
            *("-o", f"UserKnownHostsFile={settings.known_hosts}", "-o", "BatchMode=yes"),
            *(sshd.host, "true"),
        ],
        check=False,
        capture_output=True,
    )
    assert (by_hand.returncode == 0) == trusted
    if trusted:
        assert says_hello(settings)
    else:
        assert "is not in" in refusal(settings)


def test_the_kind_of_key_that_is_known_is_asked_for(
    sshd_with: Start, no_agent: None, settings: SshSettings, tmp_path: Path
) -> None:
    server = sshd_with(host_key_types=("ed25519", "ecdsa", "rsa"))
    settings = replace(settings, port=server.port, identity_file=server.key)
    for key in server.host_keys:
        text = f"{server.known_name} {key_words(key)}\n"
        assert says_hello(trusting(settings, tmp_path, text))


def test_a_server_that_lost_the_known_kind_of_key_counts_as_changed(
    sshd: Sshd, settings: SshSettings, tmp_path: Path
) -> None:
    rsa = make_key(tmp_path / "rsa", "rsa")
    text = f"{sshd.known_name} {key_words(rsa)}\n"
    assert "has another one" in refusal(trusting(settings, tmp_path, text))

"""Transports to a private ssh server and to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cable import Cable
from sshd import Sshd

from bench.device.local import LocalTransport
from bench.device.ssh import SshSettings, connect
from bench.device.transport import Transport


@pytest.fixture
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ssh agent of whoever runs the tests."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def settings(sshd: Sshd, no_agent: None, tmp_path: Path) -> SshSettings:
    """Settings that lead to the shared server and read no file of the user's."""
    return settings_for(sshd, tmp_path)


@pytest.fixture
def cabled(sshd: Sshd, settings: SshSettings, cable: Cable, tmp_path: Path) -> SshSettings:
    """Settings that lead to the shared server through the cable."""
    known = cable.known_hosts(sshd, tmp_path / "cabled")
    return replace(settings, port=cable.port, known_hosts=known)


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """Either transport, connected."""
    if request.param == "local":
        made: Transport = LocalTransport()
    else:
        made = connect(request.getfixturevalue("settings"))
    yield made
    made.close()


def settings_for(server: Sshd, folder: Path) -> SshSettings:
    """Settings that lead to a server and read no file of the user's."""
    config = folder / "ssh_config"
    config.touch()
    return SshSettings(
        host=server.host,
        port=server.port,
        user=server.user,
        identity_file=server.key,
        known_hosts=server.known_hosts,
        config_file=config,
    )

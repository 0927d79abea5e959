"""`bench` as a program in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_forks import ForkedProgram
from bench_program import Program
from cable import Cable
from sshd import Sshd


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Program]:
    """With one device ``board`` on this machine; what is left running is ended."""
    program = ForkedProgram(tmp_path)
    program.devices(board={})
    program.plan("one")
    yield program
    for process in program.started:
        process.kill()
        process.communicate()


@pytest.fixture
def over_cable(sshd: Sshd, cable: Cable) -> dict[str, Any]:
    """Settings of a device over ssh whose cable can be pulled."""
    known_hosts = cable_known_hosts(sshd, cable)
    return {
        "transport": "ssh",
        "host": sshd.host,
        "port": cable.port,
        "user": sshd.user,
        "identity_file": str(sshd.key),
        "known_hosts": str(known_hosts),
        "python": sys.executable,
    }


def cable_known_hosts(sshd: Sshd, cable: Cable) -> Path:
    """A file that trusts the server also at the near end of the cable."""
    path = sshd.known_hosts.with_name(f"known_hosts-{cable.port}")
    lines = sshd.known_hosts.read_text(encoding="ascii").replace(
        sshd.known_name, f"[{sshd.host}]:{cable.port}"
    )
    path.write_text(lines, encoding="ascii")
    return path

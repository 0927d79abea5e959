"""`bench` as a program in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_program import Program
from cable import Cable
from sshd import Sshd


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Program]:
    """With one device ``board`` on this machine; what is left running is ended."""
    program = Program(tmp_path)
    program.devices(board={})
    program.plan("one")
    yield program
    program.end()


@pytest.fixture
def over_cable(sshd: Sshd, cable: Cable, tmp_path: Path) -> dict[str, Any]:
    """Settings of a device over ssh whose cable can be pulled."""
    return cable.device(sshd, tmp_path / "known_hosts", python=sys.executable)

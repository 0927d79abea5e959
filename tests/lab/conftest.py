"""One small labgrid for all tests of a module, with real boards (sshd) behind it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_program import Program
from labgrid_lab import US, Lab, Switch, environment, service, start_lab
from sshd import Sshd

PLACES = {
    "nano": {
        "matches": ["exp-a/nano/*"],
        "aliases": ["desk", f"{US}:mine", "ada:hers"],
        "tags": {"pool": "desk"},
    },
    "orin": {"matches": ["exp-b/orin/*"], "tags": {"board": "orin"}},
    "bare": {"matches": ["exp-a/bare/*"]},
    "dark": {"matches": ["exp-a/dark/*"], "tags": {"pool": "desk"}},
    "twin": {"matches": ["exp-a/twin/*"]},
    "gone": {"matches": ["exp-c/gone/NetworkService"]},
    "odd": {"matches": ["exp-a/odd/*"]},
    "also-nano": {"matches": ["exp-a/nano/*"]},
}


@pytest.fixture(scope="module")
def switch() -> Iterator[Switch]:
    made = Switch()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd, switch: Switch) -> Iterator[Lab]:
    made = start_lab(tmp_path_factory.mktemp("lab"), PLACES)
    try:
        board = {"cls": "NetworkService", **service(sshd)}
        made.export(
            "exp-a",
            {
                "nano": {
                    "NetworkService": service(sshd),
                    "NetworkPowerPort": switch.port_of("nano"),
                },
                "bare": {"NetworkPowerPort": switch.port_of("bare")},
                "dark": {
                    "NetworkService": service(sshd),
                    "NetworkPowerPort": switch.port_of("broken"),
                },
                "twin": {"left": board, "right": board},
                "odd": {"NetworkService": service(sshd, username="u\nProxyCommand touch x")},
            },
        )
        # Isolated: its boards are reached through it alone.
        made.export("exp-b", {"orin": {"NetworkService": service(sshd)}}, "--isolated")
        yield made
    finally:
        made.stop()


@pytest.fixture
def as_us(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a user of the lab, with notes of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LG_COORDINATOR", lab.address)
    for key, text in environment(US).items():
        monkeypatch.setenv(key, text)


@pytest.fixture
def settings(sshd: Sshd) -> dict[str, Any]:
    """What devices.yaml says of any of these boards."""
    return {
        "transport": "labgrid",
        "identity_file": str(sshd.key),
        "known_hosts": str(sshd.known_hosts),
        "python": sys.executable,
    }


@pytest.fixture
def bench(tmp_path: Path, as_us: None) -> Iterator[Program]:
    """`bench` as a program of that user."""
    program = Program(tmp_path)
    program.plan("one")
    yield program
    program.end()

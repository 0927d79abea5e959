"""Fixtures for all tests: a private ssh server, a real Python 3.6."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cable import Cable
from python36 import environment36
from sshd import Sshd, start_sshd


@pytest.fixture(scope="session")
def python36() -> Path:
    """A Python 3.6 with ONNX Runtime 1.10."""
    try:
        return environment36()
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)


# A shell that starts the tests in the background has Ctrl-C ignored in all their processes.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["host", pytest.param("python36", marks=pytest.mark.python36)])
def python(request: pytest.FixtureRequest) -> Path:
    """Each Python that the agent must run on, with an ONNX Runtime of its time."""
    if request.param == "python36":
        return Path(request.getfixturevalue("python36"))
    return Path(sys.executable)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One artifact cache for all tests, also of workers side by side: an export takes seconds, and
    whoever comes second finds it. Tests that take files away use a folder of their own."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server for all tests that need nothing special of it."""
    server = _start(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def cable(sshd: Sshd) -> Iterator[Cable]:
    """A cable to the shared server that can be cut and frozen."""
    made = Cable(sshd.host, sshd.port)
    yield made
    made.close()


@pytest.fixture
def sshd_with(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts servers of a test's own; takes the options of ``start_sshd``."""
    servers: list[Sshd] = []

    def start(**options: Any) -> Sshd:
        servers.append(_start(tmp_path / f"sshd{len(servers)}", **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def _start(folder: Path, **options: Any) -> Sshd:
    try:
        return start_sshd(folder, **options)
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)

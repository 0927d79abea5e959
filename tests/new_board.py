"""Boards that nobody has logged in to yet: a real sshd, a home folder and a Python of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from python36 import HELP, find_python36
from sshd import Sshd, public

from bench.cli import device_add, main
from bench.config.device_settings import SshDevice

Start = Callable[..., Sshd]
TOOLS = ("sh", "cat", "stat", "tail", "mkdir", "mv", "rm", "sha256sum", "uname", "date", "env")


@dataclass
class NewBoard:
    """A server whose login has its own home and PATH, and a working folder with devices.yaml."""

    server: Sshd
    bin: Path
    folder: Path
    known_hosts: Path

    @property
    def address(self) -> str:
        """What one gives to ``bench devices add``."""
        return f"{self.server.user}@{self.server.host}:{self.server.port}"

    @property
    def work_dir(self) -> Path:
        """Where the agent lies if nothing else is said."""
        return self.server.home / ".cache/bench-agent"

    @property
    def devices(self) -> Path:
        """The devices file of the working folder."""
        return self.folder / "devices.yaml"

    def fingerprint(self) -> str:
        """Of its host key, by OpenSSH's own tool."""
        argv = ["ssh-keygen", "-lf", str(public(self.server.host_keys[0]))]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]

    def add(self, *arguments: str, trusting: bool = True) -> int:
        """``bench devices add`` of this board; its exit code."""
        trust = ("--accept-key", self.fingerprint()) if trusting else ()
        key = ("--identity", str(self.server.key))
        return main(["devices", "add", self.address, *key, *trust, *arguments])


@pytest.fixture
def new_board(
    sshd_with: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., NewBoard]:
    """Makes a board; ``python`` is what its ``python3`` is (``None``: it has none), ``lines`` go
    into its server's configuration, ``way`` runs the command ``$SSH_ORIGINAL_COMMAND``."""
    home = tmp_path / "my-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("BENCH_DEVICES", raising=False)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device_add, "device_at", with_own_lock(device_add.device_at))

    def make(
        python: Path | str | None = sys.executable,
        lines: Sequence[str] = (),
        way: str = 'exec sh -c "$SSH_ORIGINAL_COMMAND"',
    ) -> NewBoard:
        programs = tmp_path / "bin"
        programs.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (programs / tool).symlink_to(found)
        if python is not None:
            script(programs / "python3", f'exec {python} "$@"')
        # Else programs would start in the real home folder of whoever runs the tests.
        forced = f'ForceCommand cd "$HOME"; PATH={programs}; {way}'
        server = sshd_with(lines=[*lines, forced])
        return NewBoard(server, programs, tmp_path, home / ".ssh/known_hosts")

    return make


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python of today with neither numpy nor pip."""
    argv = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")]
    subprocess.run(argv, check=True)
    return tmp_path / "bare/bin/python"


@pytest.fixture
def bare_python36(tmp_path: Path) -> Path:
    """A real Python 3.6 with neither numpy nor pip, as on a stock JetPack 4 board."""
    base = find_python36()
    if base is None:
        pytest.fail(HELP, pytrace=False)
    argv = [str(base), "-m", "venv", "--without-pip", str(tmp_path / "python36")]
    subprocess.run(argv, check=True)
    return tmp_path / "python36/bin/python"


def with_own_lock(device_at: Callable[..., SshDevice]) -> Callable[..., SshDevice]:
    """Boards of tests are one machine: none is to wait for another's lease."""

    def make(*arguments: Any, **options: Any) -> SshDevice:
        return device_at(*arguments, **options).model_copy(update={"lock": "lock"})

    return make


def script(path: Path, text: str) -> Path:
    """Write a shell script that can be run; its shell is not looked for on the PATH."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def without_network() -> list[str]:
    """The command before one that is to see no network, not even this machine."""
    return ["unshare", "-n"] if os.getuid() == 0 else ["unshare", "-rn"]

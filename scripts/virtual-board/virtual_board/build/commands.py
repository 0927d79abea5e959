"""Runs the programs that a build consists of; all they say goes into one log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

from virtual_board import BoardError, places

ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


class Log:
    """The log of a build, and the way to run programs that write to it."""

    def __init__(self, stream: TextIO) -> None:
        """Args: ``stream`` is the open log, a file with a name."""
        self._stream = stream

    def run(self, *command: str, cwd: Path | None = None, data: bytes | None = None) -> None:
        """Run a program.

        Raises:
            BoardError: it failed or is not there; the message holds its last line.
        """
        self._stream.write(f"\n$ {' '.join(command)}\n")
        self._stream.flush()
        start = self._stream.tell()
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=environment(),
                input=data,
                stdout=self._stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            raise BoardError(f"cannot run {command[0]}: {error.strerror}") from None
        self._stream.seek(0, os.SEEK_END)
        if done.returncode:
            said = Path(self._stream.name).read_text(encoding="utf-8", errors="replace")[start:]
            last = (said.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise BoardError(f"{command[0]} failed: {last} (see {self._stream.name})")

    def read(self, *command: str) -> str:
        """Run a program and return what it printed.

        Raises:
            BoardError: it failed or is not there.
        """
        try:
            done = subprocess.run(
                command, env=environment(), capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise BoardError(f"cannot run {command[0]}: {error.strerror}") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise BoardError(f"{command[0]} failed: {last}")
        return done.stdout


def environment() -> dict[str, str]:
    """Return the environment for programs of a build."""
    found = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(places.SCRIPTS)}
    found["PATH"] = f"{found.get('PATH', '')}:{SYSTEM_FOLDERS}"
    return found


def as_root(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours as root, or as what tar takes for root."""
    prefix = [] if os.geteuid() == 0 else ["fakeroot"]
    return [*prefix, sys.executable, "-m", module, *arguments]

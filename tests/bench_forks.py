"""`bench` as processes that are forked from one that has imported it.

To import what a run takes is more work than most of what tests have it do. What comes after that
is a process like any other. That bench starts as a program, and what it imports when, is tested
where it is started as one (``test_cli_run.py``, ``test_cli_help.py``).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from bench_origin import MOST_REQUEST_BYTES
from bench_program import Program


class Forked:
    """A process of bench, to be used as ``subprocess.Popen`` with pipes for its text.

    It may write no file larger than ``limit_bytes``. ``stderr`` as in subprocess.
    """

    def __init__(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        environment: dict[str, str],
        limit_bytes: int | None = None,
        stderr: int = subprocess.PIPE,
    ) -> None:
        out, status = os.pipe(), os.pipe()
        told = os.pipe() if stderr == subprocess.PIPE else (None, os.dup(stderr))
        request = json.dumps([arguments, str(folder), environment, limit_bytes]).encode()
        assert len(request) <= MOST_REQUEST_BYTES
        passed = [out[1], told[1], status[1]]
        socket.send_fds(_origin(), [request], passed)
        for end in passed:
            os.close(end)
        self.stdout = os.fdopen(out[0])
        self.stderr = None if told[0] is None else os.fdopen(told[0])
        self._status = os.fdopen(status[0], "rb", buffering=0)
        self.pid = int(self._status.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("bench", timeout or 0)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read to the end and wait for it; what was read before is not told again."""
        with ThreadPoolExecutor(2) as pool:
            rest = [pool.submit(_rest, stream) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            stdout, stderr = (each.result() for each in rest)
        return stdout, stderr


class ForkedProgram(Program):
    """`bench` in a working folder, as processes that start at once."""

    def start(
        self, *arguments: str, limit_bytes: int | None = None, stderr: int = subprocess.PIPE
    ) -> Forked:
        """Call bench and leave it to itself."""
        environment = {**os.environ, "BENCH_CACHE": str(self.folder / "cache")}
        environment.pop("BENCH_DEVICES", None)
        process = Forked(arguments, self.folder, environment, limit_bytes, stderr)
        self.started.append(process)
        return process


def _rest(stream) -> str:
    if stream is None or stream.closed:
        return ""
    with stream:
        return stream.read()


@cache
def _origin() -> socket.socket:
    """The way to the process that all others of these tests are forked from."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    code = "import sys; from bench_origin import bench; sys.exit(bench(int(sys.argv[1])))"
    subprocess.Popen(
        [sys.executable, "-uc", code, str(there.fileno())],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdin=subprocess.DEVNULL,
        pass_fds=[there.fileno()],
    )
    there.close()
    return here

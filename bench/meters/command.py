"""Any program that prints lines ``unix_time watts``, flushed as they come, until it is ended.

``unix_time`` (seconds, with decimals) is the meter's clock: when the program printed a line, or how
long that took to arrive, does not matter. A line with ``nan`` for watts is a failed read.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.errors import SensorError
from bench.meters.meter import Meter, MeterOptions, Note, Reading

NEEDS: tuple[str, ...] = ("command",)
TAKES: tuple[str, ...] = ()

END_S = 3.0
"""How long the program may take to end."""

LATEST_S = 4e9
"""In 2096; milliseconds in place of seconds are no such time."""

_BAD_LINES = 5
"""As many lines that are no readings, before any reading, end the meter."""

_LONGEST_LINE = 4096
_SHOWN = 60
_FORM = "unix_time watts"


def open_meter(options: MeterOptions, log: Path, note: Note) -> Meter:
    """Start the program; its stderr goes to ``log``."""
    assert options.command is not None
    return _Program(options.command, log, note)


class _Program:
    def __init__(self, argv: Sequence[str], log: Path, note: Note) -> None:
        self._name, self._log, self._note = argv[0], log, note
        self._rest = b""
        self._good, self._bad = 0, 0
        self._odd = ""
        try:
            with log.open("ab") as stderr:
                # Ctrl-C in this terminal is for the run to answer, which still needs the meter.
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    bufsize=0,
                    start_new_session=True,
                )
        except OSError as error:
            raise SensorError(f"cannot start {argv[0]}: {error.strerror}") from error
        assert self._process.stdout is not None
        self._fd = self._process.stdout.fileno()

    def read(self, wait_s: float) -> list[Reading]:
        if not select.select([self._fd], [], [], wait_s)[0]:
            return []
        data = os.read(self._fd, 1 << 16)
        arrived_ns = time.monotonic_ns()
        if not data:
            raise SensorError(self._last_words())
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        found = [
            reading for line in lines if (reading := self._reading(line, arrived_ns)) is not None
        ]
        self._tell_odd()
        return found

    def close(self) -> None:
        # The group: a shell script may have started the program that talks to the meter.
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(END_S)
                break
            except ProcessLookupError:
                self._process.wait(END_S)
                break
            except subprocess.TimeoutExpired:
                continue
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _reading(self, line: bytes, arrived_ns: int) -> Reading | None:
        if not line.strip():
            return None
        try:
            time_text, power_text = line.replace(b",", b" ").split()
            at_s, power_w = float(time_text), float(power_text)
        except ValueError:
            self._pass_over(line, f"is no {_FORM!r}")
            return None
        if not 0 <= at_s < LATEST_S:
            self._pass_over(line, "has a time that is not in seconds since 1970")
            return None
        self._good += 1
        return Reading(
            round(at_s * 1e9), power_w if math.isfinite(power_w) else math.nan, arrived_ns
        )

    def _pass_over(self, line: bytes, why: str) -> None:
        """Leave out a line; the first one is told once there are readings beside it."""
        self._bad += 1
        if self._bad == 1:
            text = line[:_SHOWN].decode("utf-8", "replace").strip()
            self._odd = f"{self._name} printed a line that {why}: {text!r}"
        if self._bad >= _BAD_LINES and not self._good:
            raise SensorError(f"{self._odd}, and nothing else")

    def _tell_odd(self) -> None:
        if self._odd and self._good:
            self._note(f"{self._odd}; such lines are left out")
            self._odd = ""

    def _last_words(self) -> str:
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            return f"{self._name} closed its output"
        how = f"exit status {code}" if code >= 0 else f"signal {-code}"
        text = f"{self._name} ended ({how})"
        if not self._good:
            text += f" without a reading; it must print {_FORM!r} lines until it is ended"
        said = self._log.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
        words = said[-1][:200] if said else self._odd
        return f"{text}: {words}" if words else text

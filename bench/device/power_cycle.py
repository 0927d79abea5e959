"""What switches a board off and on again when it hangs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from bench.errors import PowerCycleError

SHOWN_CHARACTERS = 200


class PowerCycle(Protocol):
    """A way to switch one board off and on again."""

    def __call__(self) -> None:
        """Switch the board off and on; it may take minutes until it answers after that.

        Raises:
            PowerCycleError: that failed.
        """

    @property
    def words(self) -> str:
        """How it is done, for notes."""


@dataclass(frozen=True, slots=True)
class CommandPowerCycle:
    """Runs a program on this host, without a shell; it finds the device's name in
    ``BENCH_DEVICE``, and in ``BENCH_PLACE`` that of its labgrid place, if it is one."""

    device: str
    argv: Sequence[str]
    timeout_s: float
    place: str | None = None

    @property
    def words(self) -> str:
        """The program."""
        return f"on_hang ran {self.argv[0]}"

    def __call__(self) -> None:
        """Run it (see :class:`PowerCycle`)."""
        which = {"BENCH_DEVICE": self.device}
        if self.place is not None:
            which["BENCH_PLACE"] = self.place
        try:
            process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, **which},
                start_new_session=True,
            )
        except OSError as error:
            raise PowerCycleError(f"on_hang: cannot run {self.argv[0]}: {error.strerror}") from None
        try:
            _, said = process.communicate(timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise PowerCycleError(
                f"on_hang: {self.argv[0]} took longer than {self.timeout_s:g} s and was ended"
            ) from None
        if process.returncode != 0:
            lines = said.decode("utf-8", "replace").strip().splitlines()
            last = f": {lines[-1][:SHOWN_CHARACTERS]}" if lines else ""
            raise PowerCycleError(
                f"on_hang: {self.argv[0]} ended with exit status {process.returncode}{last}"
            )

"""A host, a cable and a board on this machine, all of their own: what faults strike."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

from bench_program import Program
from board_processes import BoardProcesses
from board_witness import Witness
from cable import Cable
from fault_kinds import Fault
from sshd import start_sshd

RETRY_S = 4.0
CONNECT_S = 3.0
PROCEDURE = {
    "latency_rounds": 10,
    "latency_round_s": 0.04,
    "energy_rounds": 2,
    "energy_window_s": 0.15,
    "idle_s": 0.1,
    "settle_s": 0.1,
    "warmup_max_s": 0.2,
}


class Site:
    """Everything lies in ``folder``. The board is reached over ssh, through ``cable``."""

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self._draw = draw
        self._server = start_sshd(folder / "sshd")
        self.cable = Cable(self._server.host, self._server.port)
        self.program = Program(folder)
        self.work_dir = folder / "board"
        self.results = folder / "results"
        self.processes = BoardProcesses(self.work_dir)
        self.witness = Witness(self.work_dir / "jobs", folder / "witness")
        self._broken = False
        self._whole_again_s: float | None = None
        self.program.devices(board=self._device(folder))
        self.program.plan("one", "two", **PROCEDURE)

    def strike(self, fault: Fault, host: Popen[str]) -> bool:
        """Let a fault happen, if there is something that it can strike; whether it did."""
        self.witness.look()
        if fault.at_the_job:
            return self._strike_job(fault)
        if host.poll() is not None or (self._broken and fault.kind not in ("host", "interrupt")):
            return False
        if fault.kind == "host":
            host.kill()
        elif fault.kind == "interrupt":
            if not _minds_signals(host.pid):
                return False
            host.send_signal(signal.SIGINT)
        elif fault.kind == "forget":
            self.cable.forget()
        else:
            self._break_link(fault)
        return True

    def tick(self) -> None:
        """Look at the board, and mend the cable when it is time."""
        self.witness.look()
        if self._whole_again_s is not None and time.monotonic() > self._whole_again_s:
            self.mend()

    def mend(self) -> None:
        """Make the cable whole."""
        self.cable.restore()
        self._broken, self._whole_again_s = False, None

    def close(self) -> None:
        """End everything."""
        for process in self.program.started:
            if process.poll() is None:
                process.kill()
        for pid in self.processes.everything():
            _kill(pid)
        self.cable.close()
        self._server.stop()

    def _strike_job(self, fault: Fault) -> bool:
        running = self.processes.running()
        if running is None:
            return False
        if fault.kind == "board":
            pids = self.processes.everything()
            self._server.cut()
        elif fault.kind == "conductor":
            pids = [running[1]]
        else:
            pids = self.processes.children("work" if fault.kind == "worker" else "sample")
            pids = [self._draw.choice(pids)] if pids else []
        struck = [pid for pid in pids if _kill(pid)]
        return bool(struck)

    def _break_link(self, fault: Fault) -> None:
        self._broken = True
        if fault.kind == "freeze":
            self.cable.freeze()
        else:
            self.cable.cut()
        if fault.kind != "cut-for-good":
            self._whole_again_s = time.monotonic() + fault.lasts_s

    def _device(self, folder: Path) -> dict[str, object]:
        return self.cable.device(
            self._server,
            folder / "known_hosts",
            python=sys.executable,
            retry_s=RETRY_S,
            connect_timeout_s=CONNECT_S,
        )


def _minds_signals(pid: int) -> bool:
    """Whether bench's own code has begun: before that, Ctrl-C is Python's affair."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "SigCgt":
                return bool(int(value, 16) >> (signal.SIGTERM - 1) & 1)
    return False


def _kill(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False

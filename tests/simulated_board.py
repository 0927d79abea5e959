"""A board without a board: a transport whose agent answers at once, for runs on many of them.

It stands for a board where the host alone is of interest: whom it asks what, how often, and what
that costs. Its journal is a recorded one with the names of the job's cases.
"""

from __future__ import annotations

import json
import posixpath
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.agent import wire
from bench.device.transport import Completed, Push
from bench.errors import DeviceError, TransportError

RECORDED = Path(__file__).parent / "security" / "recorded-journal.jsonl"
_RECORDS = wire.decode_records(RECORDED.read_bytes())[0]
_CASE = "net/dense/onnxruntime/fp32/b1/t1"
SHARED = {"start", "state", "cooldown", "health", "checkpoint", "stopping", "end"}
PROBE: dict[str, Any] = {
    "version": 1,
    "board": {"model": "Simulated board", "compatible": ["acme,simulated"]},
    "os": {"pretty_name": "Linux", "kernel": "6.1", "machine": "aarch64", "l4t": None},
    "python": {
        "version": "3.11.2",
        "executable": "/usr/bin/python3",
        "implementation": "cpython",
        "abi_flags": "",
        "platform": "linux-aarch64",
        "bits": 64,
        "glibc": "2.36",
    },
    "packages": None,
    "numpy": {"version": "1.26.0", "problem": None},
    "runtimes": {
        "onnxruntime": {"version": "1.18.0", "providers": ["CPUExecutionProvider"], "problem": None}
    },
    "cpu": {"model": "Simulated", "count": 4, "governor": {}, "frequency_khz": {}},
    "memory": {"total_bytes": 4 * 10**9, "available_bytes": 3 * 10**9},
    "disk": {"free_bytes": 10**10},
    "temperature_c": {},
    "state": {"power_mode": None, "power_modes": {}, "restored": None, "problem": None},
    "lock": {"path": "/run/lock/bench-agent.lock", "problem": None},
    "sensors": [],
    "boot_id": "1",
    "monotonic_ns": 1,
    "wall_s": 1.0,
}


class SimulatedBoard:
    """What is on one board, over all connections to it.

    ``job_s``: how long its jobs take. ``latency_factor``: how much slower it is than recorded.
    ``dying``: how many of its next jobs die. ``gone``: whether it cannot be reached. ``asked``: the
    commands that its agent has got, ``uploads``: files that were sent.
    """

    def __init__(self, job_s: float = 0.0, latency_factor: float = 1.0) -> None:
        self.job_s = job_s
        self.latency_factor = latency_factor
        self.dying = 0
        self.gone = False
        self.asked: list[str] = []
        self.uploads = 0
        self.files: dict[str, bytes | int] = {}
        self.jobs: dict[str, tuple[float, bool]] = {}
        """By folder when the job ends, and whether it dies then."""

    def connect(self) -> SimulatedTransport:
        """Connect, as :func:`bench.fleet.connection.open_transport` does."""
        self.require()
        return SimulatedTransport(self)

    def require(self) -> None:
        """Raise TransportError when the board is gone."""
        if self.gone:
            raise TransportError("cannot reach simulated:22: no answer in time")


class SimulatedTransport:
    """The :class:`~bench.device.transport.Transport` to a simulated board."""

    def __init__(self, board: SimulatedBoard) -> None:
        self._board = board

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        repeatable: bool = False,
    ) -> Completed:
        self._board.require()
        if argv[0] == "sh":
            return Completed(0, b"", b"")
        command, *arguments = argv[2:]
        self._board.asked.append(command)
        answer = getattr(self, f"_{command}")(*arguments)
        return Completed(0, json.dumps(answer).encode() + b"\n", b"")

    def push(self, files: Sequence[Push]) -> int:
        self._board.require()
        missing = [file for file in files if file.remote not in self._board.files]
        for file in missing:
            self._board.files[file.remote] = file.size_bytes()
        self._board.uploads += len(missing)
        return len(missing)

    def write(self, remote: str, data: bytes) -> None:
        self._board.require()
        self._board.files[remote] = data

    def read(self, remote: str, offset: int = 0) -> bytes:
        self._board.require()
        folder, name = posixpath.split(remote)
        if name != wire.JOURNAL_FILE or folder not in self._board.jobs:
            raise DeviceError(f"cannot read {remote}")
        return self._journal(folder)[offset:]

    def quiet(self, silent: bool) -> None:
        pass

    def close(self) -> None:
        pass

    def _probe(self, *_: str) -> dict[str, Any]:
        return PROBE

    def _jobs(self, *_: str) -> dict[str, Any]:
        return {"jobs": [], "busy": None}

    def _restore(self, *_: str) -> dict[str, Any]:
        return {"restored": None, "problem": None}

    def _start(self, folder: str, *_: str) -> dict[str, Any]:
        dies = self._board.dying > 0
        self._board.dying -= dies
        self._board.jobs[folder] = (time.monotonic() + self._board.job_s, dies)
        return {"expected_s": self._board.job_s, "next_checkpoint_s": None}

    def _status(self, folder: str) -> dict[str, Any]:
        if folder not in self._board.jobs:
            return {"state": "absent", "remaining_s": None}
        ends_s, dies = self._board.jobs[folder]
        left_s = ends_s - time.monotonic()
        state = "running" if left_s > 0 else "dead" if dies else "finished"
        return {"state": state, "remaining_s": max(left_s, 0.0)}

    _stop = _status

    def _journal(self, folder: str) -> bytes:
        job = json.loads(self._board.files[f"{folder}/{wire.JOB_FILE}"])
        keys = [case["key"] for case in job["cases"]]
        _, dies = self._board.jobs[folder]
        lines = []
        for record in _RECORDS:
            if record["kind"] == "end" and dies:
                continue
            if record["kind"] == "groups":
                lines.append({**record, "groups": [keys]})
            elif record["kind"] in SHARED:
                lines.append({**record, "half_widths": {}} if "half_widths" in record else record)
            elif record["kind"] in ("idle", "step"):
                lines.append({**record, "cases": keys, "case": keys[0]})
            elif record.get("case") == _CASE and not (dies and record["kind"] == "round"):
                lines += [self._slowed({**record, "case": key}) for key in keys]
        return b"".join(map(wire.encode_record, lines))

    def _slowed(self, record: dict[str, Any]) -> dict[str, Any]:
        if "durations_ns" not in record:
            return record
        factor = self._board.latency_factor
        return {**record, "durations_ns": [round(factor * ns) for ns in record["durations_ns"]]}

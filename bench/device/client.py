"""The host's side of the conversation with the agent (format: :mod:`bench.agent.wire`)."""

from __future__ import annotations

import json
import posixpath
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench.agent import wire
from bench.device.transport import Completed, Transport
from bench.errors import AgentError, LeaseError, StateError

ANSWER_S = 120.0
# The agent itself waits 300 s for the end of the round.
STOP_S = 330.0
NOT_FOUND = 127
NOT_RUNNABLE = 126
SHOWN_CHARACTERS = 200
LOG_LINES = 40

# $1 job folder, $2 number of lines; logs without a line are left out.
_TAIL = """cd "$1" && for log in *.log; do
if [ -s "$log" ]; then echo "== $log"; tail -n "$2" "$log"; fi
done"""


@dataclass(frozen=True, slots=True)
class Started:
    """A job that the board has begun: its process there, how long it will take, and after how
    long nothing is measured for a moment (``None``: not before the end)."""

    pid: int
    expected_s: float
    next_checkpoint_s: float | None


class AgentClient:
    """Asks the agent on a board. Methods raise TransportError when the link fails."""

    def __init__(self, transport: Transport, python: str, agent_path: str, work_dir: str) -> None:
        """Args: ``python`` is the board's interpreter, the paths are paths on the board."""
        self._transport = transport
        self._python = python
        self._agent = agent_path
        self._work_dir = work_dir

    def probe(
        self, root: str = "/", sensor_options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the facts of the board.

        Args:
            root: where the board's sysfs and procfs are looked for.
            sensor_options: options by sensor name, for sensors that need some.

        Raises:
            LeaseError: a job is running on the board, which is not to be disturbed.
            AgentError: the agent failed, or the board's Python cannot run it.
        """
        return self._ask("probe", root, json.dumps(dict(sensor_options or {})))

    def start(self, job_id: str, job: Mapping[str, Any]) -> Started:
        """Put a job on the board and start it detached.

        Raises:
            LeaseError: another job is running on the board.
            StateError: the board cannot be brought into the state that the job asks for, or an
                earlier job's change cannot be put back.
            AgentError: the agent failed.
        """
        document = json.dumps(job, allow_nan=False).encode()
        self._transport.write(posixpath.join(self._job(job_id), wire.JOB_FILE), document)
        answer = self._ask("start", self._job(job_id))
        if "refused" in answer:
            raise StateError(str(answer["refused"]["text"]))
        return Started(int(answer["pid"]), float(answer["expected_s"]), answer["next_checkpoint_s"])

    def restore(self) -> dict[str, Any] | None:
        """Put back the board's state if a dead job left a changed one; return what it is now.

        Returns ``None`` when there was nothing to put back.

        Raises:
            LeaseError: the job that changed it is still running.
            StateError: it cannot be put back; the board keeps the note of what it was.
            AgentError: the agent failed.
        """
        answer = self._ask("restore")
        if answer["problem"] is not None:
            raise StateError(str(answer["problem"]))
        restored: dict[str, Any] | None = answer["restored"]
        return restored

    def status(self, job_id: str) -> dict[str, Any]:
        """Return the answer to ``status`` (see :mod:`bench.agent.wire`)."""
        return self._ask("status", self._job(job_id))

    def stop(self, job_id: str) -> dict[str, Any]:
        """Let a job finish the round it is in and end; return its status after that."""
        return self._ask("stop", self._job(job_id), timeout_s=STOP_S)

    def journal(self, job_id: str) -> bytes:
        """Return what the job has written down so far.

        Raises:
            DeviceError: there is no journal.
        """
        return self._transport.read(posixpath.join(self._job(job_id), wire.JOURNAL_FILE))

    def log_tail(self, job_id: str) -> str:
        """Return the last lines of the job's logs, ``""`` when there are none."""
        argv = ["sh", "-c", _TAIL, "sh", self._job(job_id), str(LOG_LINES)]
        return self._transport.run(argv, timeout_s=ANSWER_S).stdout.decode("utf-8", "replace")

    def _job(self, job_id: str) -> str:
        return posixpath.join(self._work_dir, "jobs", job_id)

    def _ask(self, command: str, *arguments: str, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        argv = [self._python, self._agent, command, *arguments]
        completed = self._transport.run(argv, timeout_s=timeout_s)
        if completed.status != 0:
            raise self._failure(command, completed)
        answer = _last_object(completed.stdout)
        if answer is None:
            said = _text(completed.stdout) or _text(completed.stderr) or "nothing"
            raise AgentError(
                f"the agent's {command} gave no JSON answer but {said[:SHOWN_CHARACTERS]!r}",
                detail=said,
            )
        if "busy" in answer:
            raise LeaseError(_holder(answer["busy"]))
        return answer

    def _failure(self, command: str, completed: Completed) -> AgentError:
        said = _text(completed.stderr) or _text(completed.stdout)
        if completed.status in (NOT_FOUND, NOT_RUNNABLE):
            return AgentError(
                f"cannot run {self._python} on the board: install Python 3.6 or newer there, or "
                f"set `python` of this device to one",
                detail=said,
            )
        if completed.status < 0:
            return AgentError(
                f"the agent's {command} was ended on the board by {_signal(-completed.status)}",
                detail=said,
            )
        last = said.splitlines()[-1] if said else f"exit status {completed.status}"
        return AgentError(f"the agent's {command} failed on the board: {last}", detail=said)


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip()


def _last_object(output: bytes) -> dict[str, Any] | None:
    """Return the last line that is a JSON object; other programs may have printed before it."""
    for line in reversed(output.splitlines()):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            return document
    return None


def _holder(busy: Mapping[str, Any]) -> str:
    since = datetime.fromtimestamp(busy["since_wall_s"]).astimezone().isoformat(" ", "seconds")
    return (
        f"the board is busy with job {busy['job_id']} (process {busy['pid']}) since {since}; "
        f"wait for its end"
    )


def _signal(number: int) -> str:
    try:
        return f"signal {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"

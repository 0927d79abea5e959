"""The host's side of the conversation with the agent (format: :mod:`bench.agent.wire`)."""

from __future__ import annotations

import json
import posixpath
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench.agent import wire
from bench.device.answers import shaped
from bench.device.transport import Completed, Transport
from bench.errors import AgentError, LeaseError, StateError, TransportError, TrustError
from bench.json_text import parse_object

ANSWER_S = 120.0
# Unpacking on a small board's SD card, and imports of which each may take a minute.
PROVISION_S = 900.0
# The agent itself waits 300 s for the end of the round.
STOP_S = 330.0
# How long the start of a job may take on the board once the host has lost sight of it.
SETTLE_S = 120.0
SETTLE_POLL_S = 1.0
NOT_FOUND = 127
NOT_RUNNABLE = 126
SHOWN_CHARACTERS = 200
SHOWN_EVIDENCE = 4000
LOG_LINES = 40

# $1 job folder, $2 number of lines; logs without a line are left out.
_TAIL = """cd "$1" && for log in *.log; do
if [ -s "$log" ]; then echo "== $log"; tail -n "$2" "$log"; fi
done"""


@dataclass(frozen=True, slots=True)
class Started:
    """A job that the board has begun: how long it will take, and after how long nothing is
    measured for a moment (``None``: not before the end)."""

    expected_s: float
    next_checkpoint_s: float | None


class AgentClient:
    """Asks the agent on a board.

    Whatever may be asked twice is asked again when the link is lost (see
    :class:`~bench.device.transport.Transport`). Methods raise TransportError when it stays lost,
    and AgentError when the agent failed, the board's Python cannot run it, or what it answers is
    not what an agent answers.
    """

    def __init__(
        self, transport: Transport, python: str, agent_path: str, work_dir: str, lock: str
    ) -> None:
        """Args: ``python`` is the board's interpreter, the paths are paths on the board; ``lock``
        is the file that whoever measures there holds."""
        self._transport = transport
        self._python = python
        self._agent = agent_path
        self._work_dir = work_dir
        self._lock = lock

    def probe(
        self, root: str = "/", sensor_options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the facts of the board.

        Args:
            root: where the board's sysfs and procfs are looked for.
            sensor_options: options by sensor name, for sensors that need some.

        Raises:
            LeaseError: a job is running on the board, which is not to be disturbed.
        """
        return self._ask("probe", root, json.dumps(dict(sensor_options or {})), self._lock)

    def start(self, job_id: str, job: Mapping[str, Any]) -> Started:
        """Put a job on the board and start it detached; it is never started twice.

        Raises:
            LeaseError: another job is running on the board.
            StateError: the board cannot be brought into the state that the job asks for, or an
                earlier job's change cannot be put back.
            AgentError: the agent failed or refuses the job.
        """
        document = json.dumps(job, allow_nan=False).encode()
        self._transport.write(posixpath.join(self._job(job_id), wire.JOB_FILE), document)
        try:
            return self._begin(job_id)
        except TrustError:
            raise
        except TransportError as lost:
            # The job may have begun, be about to, or never have been asked for.
            return self._begun_unseen(job_id, lost)

    def restore(self) -> dict[str, Any] | None:
        """Put back the board's state if a dead job left a changed one; return what it is now.

        Returns ``None`` when there was nothing to put back.

        Raises:
            LeaseError: the job that changed it is still running.
            StateError: it cannot be put back; the board keeps the note of what it was.
        """
        answer = self._ask("restore", self._lock)
        if answer["problem"] is not None:
            raise StateError(answer["problem"])
        restored: dict[str, Any] | None = answer["restored"]
        return restored

    def status(self, job_id: str) -> dict[str, Any]:
        """Return the answer to ``status`` (see :mod:`bench.agent.wire`)."""
        return self._ask("status", self._job(job_id))

    def stop(self, job_id: str) -> dict[str, Any]:
        """Let a job finish the round it is in and end; return its status after that."""
        return self._ask("stop", self._job(job_id), timeout_s=STOP_S)

    def jobs(self) -> dict[str, Any]:
        """Return the answer to ``jobs``: all jobs of the board folder, and who measures now."""
        return self._ask("jobs", self._lock)

    def clean(self, apply: bool) -> dict[str, Any]:
        """Return the answer to ``clean``: what the board need not keep, and what it must.

        With ``apply`` the former is removed.

        Raises:
            LeaseError: a job is running on the board.
        """
        return self._ask("clean", self._lock, "yes" if apply else "no")

    def doctor(
        self, root: str = "/", sensor_options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what the probe does not tell (``bench/agent/doctor.py``); loads the board for
        some seconds.

        Raises:
            LeaseError: a job is running on the board, which is not to be disturbed.
        """
        return self._ask("doctor", root, json.dumps(dict(sensor_options or {})), self._lock)

    def provision(self, key: str, wheels: Sequence[str]) -> dict[str, Any]:
        """Have the board unpack wheels that were pushed; the answer to ``provision``.

        Raises:
            LeaseError: a job is running on the board.
        """
        listed = json.dumps(list(wheels))
        return self._ask("provision", self._lock, key, listed, timeout_s=PROVISION_S)

    def unprovision(self) -> str | None:
        """Have the board remove the packages that it was provided with; the name of their folder.

        Raises:
            LeaseError: a job is running on the board.
        """
        removed: str | None = self._ask("unprovision", self._lock)["removed"]
        return removed

    def journal(self, job_id: str) -> bytes:
        """Return what the job has written down so far.

        Raises:
            DeviceError: there is no journal.
        """
        return self._transport.read(posixpath.join(self._job(job_id), wire.JOURNAL_FILE))

    def mark_collected(self, job_id: str) -> None:
        """Tell the board that it need not keep the job: its whole journal is safe elsewhere."""
        self._transport.write(posixpath.join(self._job(job_id), wire.COLLECTED_FILE), b"")

    def log_tail(self, job_id: str) -> str:
        """Return the last lines of the job's logs, ``""`` when there are none."""
        argv = ["sh", "-c", _TAIL, "sh", self._job(job_id), str(LOG_LINES)]
        completed = self._transport.run(argv, timeout_s=ANSWER_S, repeatable=True)
        return completed.stdout.decode("utf-8", "replace")

    def _job(self, job_id: str) -> str:
        return posixpath.join(self._work_dir, "jobs", job_id)

    def _begin(self, job_id: str) -> Started:
        answer = self._ask("start", self._job(job_id), self._lock, repeatable=False)
        if "refused" in answer:
            text: str = answer["refused"]["text"]
            raise StateError(text) if answer["refused"]["kind"] == "state" else AgentError(text)
        return Started(answer["expected_s"], answer["next_checkpoint_s"])

    def _begun_unseen(self, job_id: str, lost: TransportError) -> Started:
        """Find out what became of a ``start`` whose answer was lost.

        Asking once more is safe: the board starts no job twice, and no two at the same time.
        """
        deadline_s = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline_s:
            status = self.status(job_id)
            if status["state"] != "new":
                # One that has just begun cannot tell yet, one that has ended needs no more time.
                return Started(float(status["remaining_s"] or 0.0), status["next_checkpoint_s"])
            try:
                return self._begin(job_id)
            except LeaseError as busy:
                if busy.job_id != job_id:
                    raise
            except TrustError:
                raise
            except TransportError as again:
                lost = again
            except AgentError:
                if self.status(job_id)["state"] == "new":
                    raise
            time.sleep(SETTLE_POLL_S)
        raise lost

    def _ask(
        self, command: str, *arguments: str, timeout_s: float = ANSWER_S, repeatable: bool = True
    ) -> dict[str, Any]:
        argv = [self._python, self._agent, command, *arguments]
        completed = self._transport.run(argv, timeout_s=timeout_s, repeatable=repeatable)
        if completed.status != 0:
            raise self._failure(command, completed)
        answer = _last_object(completed.stdout)
        if answer is None:
            said = _text(completed.stdout) or _text(completed.stderr) or "nothing"
            raise AgentError(
                f"the agent's {command} gave no JSON answer but {said[:SHOWN_CHARACTERS]!r}",
                detail=said,
            )
        try:
            known = shaped(command, answer)
        except ValueError as error:
            raise AgentError(
                f"the answer to {command} is not that of an agent ({error}); remove {self._agent} "
                "from the board, and it is sent again",
                detail=_text(completed.stdout)[:SHOWN_EVIDENCE],
            ) from None
        if set(known) == {"busy"}:
            raise _lease_error(known["busy"])
        return known

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
    """Return the last line that is a JSON object of bounded depth and size of numbers; other
    programs may have printed before it."""
    for line in reversed(output.splitlines()):
        try:
            return parse_object(line)
        except ValueError:
            continue
    return None


def _lease_error(busy: Mapping[str, Any]) -> LeaseError:
    """Say who measures, which job, since when, for how long still, and what one can do."""
    since = datetime.fromtimestamp(busy["since_wall_s"]).astimezone().isoformat(" ", "seconds")
    left_s = busy["left_s"]
    left = "" if left_s is None else f", for about {_duration(left_s)} more"
    return LeaseError(
        f"the board is busy: {busy['owner']} (there: user {busy['user']}) runs job "
        f"{busy['job_id']} since {since}{left}; wait with `--wait`, or, if it is yours, "
        f"`bench attach RUN`",
        job_id=str(busy["job_id"]),
        left_s=left_s,
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _signal(number: int) -> str:
    try:
        return f"signal {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"

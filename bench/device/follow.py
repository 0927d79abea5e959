"""Waits for a job's end without touching the link while the board measures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bench.device.client import AgentClient, Started
from bench.device.retry import Interrupted
from bench.device.transport import Transport
from bench.errors import HangError

# A board that is late is asked how much longer it needs, but not more often than this: every
# question starts a program there.
LEAST_WAIT_S = 5.0
# A job that takes this many times what it last announced, and this much more, will never end.
PATIENCE = 3.0
PATIENCE_S = 600.0
# One that nobody here saw begin, and that has not told anything yet, may be building engines.
UNTOLD_S = 3600.0
CHECKPOINT_DELAY_S = 0.5


def follow(
    client: AgentClient,
    transport: Transport,
    job_id: str,
    started: Started,
    cancel: threading.Event,
    late: Callable[[float], None],
) -> str:
    """Wait until a job has ended and return how: ``finished``, ``dead`` or ``stopped``.

    The link is silent until the announced checkpoint, when nothing is measured, or where there is
    none until the announced end; whether it holds until then makes no difference. A job that is
    not done by then tells how much longer it takes (``late`` is called with it) and is left alone
    again. When ``cancel`` is set, also while the link is down, the board is asked to stop after the
    round it is in.

    Raises:
        TransportError: the link is down and did not come back. The job goes on by itself, and its
            results wait on the board.
        HangError: the job did not end for so long that it never will.
    """
    wait_s = _until_look_s(started.expected_s, started.next_checkpoint_s)
    began_s = time.monotonic()
    give_up_s = _give_up_s(started.expected_s)
    announced = started.expected_s > 0
    while True:
        transport.quiet(True)
        cancelled = cancel.wait(wait_s)
        transport.quiet(False)
        try:
            status = client.stop(job_id) if cancelled else client.status(job_id)
        except Interrupted:
            cancelled, status = True, client.stop(job_id)
        if cancelled:
            return "stopped"
        if status["state"] != "running":
            return str(status["state"])
        told_s = float(status["remaining_s"] or 0.0)
        remaining_s = max(told_s, LEAST_WAIT_S)
        if time.monotonic() > give_up_s:
            raise HangError(
                f"job {job_id} hangs: {_was_to_take(started.expected_s)}", job_id=job_id
            )
        late(remaining_s)
        checkpoint_s = status["next_checkpoint_s"] or None
        if checkpoint_s is not None or (told_s and not announced):
            # Only a job that lives announces a time to come, and it may go on for longer; one whose
            # start was lost sight of did not announce anything until now. What has been overdue
            # since before it was looked at announces nothing, and is not waited for without end.
            give_up_s = max(give_up_s, _give_up_s(remaining_s))
            announced = True
        elif status["remaining_s"] is None and not announced:
            give_up_s = max(give_up_s, began_s + UNTOLD_S)
        wait_s = _until_look_s(remaining_s, checkpoint_s)


def _was_to_take(expected_s: float) -> str:
    return f"it was to take {expected_s:.0f} s" if expected_s else "it was to be over long ago"


def _until_look_s(remaining_s: float, checkpoint_s: float | None) -> float:
    """Return the seconds until the next look; a checkpoint is looked at soon after it began."""
    return remaining_s if checkpoint_s is None else checkpoint_s + CHECKPOINT_DELAY_S


def _give_up_s(remaining_s: float) -> float:
    return time.monotonic() + PATIENCE * remaining_s + PATIENCE_S

"""Waits for a job's end without touching the link while the board measures."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bench.device.client import AgentClient
from bench.device.transport import Transport

# A board that is late is asked how much longer it needs, but not more often than this.
_LEAST_WAIT_S = 0.5


def follow(
    client: AgentClient,
    transport: Transport,
    job_id: str,
    expected_s: float,
    cancel: threading.Event,
    late: Callable[[float], None],
) -> str:
    """Wait until a job has ended and return how: ``finished``, ``dead`` or ``stopped``.

    The link is silent until the announced end. A job that is not done by then tells how much
    longer it takes (``late`` is called with it) and is left alone again. When ``cancel`` is
    set, the board is asked to stop after the round it is in.

    Raises:
        TransportError: the link failed and could not be made again.
    """
    wait_s = expected_s
    while True:
        transport.quiet(True)
        cancelled = cancel.wait(max(wait_s, _LEAST_WAIT_S))
        transport.quiet(False)
        if cancelled:
            client.stop(job_id)
            return "stopped"
        status = client.status(job_id)
        if status["state"] != "running":
            return str(status["state"])
        wait_s = float(status["remaining_s"] or _LEAST_WAIT_S)
        late(wait_s)

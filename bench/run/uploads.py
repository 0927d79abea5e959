"""How many boards may be sent files at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DEFAULT_UPLOADS = 4
"""More make an upload no faster: encryption in one process keeps about one core busy."""
PATIENCE_S = 60.0
POLL_S = 0.2


class Uploads:
    """Slots for uploads. A board that takes no data must not hold up those that wait behind it:
    after ``PATIENCE_S`` they go ahead without a slot."""

    def __init__(self, count: int = DEFAULT_UPLOADS) -> None:
        self._slots = threading.BoundedSemaphore(count)

    @contextmanager
    def slot(self, cancel: threading.Event, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold a slot; ``waiting`` is called when there is none free at once."""
        got = self._slots.acquire(blocking=False)
        if not got:
            waiting()
            left_s = PATIENCE_S
            while not got and left_s > 0 and not cancel.is_set():
                got = self._slots.acquire(timeout=POLL_S)
                left_s -= POLL_S
        try:
            yield
        finally:
            if got:
                self._slots.release()

"""Does again what a lost link interrupted; nothing else in the project repeats anything."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_exponential,
    wait_random,
)

from bench.background import in_background
from bench.errors import TransportError, TrustError

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 6.0
# Boards that lost their link together must not all come back at the same moment.
JITTER_S = 0.5
POLL_S = 0.1

T = TypeVar("T")
_log = logging.getLogger("bench.device")


class Interrupted(TransportError):
    """An end was asked for while the link was being made or was waited for."""


class Retry:
    """Does what may be done twice until the link holds.

    After a loss an operation is begun again with growing waits, for at most ``retry_s`` seconds.
    When ``cancel`` is set, that stops at once; what is begun after that is tried only once.
    """

    def __init__(self, retry_s: float, cancel: threading.Event) -> None:
        self._retry_s = retry_s
        self._cancel = cancel

    def __call__(self, operation: Callable[[], T]) -> T:
        """Return what ``operation`` returns, which must do no harm when done in part or twice.

        Raises:
            TransportError: the link was lost and did not come back in time.
        """
        loss = _Loss(self._retry_s, self._cancel)
        retrying = Retrying(
            retry=retry_if_exception(_is_lost_link),
            wait=wait_exponential(FIRST_WAIT_S, LONGEST_WAIT_S) + wait_random(0, JITTER_S),
            stop=loss.is_final,
            before_sleep=loss.tell,
            sleep=loss.wait,
            retry_error_callback=loss.give_up,
        )
        return retrying(operation)

    def interruptible(self, work: Callable[[], T], discard: Callable[[T], object]) -> T:
        """Return what ``work`` returns; if ``cancel`` is set meanwhile, don't wait for it.

        It then goes on in a thread of its own, and ``discard`` is called with what it returns.

        Raises:
            Interrupted: ``cancel`` was set.
        """
        if self._cancel.is_set():
            return work()
        done = in_background(work)
        while not wait([done], timeout=POLL_S).done:
            if self._cancel.is_set():
                done.add_done_callback(
                    lambda late: late.exception() is None and discard(late.result())
                )
                raise Interrupted("interrupted while connecting")
        return done.result()


class _Loss:
    """What is known of a lost link while one operation is done again and again."""

    def __init__(self, retry_s: float, cancel: threading.Event) -> None:
        self._retry_s = retry_s
        self._cancel = cancel
        self._since_s: float | None = None

    def is_final(self, state: RetryCallState) -> bool:
        """Say whether the time is over. It counts from the first failure, not from the start:
        a long upload that is cut in the end is worth as many attempts as a short one."""
        self._since_s = self._since_s or time.monotonic()
        return self._cancel.is_set() or self._gone_s() + state.upcoming_sleep > self._retry_s

    def tell(self, state: RetryCallState) -> None:
        """Log what failed and what comes next."""
        _log.info(
            "%s; trying again in %.1f s (attempt %d, %.0f of %.0f s)",
            _error(state),
            state.upcoming_sleep,
            state.attempt_number + 1,
            self._gone_s(),
            self._retry_s,
        )

    def wait(self, seconds: float) -> None:
        """Let time pass before the next attempt."""
        if self._cancel.wait(seconds):
            raise Interrupted("interrupted while the link was down")

    def give_up(self, state: RetryCallState) -> None:
        """Raise the last error, with how long it was tried."""
        error = _error(state)
        if state.attempt_number == 1:
            raise error
        raise TransportError(f"{error} (tried again for {self._gone_s():.0f} s)") from error

    def _gone_s(self) -> float:
        return time.monotonic() - (self._since_s or time.monotonic())


def _error(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome is not None else None
    return error or TransportError("the link was lost")


def _is_lost_link(error: BaseException) -> bool:
    return isinstance(error, TransportError) and not isinstance(error, TrustError | Interrupted)

"""Work that several threads want done is done by the first of them, and the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Results by key. What goes wrong goes wrong for all who asked for that key."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Future[T]] = {}
        self._lock = threading.Lock()

    def __call__(self, key: Hashable, work: Callable[[], T]) -> tuple[T, bool]:
        """Return what ``work`` makes, and whether it was made just now and by this call.

        Raises whatever ``work`` raised.
        """
        with self._lock:
            made = self._made.get(key)
            mine = made is None
            if made is None:
                made = self._made[key] = Future()
        if mine:
            try:
                made.set_result(work())
            except BaseException as error:  # handed to all who wait
                made.set_exception(error)
        return made.result(), mine

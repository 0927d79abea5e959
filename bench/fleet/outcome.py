"""How a command that measures or collects ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bench.errors import DeviceError, StoreError
from bench.fleet.collect import finish
from bench.store.reader import Run, open_run
from bench.store.writer import RunWriter


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything stored, the devices that could not be used, and whether Ctrl-C ended it.

    ``earlier``: runs whose jobs were found on the boards and collected on the way.
    """

    run: Run
    device_errors: Mapping[str, DeviceError]
    interrupted: bool = False
    earlier: tuple[Run, ...] = ()


@contextmanager
def closing(writer: RunWriter, tried: Mapping[str, object]) -> Iterator[None]:
    """Let go of a run in the end; when left at once (the second Ctrl-C), it says so."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(StoreError):
            finish(writer, tried, {}, interrupted=True)
        raise
    finally:
        writer.close()


def conclude(
    writer: RunWriter,
    tried: Mapping[str, object],
    failures: Mapping[str, Exception],
    *,
    interrupted: bool,
    earlier: tuple[Run, ...] = (),
) -> Outcome:
    """Write down how the work on the devices that were ``tried`` ended, and return it.

    Raises:
        StoreError: the results folder cannot be written.
        Exception: the first of ``failures`` that is more than one device's trouble.
    """
    errors = {name: error for name, error in failures.items() if isinstance(error, DeviceError)}
    others = [failure for name, failure in failures.items() if name not in errors]
    try:
        finish(writer, tried, failures, interrupted=interrupted)
    except StoreError as error:
        # A disk that is full here was most likely full before, and that error says more.
        others.append(error)
    for failure in others:
        raise failure
    return Outcome(open_run(writer.path, writer.path.parent), errors, interrupted, earlier)

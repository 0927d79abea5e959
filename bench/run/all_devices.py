"""The cases of a run on all its devices at once, each in its own thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.export.labelled import LabelledSet
from bench.fleet.earlier import EarlierRuns
from bench.fleet.observer import Observer
from bench.fleet.outcome import Outcome, closing, conclude
from bench.fleet.parallel import on_devices
from bench.plan.plan import Plan
from bench.run.context import RunContext
from bench.run.live import published
from bench.run.pools import Shares
from bench.run.recovery import see_through
from bench.run.uploads import Uploads
from bench.store.reader import open_run
from bench.store.writer import RunWriter


def measure_all(
    shares: Shares,
    plan: Plan,
    writer: RunWriter,
    observer: Observer,
    *,
    cache: Path,
    labelled: LabelledSet | None,
    calibration: Mapping[str, Path],
    command: Sequence[str],
    wait: bool,
    uploads: int,
    attempt: int = 0,
) -> Outcome:
    """Measure cases on their devices and return how that ended; ``writer`` is closed then.

    The keywords are those of :class:`bench.run.context.RunContext`; ``uploads``: to so many boards
    at the same time.
    """
    cancel = threading.Event()
    with published(observer, writer, shares.cases) as told:
        context = RunContext(
            plan,
            cache,
            writer,
            told,
            cancel,
            EarlierRuns(writer.path.parent, told, cancel),
            labelled,
            calibration,
            attempt=attempt,
            wait=wait,
            command=tuple(command),
            uploads=Uploads(uploads),
        )
        return _carry_out(shares, context)


def _carry_out(shares: Shares, context: RunContext) -> Outcome:
    """Measure cases on their devices and return how that ended."""
    devices, absent = shares.devices, shares.absent
    present = {name: device for name, device in devices.items() if name not in absent}

    def measure(name: str) -> None:
        with shares.held.get(name, ExitStack()):
            see_through(name, devices[name], shares.cases[name], context)

    with closing(context.writer, devices):
        try:
            failures = on_devices(present, measure, context.cancel, context.observer)
        finally:
            earlier = context.earlier.close()
        return conclude(
            context.writer,
            devices,
            {**absent, **failures},
            interrupted=context.cancel.is_set(),
            earlier=tuple(open_run(path, path.parent) for path in earlier),
        )

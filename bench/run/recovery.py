"""A board's part in a run, seen through: after a failure it is tried again with what is left.

Only failures that may pass count: a link that does not come back, a job that died, a board that
hangs. ``give_up_after`` of them in a row (2 unless devices.yaml says otherwise) put the board
aside; a case that got done in between begins the count anew. A board that hangs is power-cycled
first where devices.yaml has ``on_hang``. While a board measures nobody looks at it, so a hang is
seen when its announced end has passed and it cannot be reached, or says that the job goes on far
beyond that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from bench.config.device_settings import DeviceSettings, stored_settings
from bench.device.power_cycle import PowerCycle
from bench.device.retry import Interrupted
from bench.errors import (
    BusyLostError,
    DeviceError,
    DiedError,
    HangError,
    PowerCycleError,
    TransportError,
    TrustError,
)
from bench.fleet.attach import uncollected
from bench.fleet.collect import Collector
from bench.fleet.connection import open_transport, power_cycle, stay
from bench.fleet.contact import Contact, contact
from bench.fleet.observer import telling_the_end
from bench.records.case import Case
from bench.records.manifest import Incident
from bench.records.status import Reason
from bench.records.trial import Trial
from bench.run.context import RunContext
from bench.run.measure import measure_board
from bench.run.provenance import resumption
from bench.store.reader import Run, open_run

KNOCK_S = 2.0
CUT_SHORT = {Reason.INTERRUPTED, Reason.POWER_LOSS}


def see_through(name: str, device: DeviceSettings, cases: Sequence[Case], run: RunContext) -> None:
    """Measure a device's cases, over failures that may pass.

    Raises:
        LeaseError: somebody else measures on the board, and the run does not wait.
        DeviceError: the board cannot be reached or used, or failed too often in a row.
        ConfigError: something asked for cannot be had anywhere (for example torch is missing).
        StoreError: the results folder cannot be written.
    """
    with telling_the_end(run.observer, name), ExitStack() as until_the_end:
        _attempts(name, device, cases, run, until_the_end)


def _attempts(
    name: str,
    device: DeviceSettings,
    cases: Sequence[Case],
    run: RunContext,
    until_the_end: ExitStack,
) -> None:
    failures = cycles = done = 0
    attempt, left, reached, is_others = run, list(cases), False, False
    stored: Run | None = None
    while True:
        try:
            run.observer.phase(name, "connecting")
            with contact(name, device, run.cancel, partial(run.observer.note, name)) as board:
                if not reached:
                    device = stay(device, board.transport, until_the_end)
                reached, is_others = True, False
                if stored is not None:
                    _collect_own(board, stored, attempt)
                    stored = _stored(run)
                    left = _left(cases, stored, run.attempt)
                    attempt = _next_attempt(name, device, left, stored, attempt)
                if left:
                    measure_board(board, left, attempt)
            return
        except DeviceError as error:
            if run.cancel.is_set() or not may_pass(error):
                raise
            stored = _stored(run)
            finished = _finished(stored, name, run.attempt)
            failures = 1 if finished > done else failures + 1
            done = finished
            if failures >= device.give_up_after:
                _note(run, name, "put aside", str(error))
                raise _put_aside(error, failures, name, stored) from error
            _note(run, name, "failed", str(error))
            run.observer.note(name, f"{error}; trying again with what is left")
            # Until it is reached again, it stays the board that somebody else measures on.
            is_others = is_others or isinstance(error, BusyLostError)
            remedy = None if is_others else power_cycle(name, device)
            if remedy is not None and cycles < _most(device) and _hangs(error):
                cycles += _power_cycle(name, device, remedy, error, stored, run)
            elif reached and isinstance(error, TransportError):
                # It was there, so it may come back; one that never was is not waited for.
                run.observer.phase(name, "unreachable: waiting for it", device.retry_s)
                _answers(device, device.retry_s, run)


def may_pass(error: DeviceError) -> bool:
    """Whether the same may work if it is tried again."""
    if isinstance(error, TrustError | Interrupted):
        return False
    return isinstance(error, TransportError | DiedError | HangError)


def _hangs(error: DeviceError) -> bool:
    return isinstance(error, TransportError | HangError)


def _most(device: DeviceSettings) -> int:
    return 0 if device.on_hang is None else device.on_hang.times


def _collect_own(board: Contact, stored: Run, run: RunContext) -> None:
    """Collect what the board still has of this run, also what has measured on meanwhile."""
    collector = Collector(run.writer, run.observer, run.cancel)
    for facts in uncollected(stored).get(board.name, ()):
        if not run.cancel.is_set():
            collector.collect(board, facts)


def _stored(run: RunContext) -> Run:
    return open_run(run.writer.path, run.writer.path.parent)


def _left(cases: Sequence[Case], stored: Run, attempt: int) -> list[Case]:
    """Return the cases without a trial since ``attempt`` began, and after them those whose job was
    cut short: one of them may be what the board does not stand."""
    trials = {trial.case: trial for trial in stored.trials if trial.attempt >= attempt}
    untried = [case for case in cases if case not in trials]
    return untried + [case for case in cases if case in trials and _was_cut(trials[case])]


def _was_cut(trial: Trial) -> bool:
    return any(CUT_SHORT & set(verdict.reasons) for verdict in trial.verdicts)


def _finished(stored: Run, name: str, attempt: int) -> int:
    """Return how many of a device's cases are done for good, since ``attempt`` began."""
    return sum(
        trial.case.device == name and trial.attempt >= attempt and not _was_cut(trial)
        for trial in stored.trials
    )


def _next_attempt(
    name: str, device: DeviceSettings, left: Sequence[Case], stored: Run, run: RunContext
) -> RunContext:
    """Return the context of a further attempt, with a number of its own where jobs and trials of
    the one before have that number."""
    begun = any(
        job.facts.device == name and job.facts.attempt == run.attempt for job in stored.jobs
    )
    if not (begun and left):
        return run
    reason = f"{name} failed and was tried again"
    gone_on = resumption(run.command, stored_settings({name: device}), reason)
    number = run.writer.add_resumption(gone_on)
    return replace(run, attempt=number)


def _put_aside(error: DeviceError, failures: int, name: str, stored: Run) -> DeviceError:
    """Return the error of a board that failed too often, with what it still has."""
    if failures == 1:
        return error
    text = f"{error}; put aside after {failures} failures in a row"
    if uncollected(stored).get(name) and "bench attach" not in text:
        text += f"; `bench attach {stored.manifest.run_id}` collects later what the board has"
    return type(error)(text, detail=error.detail)


def _power_cycle(
    name: str,
    device: DeviceSettings,
    remedy: PowerCycle,
    error: DeviceError,
    stored: Run,
    run: RunContext,
) -> int:
    """Switch a board that hangs off and on, and wait until it answers; return how often (0 or 1).

    A board that is merely unreachable is given ``after_s`` first; one on which somebody else
    measures is left alone.
    """
    settings = device.on_hang
    assert settings is not None
    if isinstance(error, TransportError):
        run.observer.phase(name, "unreachable; next it is power-cycled", settings.after_s)
        if _answers(device, settings.after_s, run) or run.cancel.is_set():
            return 0
    elif isinstance(error, HangError) and (
        others := _job_of_others(name, device, error, stored, run)
    ):
        run.observer.note(name, f"not power-cycled: {others} of somebody else measures there")
        return 0
    if run.cancel.is_set():
        return 0
    run.observer.phase(name, "power-cycling")
    began_s = time.monotonic()
    try:
        remedy()
    except PowerCycleError as failure:
        text = str(failure)
    else:
        run.observer.phase(name, "power-cycled, starting", settings.boot_s)
        came = _answers(device, settings.boot_s, run)
        took_s = time.monotonic() - began_s
        after = "it answered" if came else "it did not answer"
        text = f"{remedy.words}; {after} after {took_s:.0f} s"
    _note(run, name, "power-cycled", text)
    run.observer.note(name, text)
    return 1


def _job_of_others(
    name: str, device: DeviceSettings, error: HangError, stored: Run, run: RunContext
) -> str | None:
    """Return which job measures on a board that seems to hang, if the board says so and it is
    neither this run's nor the one that hangs: a board may just be slow for being measured."""
    try:
        with contact(name, device, run.cancel) as board:
            busy = board.client.jobs()["busy"]
    except DeviceError:
        return None
    own = {error.job_id, *(job.facts.job_id for job in stored.jobs)}
    return None if busy is None or busy["job_id"] in own else f"job {busy['job_id']}"


def _answers(device: DeviceSettings, within_s: float, run: RunContext) -> bool:
    """Wait until a board can be logged in to; whether it can in the end."""
    deadline_s = time.monotonic() + within_s
    while not run.cancel.is_set():
        try:
            open_transport(device, run.cancel).close()
            return True
        except TrustError:
            # It is up, whoever it is: that is said when it is connected to.
            return True
        except TransportError:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            run.cancel.wait(min(KNOCK_S, left_s))
    return False


def _note(
    run: RunContext,
    name: str,
    kind: Literal["failed", "power-cycled", "put aside"],
    text: str,
) -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    run.writer.add_incident(Incident(at=at, device=name, kind=kind, text=text))

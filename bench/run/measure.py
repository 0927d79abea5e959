"""What is done on one board in a run: probe, export, deploy, measure, collect, evaluate, store."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.board_runtimes import require_any
from bench.boards import recognise_probed
from bench.boards.spec import Board as BoardSpec
from bench.config.power_settings import PowerSettings
from bench.device.client import Started
from bench.device.follow import LEAST_WAIT_S
from bench.device.job import Deployed, build_job
from bench.errors import (
    BusyLostError,
    HangError,
    LeaseError,
    PowerError,
    StateError,
    TransportError,
    TrustError,
)
from bench.fleet.collect import Collector
from bench.fleet.connection import note_run, place_of
from bench.fleet.contact import Contact
from bench.fleet.metering import metering
from bench.power.choice import asked, choose_power, period_s, sensor_options
from bench.records.case import Case
from bench.records.job import JobEnd, JobFacts
from bench.records.power import MeterFacts, PowerSource
from bench.records.procedure import BoardState
from bench.records.status import Reason, Verdict
from bench.run.context import RunContext
from bench.run.deployment import artifact_of, deploy
from bench.store.files import safe_name

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Board:
    """A device that is ready to measure; ``emulated``, ``power`` and ``without_power`` as in
    :class:`~bench.records.JobFacts`, ``period_s`` between two readings of ``power``."""

    contact: Contact
    emulated: bool
    power: PowerSource | None
    without_power: Verdict
    period_s: float


def measure_board(board: Contact, cases: Sequence[Case], run: RunContext) -> None:
    """Measure cases on a board; each that got far enough to have a trial is stored.

    There is one job per power mode that is asked for, and per model where the plan says so. Jobs
    of earlier runs whose host is gone are collected first.

    Raises:
        LeaseError: somebody else measures on the board, and the run does not wait.
        DeviceError: the board cannot be used, was lost, or lacks the power sensor that was named.
        ConfigError: something asked for cannot be had anywhere (for example torch is missing).
        StoreError: the results folder cannot be written.
    """
    name, device = board.name, board.settings
    run.earlier.collect(board)
    run.observer.phase(name, "probing")
    settings = asked(device.power, run.plan.power)
    options = sensor_options(settings)
    probe = _when_free(board, lambda: board.client.probe(device.root, options), run)
    run.writer.add_probe(name, probe)
    if probe["lock"]["problem"] is not None:
        run.observer.note(name, probe["lock"]["problem"])
    _check_state(name, cases, probe, run)
    known = recognise_probed(probe)
    power, without_power = _power(name, known, settings, probe, run)
    require_any([case.runtime for case in cases], probe, name)
    ready = _Board(board, known.emulated, power, without_power, period_s(settings, power))
    for part in _parts(cases, run.plan.per_model):
        artifacts = [
            (case, artifact)
            for case in part
            if not run.cancel.is_set() and (artifact := artifact_of(case, probe, run)) is not None
        ]
        if run.cancel.is_set():
            return
        if artifacts:
            deployed = deploy(board, artifacts, run)
            _measure_part(ready, deployed, run)


def _parts(cases: Sequence[Case], per_model: bool) -> list[list[Case]]:
    """Return what is exported, sent and measured together."""
    if not per_model:
        return [list(cases)]
    models = dict.fromkeys(case.model for case in cases)
    return [[case for case in cases if case.model == model] for model in models]


def _measure_part(board: _Board, deployed: Sequence[Deployed], run: RunContext) -> None:
    """Measure what has been sent: a job per power mode."""
    for power_mode in dict.fromkeys(item.case.power_mode for item in deployed):
        if not run.cancel.is_set():
            group = [item for item in deployed if item.case.power_mode == power_mode]
            _measure_group(board, power_mode, group, run)


def _when_free(board: Contact, ask: Callable[[], Answer], run: RunContext) -> Answer:
    """Return the answer of a board that may be busy, leaving it alone until it is free.

    Raises:
        LeaseError: the board is busy and the run does not wait, or not any longer (Ctrl-C).
        BusyLostError: it cannot be asked any more since it was seen to be busy.
    """
    busy: LeaseError | None = None
    while True:
        try:
            return ask()
        except (TransportError, HangError) as error:
            if busy is None or isinstance(error, TrustError):
                raise
            raise BusyLostError(
                f"{error}; job {busy.job_id} of somebody else was measuring there",
                detail=error.detail,
            ) from error
        except LeaseError as error:
            busy = error
            if not run.wait or run.cancel.is_set():
                raise
            wait_s = max(error.left_s or 0.0, LEAST_WAIT_S)
            run.observer.phase(board.name, f"waiting for job {error.job_id} to end", wait_s)
            board.transport.quiet(True)
            run.cancel.wait(wait_s)
            board.transport.quiet(False)


def _check_state(
    name: str, cases: Sequence[Case], probe: Mapping[str, Any], run: RunContext
) -> None:
    """Refuse a board that is not as its owner left it, and power modes that it does not have:
    in a sweep the board itself would say so only after hours with the modes before."""
    found = probe["state"]
    if found["problem"] is not None:
        raise StateError(found["problem"])
    if found["restored"] is not None:
        job_id = found["restored"]["job_id"]
        run.observer.note(name, f"job {job_id} had died; the board's state before it is restored")
    modes: Mapping[str, str] = found["power_modes"]
    known = {text.lower() for pair in modes.items() for text in pair}
    for wanted in dict.fromkeys(case.power_mode for case in cases):
        if wanted is not None and wanted.lower() not in known:
            listed = ", ".join(f"{label} (id {number})" for number, label in modes.items())
            raise StateError(f"the board has no power mode {wanted!r}; it has: {listed or 'none'}")


def _measure_group(
    board: _Board, power_mode: str | None, group: Sequence[Deployed], run: RunContext
) -> None:
    """Measure cases of one power mode in one job and store their trials."""
    name, settings = board.contact.name, board.contact.settings
    model = group[0].case.model if run.plan.per_model else None
    job_id = _job_id(run.writer.manifest.run_id, run.attempt, name, power_mode, model)
    with metering(name, settings.meter, job_id, run.writer, run.observer) as meter:
        _measure_job(board, job_id, power_mode, group, meter, run)


def _measure_job(
    board: _Board,
    job_id: str,
    power_mode: str | None,
    group: Sequence[Deployed],
    meter: MeterFacts | None,
    run: RunContext,
) -> None:
    name, settings = board.contact.name, board.contact.settings
    facts = JobFacts(
        device=name,
        job_id=job_id,
        power=board.power,
        without_power=board.without_power,
        artifacts={item.case.key: item.artifact.facts for item in group},
        emulated=board.emulated,
        labelled={
            item.case.key: run.labelled.facts
            for item in group
            if item.labelled and run.labelled is not None
        },
        state=BoardState(power_mode=power_mode, clocks=run.plan.clocks, governor=run.plan.governor),
        attempt=run.attempt,
        meter=meter,
        place=place_of(board.contact.transport),
    )
    note_run(board.contact.transport, run.writer.path)
    run.writer.save_job(facts)
    job = build_job(
        facts.job_id,
        settings.root,
        run.plan.procedure,
        group,
        board.power,
        board.period_s,
        facts.state,
        run_id=run.writer.manifest.run_id,
        owner=f"{getpass.getuser()}@{socket.gethostname()}",
        meter=meter,
    )
    started = _start(board.contact, facts, job, run)
    collector = Collector(run.writer, run.observer, run.cancel)
    collector.require_own_end(collector.collect(board.contact, facts, started))


def _job_id(
    run_id: str, attempt: int, device: str, power_mode: str | None, model: str | None
) -> str:
    """Return a name that no other job has: neither of this run nor of another one."""
    # The dot keeps them apart whatever devices are called: the run's id is followed by a dash.
    again = f".r{attempt}" if attempt else ""
    where = device if power_mode is None else f"{device}@{power_mode}"
    where += "" if model is None else f"+{model}"
    return safe_name(f"{run_id}{again}-{where}")


def _start(board: Contact, facts: JobFacts, job: dict[str, Any], run: RunContext) -> Started:
    """Start a job; one that the board refuses is recorded as never started."""
    try:
        return _when_free(board, lambda: board.client.start(facts.job_id, job), run)
    except (LeaseError, StateError) as error:
        end = JobEnd(state="lost", text=f"the job was not started: {error}")
        run.writer.save_job(facts.model_copy(update={"end": end}))
        raise


def _power(
    name: str, board: BoardSpec, settings: PowerSettings, probe: Mapping[str, Any], run: RunContext
) -> tuple[PowerSource | None, Verdict]:
    """Choose where energy comes from, and tell.

    Raises:
        PowerError: a sensor or rails that were named are not there or cannot be used: whoever
            names them does not want hours of a run without them.
    """
    power, verdict = choose_power(board, probe["sensors"], settings, estimates=run.plan.estimates)
    if Reason.NO_SENSOR in verdict.reasons and settings.is_named:
        raise PowerError(
            f"no energy by what was named: {verdict.detail}; correct power.sensor or power.total "
            "in devices.yaml, or name another sensor (`--power auto`: the best there is, `--power "
            "none`: no energy)"
        )
    told = [verdict.detail] if power is None else [power.note, _chosen(power)]
    for text in filter(None, told):
        run.observer.note(name, text)
    return power, verdict


def _chosen(power: PowerSource) -> str:
    return f"energy from {power.sensor}: {power.why}"

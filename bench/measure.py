"""One device's part in a run: probe, export, deploy, measure, collect, evaluate, store."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.analysis.validity import blank_trial
from bench.boards import recognise
from bench.config import LocalDevice, SshDevice
from bench.connection import interpreter, open_transport
from bench.device.client import AgentClient
from bench.device.deploy import push_agent, push_artifacts
from bench.device.follow import follow
from bench.device.job import Deployed, build_job
from bench.device.transport import Transport
from bench.errors import AgentError, ExportError, StateError, UnsupportedCase
from bench.evaluation import store_trials, trial_id
from bench.export.cases import export_case
from bench.export.onnx_files import import_onnx
from bench.plan import Plan, refusal
from bench.power import choose_power, sensor_options
from bench.recordings import Artifact
from bench.records import BoardState, Case, JobFacts, PowerSource, Trial
from bench.runtimes import RUNTIMES, graph_limits
from bench.status import Reason, Status, Verdict
from bench.store.files import safe_name
from bench.store.writer import RunWriter

DeviceSettings = LocalDevice | SshDevice


class Observer(Protocol):
    """Who wants to know how a run goes on. Called from several threads."""

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        """A device has begun something that is expected to take ``expected_s``."""

    def note(self, device: str, text: str) -> None:
        """Something a person should know."""

    def trial(self, trial: Trial) -> None:
        """A trial has been stored."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all devices of a run share. ``cancel`` asks them to stop after the round they are in."""

    plan: Plan
    cache: Path
    writer: RunWriter
    observer: Observer
    cancel: threading.Event


@dataclass(frozen=True, slots=True)
class _Journal:
    """What came back from a job; ``log`` says why the agent ``died``, if it did."""

    data: bytes
    died: bool
    log: str


def open_agent(device: DeviceSettings, transport: Transport) -> AgentClient:
    """Put the agent on a connected board, unless it is there, and return its client."""
    agent = push_agent(transport, device.work_dir)
    return AgentClient(transport, interpreter(device), agent, device.work_dir)


def measure_device(
    name: str, device: DeviceSettings, cases: Sequence[Case], run: RunContext
) -> None:
    """Measure a device's cases; each that got far enough to have a trial is stored.

    There is one job per power mode that is asked for.

    Raises:
        DeviceError: the board cannot be reached or used, or was lost.
        ConfigError: something asked for cannot be had anywhere (for example torch is missing).
        StoreError: the results folder cannot be written.
    """
    run.observer.phase(name, "connecting")
    transport = open_transport(device)
    try:
        client = open_agent(device, transport)
        run.observer.phase(name, "probing")
        probe = client.probe(device.root, sensor_options(device.power))
        run.writer.add_probe(name, probe)
        _check_state(name, cases, probe, run)
        artifacts = [
            (case, artifact)
            for case in cases
            if not run.cancel.is_set() and (artifact := _artifact(case, probe, run)) is not None
        ]
        if not artifacts or run.cancel.is_set():
            return
        run.observer.phase(name, "sending")
        deployed = _deploy(transport, device.work_dir, artifacts, name, run)
        power, verdict = _power(name, device, probe, run)
        board = _Board(name, device, transport, client, power, verdict)
        for power_mode in dict.fromkeys(item.case.power_mode for item in deployed):
            if not run.cancel.is_set():
                group = [item for item in deployed if item.case.power_mode == power_mode]
                _measure_group(board, power_mode, group, run)
    finally:
        transport.close()


@dataclass(frozen=True, slots=True)
class _Board:
    """A connected device that is ready to measure; ``power`` and ``without_power`` as in
    :class:`~bench.records.JobFacts`."""

    name: str
    settings: DeviceSettings
    transport: Transport
    client: AgentClient
    power: PowerSource | None
    without_power: Verdict


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
    where = board.name if power_mode is None else f"{board.name}@{power_mode}"
    facts = JobFacts(
        device=board.name,
        job_id=safe_name(f"{run.writer.manifest.run_id}-{where}"),
        power=board.power,
        without_power=board.without_power,
        artifacts={item.case.key: item.artifact.facts for item in group},
        state=BoardState(power_mode=power_mode, clocks=run.plan.clocks, governor=run.plan.governor),
    )
    run.writer.save_job(facts)
    job = build_job(
        facts.job_id,
        board.settings.root,
        run.plan.procedure,
        group,
        board.power,
        board.settings.power.period_s,
        facts.state,
    )
    journal = _run_job(board, job, run)
    run.writer.save_journal(facts.job_id, journal.data)
    for trial in store_trials(run.writer, facts, journal.data, [item.case for item in group]):
        run.observer.trial(trial)
    if facts.state != BoardState():
        # Nothing is left to do unless the job died or could not put everything back.
        board.client.restore()
    if journal.died:
        raise AgentError("the agent died before its job was done", detail=journal.log)


def _artifact(case: Case, probe: Mapping[str, Any], run: RunContext) -> Artifact | None:
    """Export a case; one that cannot be is stored as skipped or failed, and ``None``."""
    runtime = _runtime(case.runtime, probe)
    run.observer.phase(case.device, f"exporting {case.label}")
    try:
        artifact = _export(case, runtime["version"], run)
    except UnsupportedCase as error:
        verdict = Verdict(status=Status.SKIPPED, reasons=(Reason.UNSUPPORTED,), detail=str(error))
    except ExportError as error:
        verdict = Verdict(status=Status.FAILED, reasons=(Reason.EXPORT,), detail=str(error))
    else:
        return artifact
    run.observer.note(case.device, f"{case.label}: {verdict.status}: {verdict.detail}")
    manifest = run.writer.manifest
    trial = blank_trial(case, verdict, run_id=manifest.run_id, trial_id=trial_id(case, manifest))
    run.writer.append(trial, None)
    run.observer.trial(trial)
    return None


def _runtime(name: str, probe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the probe's facts of a runtime, made sure that it and numpy can be imported."""
    python = probe["python"]["executable"]
    for package, facts in (("numpy", probe["numpy"]), (name, probe["runtimes"].get(name))):
        if facts is None:
            raise AgentError(
                f"{python} has no {package}; on the board: "
                f"{python} -m pip install {RUNTIMES[name].packages}"
            )
        if facts["problem"]:
            raise AgentError(f"{package} is broken for {python}: {facts['problem']}")
    found: Mapping[str, Any] = probe["runtimes"][name]
    return found


def _export(case: Case, version: str, run: RunContext) -> Artifact:
    plan = run.plan
    reason = refusal(plan, case)
    if reason is not None:
        raise UnsupportedCase(reason)
    limits = graph_limits(version)
    file = plan.files.get(case.model)
    if file is not None:
        batch = case.batch if plan.batches else None
        return import_onnx(file, batch, plan.shapes, limits, run.cache)
    return export_case(case.model, case.scheme, case.weights, case.batch, limits, run.cache)


def _deploy(
    transport: Transport,
    work_dir: str,
    artifacts: Sequence[tuple[Case, Artifact]],
    name: str,
    run: RunContext,
) -> list[Deployed]:
    pushed = push_artifacts(transport, work_dir, [artifact for _, artifact in artifacts])
    exported = sum(artifact.fresh for _, artifact in artifacts)
    run.observer.note(
        name, f"{exported} of {len(artifacts)} artifacts exported, {pushed.sent} files sent"
    )
    return [Deployed(case, artifact, *pushed.of(artifact)) for case, artifact in artifacts]


def _power(
    name: str, device: DeviceSettings, probe: Mapping[str, Any], run: RunContext
) -> tuple[PowerSource | None, Verdict]:
    board = recognise(probe["board"]["compatible"])
    power, verdict = choose_power(
        board, probe["sensors"], device.power, estimates=run.plan.estimates
    )
    for text in (verdict.detail, "" if power is None else power.note):
        if text:
            run.observer.note(name, text)
    return power, verdict


def _run_job(board: _Board, job: dict[str, Any], run: RunContext) -> _Journal:
    """Start the job, leave the board alone until it is done, and return its journal."""
    job_id, client = job["job_id"], board.client
    started = client.start(job_id, job)

    def expect(remaining_s: float) -> None:
        run.observer.phase(board.name, "measuring, link silent", remaining_s)

    expect(started.expected_s)
    ended = follow(client, board.transport, job_id, started, run.cancel, expect)
    run.observer.phase(board.name, "collecting")
    died = ended == "dead"
    return _Journal(client.journal(job_id), died, client.log_tail(job_id) if died else "")

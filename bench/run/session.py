"""One ``bench run``, in order: plan → run on disk → every device in its own thread → outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from bench.config.device_settings import DeviceSettings, stored_settings
from bench.errors import StoreError
from bench.export.cases import require_exporter
from bench.export.labelled import LabelledSet, labelled_set
from bench.fleet.attach import attach, held, settings_of
from bench.fleet.observer import Observer
from bench.fleet.outcome import Outcome, closing
from bench.plan import calibrations
from bench.plan.checks import require_power, require_runnable
from bench.plan.own_models import look_into, require_known_inputs
from bench.plan.plan import Plan, expand
from bench.plan.stored import plan_facts, plan_of, require_same_functions
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.power import PowerCalibration
from bench.run.all_devices import measure_all
from bench.run.pools import Shares, shared_out
from bench.run.provenance import git_revision, plugins, resumption, versions
from bench.run.uploads import DEFAULT_UPLOADS
from bench.store.reader import Run
from bench.store.writer import RunWriter, new_run_id


def run(
    plan: Plan,
    devices: Mapping[str, DeviceSettings],
    *,
    results_dir: Path,
    cache: Path,
    command: Sequence[str],
    observer: Observer,
    wait: bool = False,
    spread: bool = False,
    uploads: int = DEFAULT_UPLOADS,
) -> Outcome:
    """Measure a plan on devices and store every trial as soon as it is known.

    ``wait``: wait for boards on which somebody else measures. ``spread``: boards of one kind share
    the cases out. ``uploads``: so many boards are sent files at the same time. A device that
    cannot be used does not stop the others. Ctrl-C asks the devices to stop; what they have
    measured by then is collected and kept, and the run is marked as interrupted.

    Raises:
        ConfigError: no case can run, an ONNX file is damaged or its shapes are not settled (found
            out before any device is contacted), or a model needs torch, which is missing.
        StoreError: the results folder cannot be written.
    """
    labelled = _labelled(plan, cache)
    _require_exporter(plan)
    require_known_inputs(plan)
    plan, functions = look_into(plan, cache, observer)
    require_power(plan, {name: device.power for name, device in devices.items()})
    cases = {name: expand(plan, name, device.threads) for name, device in devices.items()}
    with ExitStack() as until_the_end:
        shares = Shares(devices, cases)
        if spread:
            shares = shared_out(devices, cases, observer, until_the_end)
            _tell_shares(shares, observer)
        every = [case for of_device in shares.cases.values() for case in of_device]
        require_runnable(plan, every)
        calibrations.require_use(plan, every)
        calibration = calibrations.prepare(plan, every, cache)
        now = datetime.now(UTC)
        manifest = Manifest(
            run_id=new_run_id(tuple(devices), now),
            started_at=now.isoformat(timespec="seconds"),
            command=tuple(command),
            git_revision=git_revision(),
            versions=versions(),
            plugins=plugins(),
            procedure=plan.procedure,
            devices=stored_settings(shares.devices),
            cases=tuple(every),
            pools=shares.pools,
            plan=plan_facts(plan, functions, calibration),
        )
        writer = RunWriter.create(results_dir, manifest)
        return measure_all(
            shares,
            plan,
            writer,
            observer,
            cache=cache,
            labelled=labelled,
            calibration=calibration,
            command=command,
            wait=wait,
            uploads=uploads,
        )


def resume(
    run: Run,
    devices: dict[str, DeviceSettings],
    *,
    cache: Path,
    command: Sequence[str],
    observer: Observer,
    wait: bool = False,
    uploads: int = DEFAULT_UPLOADS,
) -> Outcome:
    """Measure what a run lacks: its cases that have no trial, or a failed or interrupted one.

    What boards still have of it is collected first; a board that cannot be asked is not measured
    either. ``devices`` is how boards are reached now.

    Raises:
        ConfigError: a board or an ONNX file is not there any more, or the file has changed.
        StoreError: another process is at work on the run, its folder cannot be written, or its
            manifest is damaged.
    """
    plan = plan_of(run)
    _require_exporter(plan)
    plan, functions = look_into(plan, cache, observer)
    require_same_functions(run.manifest.plan, functions)
    labelled = _labelled(plan, cache)
    calibration = calibrations.prepare(plan, run.unfinished, cache)
    calibrations.require_same(run.manifest.plan.calibration, calibration)
    names = dict.fromkeys(case.device for case in run.unfinished)
    wanted = {
        name: _as_then(run, name, settings_of(devices, name, run), observer) for name in names
    }
    require_power(plan, {name: device.power for name, device in wanted.items()})
    collected = attach(run, devices, observer)
    run = collected.run
    withheld = {job.facts.device for job in run.to_collect}
    cases: dict[str, list[Case]] = {}
    for case in run.unfinished:
        if case.device not in withheld:
            cases.setdefault(case.device, []).append(case)
    if collected.interrupted or not cases:
        return collected
    chosen = {name: wanted[name] for name in cases}
    writer = held(run)
    with closing(writer, {}):
        gone_on = resumption(command, stored_settings(chosen))
        outcome = measure_all(
            Shares(chosen, cases),
            plan,
            writer,
            observer,
            cache=cache,
            labelled=labelled,
            calibration=calibration,
            command=command,
            wait=wait,
            uploads=uploads,
            attempt=writer.add_resumption(gone_on),
        )
    missed = {name: error for name, error in collected.device_errors.items() if name in withheld}
    return replace(outcome, device_errors={**missed, **outcome.device_errors})


def _as_then(run: Run, name: str, settings: DeviceSettings, observer: Observer) -> DeviceSettings:
    """Return how a board is reached now, with the calibration of its sensor that a run began with.

    Raises:
        StoreError: what the manifest has there is none.
    """
    stored = (run.manifest.devices.get(name, {}).get("power") or {}).get("calibration")
    try:
        then = None if stored is None else PowerCalibration.model_validate(stored)
    except ValidationError:
        raise StoreError(
            f"{run.manifest.run_id}: the manifest's calibration of {name} is damaged; start a new "
            "run"
        ) from None
    if then == settings.power.calibration:
        return settings
    began = "none" if then is None else f"that of {then.run}"
    observer.note(name, f"the run keeps the calibration of its sensor that it began with: {began}")
    power = settings.power.model_copy(update={"calibration": then})
    return settings.model_copy(update={"power": power})


def _tell_shares(shares: Shares, observer: Observer) -> None:
    """Say who measures what; it is no error when there is nothing to share out."""
    for pool in shares.pools:
        counts = ", ".join(f"{name} {len(shares.cases[name])}" for name in pool.devices)
        observer.note("", f"cases shared out among boards of {pool.kind}: {counts}")
        observer.note("", f"each of them measures {pool.shared}, which shows how they differ")
    pooled = {name for pool in shares.pools for name in pool.devices}
    for name in shares.cases:
        if name not in pooled:
            observer.note(name, "no other board is of its kind: it measures every case")


def _labelled(plan: Plan, cache: Path) -> LabelledSet | None:
    if plan.accuracy is None:
        return None
    return labelled_set(plan.accuracy, plan.accuracy_images, cache)


def _require_exporter(plan: Plan) -> None:
    """Refuse models that torch builds where it is not installed, before a board waits."""
    if set(plan.models) - set(plan.files):
        require_exporter()

"""``bench attach``: the jobs of a run whose host was lost, or whose link was, are collected, and
labgrid places that it left behind returned."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.config.device_settings import DeviceSettings, LabgridDevice
from bench.config.devices_file import find_device
from bench.device.labgrid.left_behind import return_left_behind
from bench.device.labgrid.notes import all_notes
from bench.errors import ConfigError, PlaceError, StoreError
from bench.fleet.collect import Collector
from bench.fleet.contact import contact
from bench.fleet.evaluation import evaluate_job
from bench.fleet.observer import Observer, telling_the_end
from bench.fleet.outcome import Outcome, closing, conclude
from bench.fleet.parallel import on_devices
from bench.records.job import JobFacts
from bench.store.jobs import Job
from bench.store.listing import list_runs
from bench.store.reader import Run, open_run
from bench.store.reopen import reopen
from bench.store.writer import RunWriter


def run_to_attach(results_dir: Path) -> str | None:
    """Return the id of the newest run that has something to collect and that nobody is at work
    on, ``None`` when there is none."""
    waiting = [run.run_id for run in list_runs(results_dir) if run.to_collect and not run.running]
    return waiting[-1] if waiting else None


def attach(run: Run, devices: dict[str, DeviceSettings], observer: Observer) -> Outcome:
    """Collect all jobs of a run that boards still have, waiting for those that run.

    ``devices`` is how boards are reached now. Ctrl-C asks the boards to stop, as in a run.

    Raises:
        ConfigError: a board that has a job is not among ``devices``.
        StoreError: another process is at work on the run, or its folder cannot be written.
    """
    writer = held(run)
    cancel = threading.Event()
    jobs = uncollected(run)
    with closing(writer, jobs):
        for job in run.jobs:
            _evaluate(writer, job, observer)
        tried = {name: settings_of(devices, name, run) for name in jobs}

        def collect(name: str) -> None:
            with telling_the_end(observer, name):
                _collect(name, tried[name], jobs[name], Collector(writer, observer, cancel))

        failures = on_devices(tried, collect, cancel, observer)
        return conclude(writer, jobs, failures, interrupted=cancel.is_set())


def return_places(tell: Callable[[str], None]) -> None:
    """Return the labgrid places that benches of this login which are gone left behind, except where
    a run still has jobs to collect; each is told of."""
    try:
        notes = list(all_notes())
    except PlaceError:
        # Where no note can be written no place was taken.
        return
    for note in notes:
        return_left_behind(note, partial(_is_to_collect, note.place), tell)


def _is_to_collect(place: str, folder: Path) -> bool:
    try:
        return any(job.facts.place == place for job in open_run(folder, folder.parent).to_collect)
    except StoreError:
        # One that cannot be read now may be read later; one that was removed waits for nothing.
        return folder.exists()


def _evaluate(writer: RunWriter, job: Job, observer: Observer) -> None:
    """Store the trials of a journal that is here; one that is too new is no reason to leave the
    others on their boards."""
    try:
        for trial in evaluate_job(writer, job):
            observer.trial(trial)
    except StoreError as error:
        if isinstance(error.__cause__, OSError):
            raise
        observer.note(job.facts.device, str(error))


def held(run: Run) -> RunWriter:
    """Hold a run's folder.

    Raises:
        StoreError: another process is at work on it, or it cannot be written to.
    """
    try:
        return reopen(run.path)
    except BlockingIOError:
        raise StoreError(
            f"another process is at work on {run.manifest.run_id}; it collects everything itself"
        ) from None
    except OSError as error:
        raise StoreError(f"cannot write to {run.path}: {error.strerror}") from error


def uncollected(run: Run) -> dict[str, list[JobFacts]]:
    """Return by device the jobs to be asked for; those that a board did not know may be on it
    after all."""
    found: dict[str, list[JobFacts]] = {}
    for job in run.jobs:
        if job.facts.end is None or job.facts.end.state == "lost":
            found.setdefault(job.facts.device, []).append(job.facts)
    return found


def settings_of(devices: dict[str, DeviceSettings], name: str, run: Run) -> DeviceSettings:
    """Return how a board of a stored run is reached now: what is any place of a labgrid coordinator
    is the one that the run was given.

    Raises:
        ConfigError: it is not among ``devices`` any more.
    """
    try:
        device = find_device(devices, name)
    except ConfigError as error:
        raise ConfigError(f"{run.manifest.run_id} was measured on {name!r}: {error}") from None
    if not isinstance(device, LabgridDevice) or device.place is not None:
        return device
    places = [job.facts.place for job in run.jobs if job.facts.device == name]
    # Where cases were shared out, a board has its place before its first job.
    places.append(run.manifest.devices.get(name, {}).get("place"))
    place = next((place for place in places if isinstance(place, str)), None)
    return device if place is None else device.at(place)


def _collect(name: str, device: DeviceSettings, jobs: list[JobFacts], collector: Collector) -> None:
    collector.observer.phase(name, "connecting")
    tell = partial(collector.observer.note, name)
    with contact(name, device, collector.cancel, tell) as board:
        collected = [
            collector.collect(board, facts) for facts in jobs if not collector.cancel.is_set()
        ]
    for item in collected:
        collector.require_own_end(item)

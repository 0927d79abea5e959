"""One ``bench run``, in order: plan → run on disk → every device in its own thread → outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.connection import open_transport
from bench.errors import DeviceError, ExportError, UnsupportedCase
from bench.export.cases import require_exporter
from bench.export.onnx_files import import_onnx
from bench.measure import DeviceSettings, Observer, RunContext, measure_device, open_agent
from bench.plan import Plan, expand, require_runnable
from bench.power import sensor_options
from bench.provenance import git_revision, versions
from bench.recordings import Artifact
from bench.records import Manifest
from bench.runtimes import ANY_RUNTIME
from bench.store.reader import Run, open_run
from bench.store.writer import RunWriter, new_run_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: everything stored, and the devices that could not be used."""

    run: Run
    device_errors: Mapping[str, DeviceError]


def probe_device(device: DeviceSettings) -> dict[str, Any]:
    """Connect to a device, put the agent there and return the board's facts.

    Raises:
        DeviceError: it cannot be reached, or the agent cannot run there.
    """
    transport = open_transport(device)
    try:
        return open_agent(device, transport).probe(device.root, sensor_options(device.power))
    finally:
        transport.close()


def restore_device(device: DeviceSettings) -> dict[str, Any] | None:
    """Connect to a device and put back its state if a job left a changed one behind.

    Returns what the board is like now, ``None`` when there was nothing to put back.

    Raises:
        LeaseError: the job that changed it is still running.
        StateError: it cannot be put back.
        DeviceError: it cannot be reached, or the agent cannot run there.
    """
    transport = open_transport(device)
    try:
        return open_agent(device, transport).restore()
    finally:
        transport.close()


def run(
    plan: Plan,
    devices: Mapping[str, DeviceSettings],
    *,
    results_dir: Path,
    cache: Path,
    command: Sequence[str],
    observer: Observer,
) -> Outcome:
    """Measure a plan on devices and store every trial as soon as it is known.

    A device that cannot be used does not stop the others. Ctrl-C asks the devices to stop; what
    they have measured by then is collected and kept, and the run is marked as interrupted.

    Raises:
        ConfigError: no case can run, an ONNX file is damaged or its shapes are not settled (found
            out before any device is contacted), or a model needs torch, which is missing.
        StoreError: the results folder cannot be written.
    """
    plan = _with_files(plan, cache, observer)
    cases = {name: expand(plan, name, device.threads) for name, device in devices.items()}
    require_runnable(plan, [case for of_device in cases.values() for case in of_device])
    now = datetime.now(UTC)
    manifest = Manifest(
        run_id=new_run_id(tuple(devices), now),
        started_at=now.isoformat(timespec="seconds"),
        command=tuple(command),
        git_revision=git_revision(),
        versions=versions(),
        procedure=plan.procedure,
        devices={name: device.model_dump(mode="json") for name, device in devices.items()},
        cases=tuple(case for of_device in cases.values() for case in of_device),
    )
    writer = RunWriter.create(results_dir, manifest)
    context = RunContext(plan, cache, writer, observer, threading.Event())
    failures: dict[str, Exception] = {}
    try:
        # This machine is measured alone: work for other devices would disturb it.
        local = [name for name, device in devices.items() if device.transport == "local"]
        for group in ([name for name in devices if name not in local], *([one] for one in local)):
            tasks = {
                name: partial(measure_device, name, devices[name], cases[name], context)
                for name in group
            }
            if not context.cancel.is_set():
                failures.update(_in_parallel(tasks, context))
    finally:
        errors = {name: error for name, error in failures.items() if isinstance(error, DeviceError)}
        writer.update(
            device_errors={name: str(error) for name, error in errors.items()},
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            interrupted=context.cancel.is_set(),
        )
        writer.close()
    for name, error in failures.items():
        if name not in errors:
            raise error
    return Outcome(open_run(writer.path, results_dir), errors)


def _with_files(plan: Plan, cache: Path, observer: Observer) -> Plan:
    """Take in the user's own ONNX files, so that a bad one is refused before a board waits.

    The same goes for built-in models when what builds them is not installed.

    Returns the plan with the batch that each file's inputs turned out to have.
    """
    if set(plan.models) - set(plan.files):
        require_exporter()
    batches = {}
    for name, file in plan.files.items():
        for batch in plan.batches or (None,):
            observer.note(name, "checking the file and computing its reference outputs")
            # What a board cannot do is that board's affair, and is found out there.
            with suppress(UnsupportedCase, ExportError):
                taken = partial(import_onnx, file, batch, plan.shapes, ANY_RUNTIME, cache)
                batches[name] = _interruptibly(taken).batch
    return replace(plan, file_batches=batches)


def _interruptibly(work: Callable[[], Artifact]) -> Artifact:
    """Do some work that may be deep in an engine's code, where Ctrl-C would not be heard."""
    done: Future[Artifact] = Future()

    def do() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # handed to whoever waits
            done.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return done.result()


def _in_parallel(
    tasks: Mapping[str, Callable[[], None]], context: RunContext
) -> dict[str, Exception]:
    """Run tasks in threads of their own and return the errors of those that failed.

    The first Ctrl-C asks them to stop after their current round and waits for that; the second
    one leaves at once (the threads are daemons, and the boards go on by themselves).
    """
    failures: dict[str, Exception] = {}
    # Not Thread.join: interrupted once, it takes the thread for ended.
    ended = {name: threading.Event() for name in tasks}

    def attempt(name: str, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # every kind is handed to the caller, none is dropped
            failures[name] = error
        finally:
            ended[name].set()

    for name, task in tasks.items():
        threading.Thread(target=attempt, args=(name, task), daemon=True).start()
    try:
        for event in ended.values():
            event.wait()
    except KeyboardInterrupt:
        context.cancel.set()
        context.observer.note("", "stopping after the current round; press Ctrl-C again to leave")
        for event in ended.values():
            event.wait()
    return failures

"""What ``bench status`` tells: the jobs on boards, and what the results folder knows of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config.device_settings import DeviceSettings
from bench.errors import DeviceError
from bench.fleet.observer import Observer
from bench.fleet.parallel import on_devices
from bench.fleet.upkeep import device_jobs
from bench.store.files import is_safe_name
from bench.store.hold import is_held
from bench.store.jobs import job_path


@dataclass(frozen=True, slots=True)
class BoardJob:
    """A job on a board. ``state``: ``running``, ``finished``, ``dead`` or ``new``.

    ``known``: its run is in the results folder; ``attended``: a process here is at work on that
    run. ``left_s``: expected, ``None`` when it cannot be told. ``owner``: user@host. A job of
    another user of the board (``foreign``) can be seen only while it runs.
    """

    device: str
    job_id: str
    run_id: str
    owner: str
    state: str
    collected: bool
    known: bool
    attended: bool
    foreign: bool
    since_wall_s: float
    left_s: float | None

    @property
    def is_orphan(self) -> bool:
        """Whether nobody will come for it: it is ours to collect, but of no run here."""
        return not (self.known or self.collected or self.foreign or self.state == "new")


@dataclass(frozen=True, slots=True)
class Survey:
    """The jobs on the boards that answered, and why the others did not."""

    jobs: tuple[BoardJob, ...]
    errors: Mapping[str, DeviceError]


def survey(devices: Mapping[str, DeviceSettings], results_dir: Path, observer: Observer) -> Survey:
    """Ask all devices at once for their jobs. On a board that measures, this costs a moment."""
    answers: dict[str, dict[str, Any]] = {}

    def ask(name: str) -> None:
        answers[name] = device_jobs(name, devices[name])

    failures = on_devices(devices, ask, threading.Event(), observer)
    errors = {name: error for name, error in failures.items() if isinstance(error, DeviceError)}
    for name, failure in failures.items():
        if name not in errors:
            raise failure
    jobs = (
        job
        for name in devices
        if name in answers
        for job in _jobs(name, answers[name], results_dir)
    )
    return Survey(tuple(jobs), errors)


def _jobs(device: str, answer: Mapping[str, Any], results_dir: Path) -> Iterator[BoardJob]:
    for entry in answer["jobs"]:
        run_id, job_id = str(entry["run_id"] or ""), str(entry["job_id"])
        # The id comes from the board, so it may be anything.
        folder = results_dir / run_id if is_safe_name(run_id) else None
        yield BoardJob(
            device=device,
            job_id=job_id,
            run_id=run_id,
            owner=str(entry["owner"] or ""),
            state=str(entry["state"]),
            collected=bool(entry["collected"]),
            known=folder is not None and job_path(folder, job_id).is_file(),
            attended=folder is not None and is_held(folder),
            foreign=False,
            since_wall_s=float(entry["created_wall_s"]),
            left_s=entry["remaining_s"],
        )
    busy = answer["busy"]
    if busy is not None and busy["job_id"] not in {entry["job_id"] for entry in answer["jobs"]}:
        yield BoardJob(
            device=device,
            job_id=str(busy["job_id"]),
            run_id="",
            owner=str(busy["owner"] or busy["user"]),
            state="running",
            collected=False,
            known=False,
            attended=False,
            foreign=True,
            since_wall_s=float(busy["since_wall_s"]),
            left_s=busy["left_s"],
        )

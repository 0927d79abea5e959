"""Reading runs, also those that were cut short.

Whoever only lists runs has no use for numpy and pyarrow: they are imported with the raw samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import StoreError, suggest
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.trial import Trial
from bench.store.documents import first_line, parse_document, require_safe_name
from bench.store.files import MANIFEST_FILE, TRIALS_FILE, explained, require_confined
from bench.store.folders import is_run, run_names
from bench.store.jobs import Job, read_jobs
from bench.store.probes import read_probes

if TYPE_CHECKING:
    from bench.store import raw


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it lies on the disk.

    ``trials``: those that count, one per case; ``superseded``: earlier ones of the same cases,
    from before the run was resumed. ``problems``: what could not be read, in words. ``jobs``: what
    boards were asked to do, oldest attempt first. Raw samples are read when asked for.
    """

    path: Path
    manifest: Manifest
    trials: tuple[Trial, ...]
    problems: tuple[str, ...]
    superseded: tuple[Trial, ...] = ()
    jobs: tuple[Job, ...] = ()

    @property
    def missing(self) -> tuple[Case, ...]:
        """Cases of the manifest that have no trial (the run was cut before them)."""
        done = {trial.case for trial in self.trials}
        return tuple(case for case in self.manifest.cases if case not in done)

    @property
    def unfinished(self) -> tuple[Case, ...]:
        """Cases of the manifest without a trial, or with one that failed or was interrupted."""
        done = {trial.case for trial in self.trials if not (trial.failed or trial.interrupted)}
        return tuple(case for case in self.manifest.cases if case not in done)

    @property
    def to_collect(self) -> tuple[Job, ...]:
        """Jobs of which a board may still have something that is not here.

        Raises:
            StoreError: a journal cannot be read.
        """
        return tuple(job for job in self.jobs if not job.is_settled)

    def latency(self, trial_id: str) -> raw.LatencySamples | None:
        """Return every inference of a trial, ``None`` when it has none.

        Raises:
            StoreError: the file cannot be read.
        """
        from bench.store import raw

        return raw.decode_latency(raw.latency_path(self.path, trial_id))

    def power(self, trial_id: str) -> tuple[raw.PowerSegment, ...]:
        """Return the power traces of a trial in order of time; none when nothing was sampled.

        Raises:
            StoreError: the file cannot be read.
        """
        from bench.store import raw

        return raw.decode_power(raw.power_path(self.path, trial_id))

    def meter(self, trial_id: str) -> tuple[raw.PowerSegment, ...]:
        """Return the readings of an external meter in order of time; none when there was none.

        Raises:
            StoreError: the file cannot be read.
        """
        from bench.store import raw

        return raw.decode_power(raw.meter_path(self.path, trial_id))


def open_run(path_or_id: str | Path, results_dir: Path) -> Run:
    """Open a run by its folder, or by its id below ``results_dir`` or a beginning of it that no
    other run has.

    A torn last line of ``trials.jsonl`` (a crash while it was written) and damaged lines are left
    out and listed in ``problems``.

    Raises:
        StoreError: there is no such run, its manifest cannot be read, it was written by a newer
            version of this program, or a link in its folder leads out of it.
    """
    path = find_run(path_or_id, results_dir)
    require_confined(path)
    manifest_file = path / MANIFEST_FILE
    with explained("read", manifest_file):
        text = manifest_file.read_bytes()
    try:
        manifest = parse_document(Manifest, text, manifest_file)
        require_safe_name(manifest.run_id, "run_id")
    except ValueError as error:
        raise StoreError(
            f"{manifest_file} is damaged: {first_line(error)}; restore it from a copy, or move the "
            "folder away"
        ) from error
    found, problems = _read_trials(path / TRIALS_FILE)
    newest: dict[Case, Trial] = {}
    for trial in found:
        if trial.attempt >= newest.setdefault(trial.case, trial).attempt:
            newest[trial.case] = trial
    those = {id(trial) for trial in newest.values()}
    counting = tuple(trial for trial in found if id(trial) in those)
    superseded = tuple(trial for trial in found if id(trial) not in those)
    jobs, unreadable = read_jobs(path)
    probes, untold = read_probes(path)
    manifest = manifest.model_copy(update={"probes": {**manifest.probes, **probes}})
    told = (*problems, *unreadable, *untold)
    return Run(path, manifest, counting, told, superseded, tuple(jobs))


def find_run(path_or_id: str | Path, results_dir: Path) -> Path:
    """Return the folder of a run by the names that :func:`open_run` takes.

    Raises:
        StoreError: there is no such run.
    """
    for path in (results_dir / path_or_id, Path(path_or_id)):
        if is_run(path):
            return path
    if not results_dir.is_dir():
        raise StoreError(f"no run {path_or_id}: there is no results folder {results_dir}")
    names = run_names(results_dir)
    begun = [name for name in names if name.startswith(str(path_or_id))]
    if len(begun) == 1:
        return results_dir / begun[0]
    raise StoreError(f"no run {path_or_id} in {results_dir}; {suggest(str(path_or_id), names)}")


def _read_trials(path: Path) -> tuple[list[Trial], list[str]]:
    if not path.exists():
        return [], []
    with explained("read", path):
        lines = path.read_bytes().split(b"\n")
    trials, problems = [], []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            trial = parse_document(Trial, line, path)
            require_safe_name(trial.trial_id, "trial_id")
            require_safe_name(trial.run_id, "run_id")
            trials.append(trial)
        except ValueError as error:
            torn = number == len(lines)
            what = "cut short" if torn else f"damaged: {first_line(error)}"
            problems.append(f"{path.name} line {number} is {what}")
    return trials, problems

"""A stored run as a timeline: read from its journals, written as a Trace Event file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.analysis.timeline import Lane, Strand, Thinning, events, first_ns, thinning
from bench.errors import ConfigError, StoreError, suggest
from bench.records.case import Case
from bench.records.status import Source
from bench.records.trial import Trial
from bench.store.files import explained, replacing
from bench.store.jobs import Job
from bench.store.reader import Run
from bench.store.writer import trial_id


@dataclass(frozen=True, slots=True)
class Written:
    """What a timeline file holds. ``left_out``: in words, what it does not."""

    events: int
    thinning: Thinning
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A job's strand, and its clock: the wall clock of the board at time 0, where known."""

    strand: Strand
    wall_at_zero_ns: int | None


def write_trace(
    run: Run, path: Path, *, device: str | None, trial: str | None, every: int | None
) -> Written:
    """Write the jobs of a run (of one device or trial alone) as a timeline.

    Raises:
        ConfigError: there is no such device or trial in the run.
        StoreError: nothing of it is in a journal, or the file cannot be written.
    """
    chosen = _chosen(run, device, trial)
    found, left_out = [], []
    for job in run.jobs:
        try:
            item = _read(run, job, chosen)
        except StoreError as error:
            left_out.append(f"job {job.facts.job_id}: {error}")
            continue
        if item is not None:
            found.append(item)
    if not found:
        why = f": {'; '.join(left_out)}" if left_out else "; it has no journal with a round"
        raise StoreError(f"nothing of {run.manifest.run_id} can be drawn{why}")
    strands, alignment = _aligned(found)
    thin = thinning(strands, every)
    left_out += _thinned(thin)
    head = {
        "run": run.manifest.run_id,
        "clock": alignment,
        "counters": "a counter keeps its last value; power was read where the track says so",
        "left_out": left_out,
    }
    count = 0
    with explained("write", path), replacing(path) as file:
        file.write(b'{"displayTimeUnit": "ms",\n"otherData": ' + _encoded(head))
        file.write(b',\n"traceEvents": [')
        for count, event in enumerate(events(strands, thin), 1):
            file.write((b",\n" if count > 1 else b"\n") + _encoded(event))
        file.write(b"\n]}\n")
    return Written(count, thin, tuple(left_out))


def _chosen(run: Run, device: str | None, trial: str | None) -> set[tuple[Case, int | None]]:
    """Return the cases that are meant, with the attempt if one is meant."""
    devices = dict.fromkeys(case.device for case in run.manifest.cases)
    if device is not None and device not in devices:
        raise ConfigError(
            f"--device: {run.manifest.run_id} has no device {device!r}; {suggest(device, devices)}"
        )
    if trial is None:
        return {
            (case, None) for case in run.manifest.cases if device is None or case.device == device
        }
    trials: dict[str, Trial] = {item.trial_id: item for item in (*run.trials, *run.superseded)}
    if trial not in trials:
        raise ConfigError(
            f"--trial: {run.manifest.run_id} has no trial {trial!r}; {suggest(trial, trials)}"
        )
    return {(trials[trial].case, trials[trial].attempt)}


def _read(run: Run, job: Job, chosen: set[tuple[Case, int | None]]) -> _Found | None:
    """Return what the journal of a job holds of the cases that are meant."""
    facts = job.facts
    cases = [
        (number, case)
        for number, case in enumerate(run.manifest.cases, 1)
        if job.covers(case) and {(case, None), (case, facts.attempt)} & chosen
    ]
    if not cases:
        return None
    # All of the job, whatever is meant of it: throttling counts on from the rounds of other cases.
    records, problems = wire.decode_records(job.journal())
    recorded = recordings(records, problems, list(facts.artifacts))
    lanes = []
    for number, case in cases:
        name = trial_id(number, facts.attempt)
        metered = tuple(part.trace for part in run.meter(name))
        lanes.append(Lane(f"{case.label} ({name})", recorded[case.key], metered))
    origin_ns = first_ns(lanes)
    if origin_ns is None:
        return None
    estimated = facts.power is not None and facts.power.source is Source.ESTIMATED
    attempt = f", attempt {facts.attempt}" if facts.attempt else ""
    name = f"{facts.device} (job {facts.job_id}{attempt})"
    return _Found(Strand(name, origin_ns, estimated, tuple(lanes)), _wall_at_zero_ns(records))


def _wall_at_zero_ns(records: list[dict[str, Any]]) -> int | None:
    start = next((record for record in records if record.get("kind") == "start"), {})
    wall_s, t_ns = start.get("wall_s"), start.get("t_ns")
    if not isinstance(wall_s, int | float) or not isinstance(t_ns, int):
        return None
    return round(wall_s * 1e9) - t_ns if 0 < wall_s < 1e11 else None


def _aligned(found: list[_Found]) -> tuple[list[Strand], str]:
    """Return the jobs with their starts on one clock, and how that was come by, in words."""
    strands = [item.strand for item in found]
    if len(strands) == 1:
        return strands, "the board's monotonic clock, from the first event on"
    walls_ns = [item.wall_at_zero_ns for item in found]
    known = [wall_ns for wall_ns in walls_ns if wall_ns is not None]
    if len(known) < len(found):
        return strands, "each job from its own first event on: when they began is not known"
    begin_ns = min(
        wall_ns + strand.origin_ns for wall_ns, strand in zip(known, strands, strict=True)
    )
    moved = [
        replace(strand, origin_ns=begin_ns - wall_ns)
        for wall_ns, strand in zip(known, strands, strict=True)
    ]
    return moved, "each board's monotonic clock; jobs lie as the boards' wall clocks say"


def _thinned(thin: Thinning) -> Iterator[str]:
    for every, count, what in (
        (thin.every_inference, thin.inferences, "inferences"),
        (thin.every_reading, thin.readings, "power readings"),
    ):
        if every > 1:
            yield f"all but one in {every} of {count} {what} (--every 1 keeps them)"


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False).encode()

"""What must hold after faults, judged from the files as they lie on both sides.

``lines`` is always what :class:`board_witness.Witness` saw: by job, the lines of the journal on
the board. Neither bench's store nor its reader is used, so that a mistake in them shows here.
"""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from board_processes import BoardProcesses
from board_witness import record

Lines = Mapping[str, Iterable[bytes]]
QUANTITIES = ("latency_status", "energy_status", "memory_status")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The files of one run in the results folder."""

    path: Path

    def cases(self) -> list[dict[str, Any]]:
        """The cases that it is to measure."""
        found: list[dict[str, Any]] = json.loads((self.path / "manifest.json").read_text())["cases"]
        return found

    def trials(self) -> list[dict[str, Any]]:
        """All trials, also those that later ones have taken the place of."""
        path = self.path / "trials.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line]

    def jobs(self) -> list[dict[str, Any]]:
        """What is known of its jobs."""
        return [json.loads(path.read_text()) for path in sorted((self.path / "jobs").glob("*"))]

    def trial(self, model: str, attempt: int) -> dict[str, Any] | None:
        """The trial of a case from one attempt."""
        for trial in self.trials():
            if trial["case"]["model"] == model and trial["attempt"] == attempt:
                return trial
        return None

    def failed(self) -> list[str]:
        """Models whose newest trial failed, or that have none."""
        return [model for model, trial in self._newest() if trial is None or _has_failed(trial)]

    def unfinished(self) -> list[str]:
        """Models that are still to be measured: those that failed and those that were cut short."""
        cut = [model for model, trial in self._newest() if trial and _is_interrupted(trial)]
        return [*self.failed(), *cut]

    def to_collect(self) -> list[str]:
        """Jobs whose end is not known here and whose journal, if it is here, has none."""
        return [
            job["job_id"]
            for job in self.jobs()
            if job["end"] is None
            and not any(item["kind"] == "end" for item in self.journal(job["job_id"]))
        ]

    def journal(self, job_id: str) -> list[dict[str, Any]]:
        """The whole records of a job's journal as it is stored; empty when there is none."""
        path = self.path / "journals" / f"{job_id}.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [item for line in lines if (item := record(line)) is not None]

    def _newest(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        for case in self.cases():
            trials = [item for item in self.trials() if item["case"] == case]
            yield case["model"], max(trials, key=lambda item: item["attempt"], default=None)


def stored_runs(results: Path) -> list[StoredRun]:
    """The runs of a results folder, oldest first."""
    return [StoredRun(path.parent) for path in sorted(results.glob("*/manifest.json"))]


def lost(lines: Lines, results: Path) -> dict[str, list[str]]:
    """What a board had measured and the results folder does not have, by job, in words."""
    runs = {job["job_id"]: (run, job) for run in stored_runs(results) for job in run.jobs()}
    found = {}
    for job_id, of_job in lines.items():
        if job_id not in runs:
            found[job_id] = [f"{_name(line)}: of a job that no run knows" for line in of_job]
            continue
        run, facts = runs[job_id]
        journal = run.path / "journals" / f"{job_id}.jsonl"
        stored = set(journal.read_bytes().splitlines()) if journal.exists() else set()
        missing = [f"{_name(line)}: not in the journal" for line in of_job if line not in stored]
        kept = [line for line in of_job if line in stored]
        missing += _not_recorded(kept, run, facts["attempt"])
        if missing:
            found[job_id] = missing
    return found


def measured_twice(lines: Lines, results: Path) -> list[str]:
    """Rounds that were taken again without need, and jobs that ran side by side, in words."""
    found = []
    for job_id, of_job in lines.items():
        records = [record(line) or {} for line in of_job]
        places = Counter(
            (item["case"], item["type"], item["index"])
            for item in records
            if item["kind"] == "round"
        )
        found += [f"{job_id}: round {place} twice" for place, count in places.items() if count > 1]
        if sum(item["kind"] == "start" for item in records) > 1:
            found.append(f"{job_id}: started twice")
    for run in stored_runs(results):
        done: dict[str, str] = {}
        for job in sorted(run.jobs(), key=lambda item: item["attempt"]):
            records = [record(line) or {} for line in lines.get(job["job_id"], ())]
            again = {item["case"] for item in records if item["kind"] == "round"} & set(done)
            found += [f"{job['job_id']}: {key} was whole in {done[key]}" for key in sorted(again)]
            done |= dict.fromkeys(_whole_cases(records), job["job_id"])
    spans = sorted((*_span(of_job), job_id) for job_id, of_job in lines.items())
    for (_, ended, earlier), (began, _, later) in pairwise(spans):
        if began < ended:
            found.append(f"{later} began before {earlier} had ended")
    return found


def unexplained(results: Path, faults: Iterable[str]) -> list[str]:
    """Trials that failed without a reason, or though nothing was done to any worker."""
    found = []
    for run in stored_runs(results):
        for trial in run.trials():
            for name in QUANTITIES:
                verdict = trial[name]
                if verdict["status"] != "valid" and not (verdict["reasons"] and verdict["detail"]):
                    found.append(f"{trial['trial_id']}: {name} says not why: {verdict}")
            if _has_failed(trial) and not set(faults) & {"worker", "board"}:
                found.append(f"{trial['trial_id']} failed: {trial['latency_status']}")
    return found


def left_over(work_dir: Path, lock: str = "lock") -> list[str]:
    """What is still at work on a board or holds its lease, in words."""
    found = [f"process {pid} is left over" for pid in BoardProcesses(work_dir).everything()]
    with (work_dir / lock).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append("the board's lock is held")
    return found


def _not_recorded(lines: Iterable[bytes], run: StoredRun, attempt: int) -> list[str]:
    """Rounds of a job whose samples are not, or not all, among the raw samples of their trial."""
    found = []
    raw: dict[str, tuple[Counter[Any], Counter[Any]]] = {}
    for line in lines:
        item = record(line) or {}
        if item["kind"] != "round":
            continue
        model = item["case"].partition("/")[0]
        if model not in raw:
            raw[model] = _samples(run, model, attempt)
        inferences, readings = raw[model]
        if inferences[item["index"], item["type"]] != len(item["durations_ns"]):
            found.append(f"{_name(line)}: not among the raw samples")
        elif item["trace"] and readings[f"round-{item['index']}"] != len(item["trace"]["values"]):
            found.append(f"{_name(line)}: its power is not among the raw samples")
    return found


def _samples(run: StoredRun, model: str, attempt: int) -> tuple[Counter[Any], Counter[Any]]:
    """Numbers of inferences by round and kind, and of power readings by where they were taken."""
    trial = run.trial(model, attempt)
    if trial is None:
        return Counter(), Counter()
    latency, power = (
        pq.read_table(path).to_pydict() if path.exists() else {}
        for name in ("latency", "power")
        for path in [run.path / "raw" / f"{trial['trial_id']}.{name}.parquet"]
    )
    inferences = Counter(zip(latency.get("round", ()), latency.get("kind", ()), strict=True))
    return inferences, Counter(power.get("where", ()))


def _whole_cases(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """The cases of a job that ran to its end which did not fail."""
    items = list(records)
    if not any(item["kind"] == "end" and item["reason"] == "finished" for item in items):
        return set()
    failed = {item["case"] for item in items if item["kind"] == "failure"}
    return {item["case"] for item in items if item["kind"] == "round"} - failed


def _span(lines: Iterable[bytes]) -> tuple[int, int]:
    """When a job wrote its first and its last record, by the board's clock."""
    items = [record(line) or {} for line in lines]
    times = [item.get("t_ns") or item.get("start_ns") or 0 for item in items]
    times = [time for time in times if time] or [0]
    return min(times), max(times)


def _has_failed(trial: Mapping[str, Any]) -> bool:
    return any(trial[name]["status"] == "failed" for name in QUANTITIES)


def _is_interrupted(trial: Mapping[str, Any]) -> bool:
    return any("interrupted" in trial[name]["reasons"] for name in QUANTITIES)


def _name(line: bytes) -> str:
    item = record(line) or {}
    words = [item.get(name) for name in ("kind", "type", "index", "where", "case")]
    return " ".join(str(word) for word in words if word is not None)

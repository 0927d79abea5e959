"""What every table and chart of a run shows: its cases in order, by device, with their trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.records.case import Case
from bench.records.status import Status
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report import palette
from bench.store.hold import is_held
from bench.store.reader import Run

_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Row:
    """One case on one device. ``trial`` is ``None`` when there is none; ``missing`` says why.

    ``label`` names the case in tables; ``short`` leaves out the model where all cases of the
    device have the same one. ``colour`` stands for the scheme, in all charts and on all devices
    (:mod:`bench.report.palette`).
    """

    case: Case
    trial: Trial | None
    label: str
    short: str
    colour: str
    missing: str = ""

    @property
    def absence(self) -> str:
        """Why there is no trial, in words that stand alone."""
        return "not measured yet" if self.missing == _YET else f"not measured: {self.missing}"

    @property
    def status(self) -> str:
        """The status in short words."""
        return self.absence if self.trial is None else fmt.status(self.trial)

    @property
    def mark(self) -> Status:
        """The status by which the row is coloured."""
        return Status.INCONCLUSIVE if self.trial is None else fmt.worst_status(self.trial)


def rows_by_device(run: Run) -> dict[str, tuple[Row, ...]]:
    """Return the rows of each device in the order of the manifest."""
    cases = list(run.manifest.cases)
    trials = {trial.case: trial for trial in run.trials}
    planned = set(cases)
    cases += [case for case in trials if case not in planned]
    labels = _labels(cases)
    colours = palette.colours(case.scheme for case in cases)
    broken, waiting, at_work = run.manifest.device_errors, run.to_collect, is_held(run.path)
    grouped: dict[str, list[Row]] = {}
    for case in cases:
        missing = "device could not be used" if case.device in broken else "interrupted"
        if any(job.covers(case) for job in waiting):
            missing = "not collected from the board"
        if at_work:
            # Also on a board that failed, or has a job, from before the run was resumed.
            missing = _YET
        colour = colours[case.scheme]
        row = Row(case, trials.get(case), labels[case], labels[case], colour, missing)
        grouped.setdefault(case.device, []).append(row)
    return {device: _shortened(rows) for device, rows in grouped.items()}


def rows_of_runs(runs: Sequence[Run]) -> tuple[Row, ...]:
    """Return the rows of several runs for one chart, in the order of the runs.

    What tells them apart is in ``short``: the device where there are several, and the run of each
    where any two have the same case. A trial has the id ``RUN/TRIAL`` where there are several runs,
    since ids are only unique in one.
    """
    found = [(run, row) for run in runs for rows in rows_by_device(run).values() for row in rows]
    rows = [row for _, row in found]
    model = common_model(rows)
    colours = palette.colours(row.case.scheme for row in rows)
    several = len({row.case.device for row in rows}) > 1
    labels = [without_model(row.label, model) for row in rows]
    if several:
        labels = [
            f"{fmt.plain(row.case.device)}: {label}"
            for row, label in zip(rows, labels, strict=True)
        ]
    named = len(set(labels)) < len(labels)
    return tuple(
        replace(
            row,
            short=f"{label} ({run.manifest.run_id})" if named else label,
            colour=colours[row.case.scheme],
            trial=_own_id(row.trial, run) if len(runs) > 1 else row.trial,
        )
        for (run, row), label in zip(found, labels, strict=True)
    )


def _own_id(trial: Trial | None, run: Run) -> Trial | None:
    if trial is None:
        return None
    return trial.model_copy(update={"trial_id": f"{run.manifest.run_id}/{trial.trial_id}"})


def common_model(rows: Sequence[Row]) -> str:
    """Return the name of the model that all rows share, empty when they have several."""
    models = {row.case.model for row in rows}
    return fmt.plain(models.pop()) if len(models) == 1 else ""


def without_model(label: str, model: str) -> str:
    """Return a label without the model that all rows share (empty: they share none)."""
    return label.removeprefix(model).lstrip(" /") or label


def _labels(cases: list[Case]) -> dict[Case, str]:
    """Return the short label of each case, or its full key where labels would be equal."""
    seen = Counter((case.device, case.label) for case in cases)
    return {
        case: fmt.plain(case.label if seen[case.device, case.label] == 1 else case.key)
        for case in cases
    }


def _shortened(rows: list[Row]) -> tuple[Row, ...]:
    model = common_model(rows)
    return tuple(replace(row, short=without_model(row.label, model)) for row in rows)

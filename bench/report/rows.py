"""What every table and chart of a run shows: its cases in order, by device, with their trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.records import Case, Trial
from bench.report import format as fmt
from bench.status import Status
from bench.store.reader import Run

# Okabe and Ito's colours, told apart by colour-blind people, without yellow (unreadable on white).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B5B95")


@dataclass(frozen=True, slots=True)
class Row:
    """One case on one device. ``trial`` is ``None`` when there is none; ``missing`` says why.

    ``label`` names the case in tables; ``short`` leaves out the model where all cases of the
    device have the same one. ``colour`` is the same for a case in all charts and on all devices.
    """

    case: Case
    trial: Trial | None
    label: str
    short: str
    colour: str
    missing: str = ""

    @property
    def status(self) -> str:
        """The status in short words."""
        return f"not measured: {self.missing}" if self.trial is None else fmt.status(self.trial)

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
    keys = list(dict.fromkeys(case.key for case in cases))
    colours = {key: _COLOURS[i % len(_COLOURS)] for i, key in enumerate(keys)}
    broken, waiting = run.manifest.device_errors, run.to_collect
    grouped: dict[str, list[Row]] = {}
    for case in cases:
        missing = "device could not be used" if case.device in broken else "interrupted"
        if any(job.covers(case) for job in waiting):
            missing = "not collected from the board"
        row = Row(case, trials.get(case), labels[case], labels[case], colours[case.key], missing)
        grouped.setdefault(case.device, []).append(row)
    return {device: _shortened(rows) for device, rows in grouped.items()}


def common_model(rows: Sequence[Row]) -> str:
    """Return the name of the model that all rows share, empty when they have several."""
    models = {row.case.model for row in rows}
    return fmt.plain(models.pop()) if len(models) == 1 else ""


def _labels(cases: list[Case]) -> dict[Case, str]:
    """Return the short label of each case, or its full key where labels would be equal."""
    seen = Counter((case.device, case.label) for case in cases)
    return {
        case: fmt.plain(case.label if seen[case.device, case.label] == 1 else case.key)
        for case in cases
    }


def _shortened(rows: list[Row]) -> tuple[Row, ...]:
    model = common_model(rows)
    return tuple(
        replace(row, short=row.label.removeprefix(model).lstrip(" /") or row.label) for row in rows
    )

"""What ``bench run`` and ``bench attach`` say in the end."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from bench.cli import EXIT_DEVICE, EXIT_FAILED_CASE, EXIT_INTERRUPTED
from bench.cli.output import emit_json, tables
from bench.fleet.outcome import Outcome
from bench.records.status import Status
from bench.report.table import boards_summary, summary_table
from bench.store.reader import Run

MOST_CHARTED_BOARDS = 8
"""Above it a run does not end with the drawing of charts, of which each board has several that take
about half a second together."""


def tell(outcome: Outcome, console: Console, *, as_json: bool) -> int:
    """Show the table (or the document), what went wrong, and the report; return the exit code.

    Raises:
        StoreError: the report cannot be written.
    """
    if as_json:
        emit_json(_document(outcome))
    elif outcome.run.trials:
        tables().print(summary_table(outcome.run))
    if not as_json and len(outcome.run.manifest.devices) > 1:
        tables().print(boards_summary(outcome.run))
    for trial in outcome.run.trials:
        if trial.latency_status.status in (Status.SKIPPED, Status.FAILED):
            verdict = trial.latency_status
            text = f"{trial.case.device}: {trial.case.label}: {verdict.status}: {verdict.detail}"
            console.print(text, markup=False, soft_wrap=True)
    for name, error in outcome.device_errors.items():
        if error.detail:
            console.print(error.detail.rstrip(), markup=False, soft_wrap=True)
        console.print(f"bench: {name}: {error}", markup=False, soft_wrap=True)
    # Last, since a report that cannot be written must not hide what was measured.
    for run in (*outcome.earlier, outcome.run):
        if run.trials:
            _report(run, console)
    return _exit_code(outcome)


def _report(run: Run, console: Console) -> None:
    """Write the report of a run and say where it is."""
    from bench.report.page import write_report  # late: drawing takes half a second to import

    boards = len(run.manifest.devices)
    charts = boards <= MOST_CHARTED_BOARDS
    for path in write_report(run, charts=charts).files:
        console.print(str(path), markup=False, soft_wrap=True)
    if not charts:
        text = f"charts of {boards} boards are drawn by `bench report {run.manifest.run_id}`"
        console.print(text, markup=False, soft_wrap=True)


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "run_id": outcome.run.manifest.run_id,
        "path": str(outcome.run.path),
        "interrupted": outcome.interrupted,
        "device_errors": {name: str(error) for name, error in outcome.device_errors.items()},
        "incidents": [item.model_dump() for item in outcome.run.manifest.incidents],
        "missing": [f"{case.device}: {case.key}" for case in outcome.run.missing],
        "earlier": [run.manifest.run_id for run in outcome.earlier],
        "trials": [trial.model_dump(mode="json") for trial in outcome.run.trials],
    }


def _exit_code(outcome: Outcome) -> int:
    if outcome.interrupted:
        return EXIT_INTERRUPTED
    if outcome.device_errors:
        return EXIT_DEVICE
    failed = outcome.run.missing or any(trial.failed for trial in outcome.run.trials)
    return EXIT_FAILED_CASE if failed else 0

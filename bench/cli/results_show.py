"""``bench results show``: what a run measured."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import options
from bench.cli.output import emit_json, people, tables
from bench.fleet.evaluation import completed
from bench.report.table import summary_table
from bench.store.hold import is_held
from bench.store.jobs import Job
from bench.store.reader import Run, open_run


@click.command()
@click.argument("run_id", metavar="RUN")
@options.results_dir
@options.as_json
def show(run_id: str, results_dir: Path, as_json: bool) -> None:
    """Show the trials of a run."""
    run = completed(open_run(run_id, results_dir))
    if as_json:
        emit_json(
            {
                "manifest": run.manifest.model_dump(mode="json"),
                "trials": [trial.model_dump(mode="json") for trial in run.trials],
                "superseded": [trial.model_dump(mode="json") for trial in run.superseded],
                "missing": [case.model_dump(mode="json") for case in run.missing],
                "to_collect": [job.facts.job_id for job in run.to_collect],
                "problems": list(run.problems),
            }
        )
        return
    tables().print(summary_table(run))
    console = people()
    for problem in run.problems:
        console.print(problem, markup=False, soft_wrap=True)
    for device, error in run.manifest.device_errors.items():
        console.print(f"{device}: {error}", markup=False, soft_wrap=True)
    jobs = run.jobs
    for case in run.missing:
        # The newest attempt at a case says best why it has no trial.
        job = next((job for job in reversed(jobs) if job.covers(case)), None)
        text = f"{case.device}: {case.label}: {_why_missing(job)}"
        console.print(text, markup=False, soft_wrap=True)
    if run.superseded:
        names = ", ".join(trial.trial_id for trial in run.superseded)
        console.print(f"measured again since, and kept: {names}", markup=False, soft_wrap=True)
    if is_held(run.path):
        console.print("a bench process is at work on this run", markup=False)
    elif run.unfinished:
        for text in _ways_on(run):
            console.print(text, markup=False, soft_wrap=True)


def _why_missing(job: Job | None) -> str:
    if job is None:
        return "no trial was stored"
    if job.facts.end is not None:
        return f"no trial was stored: {job.facts.end.text}"
    return f"job {job.facts.job_id} is not collected from the board"


def _ways_on(run: Run) -> list[str]:
    """Return the commands that get what a run lacks."""
    run_id = run.manifest.run_id
    found = [f"bench run --resume {run_id}: measures what is missing, failed or interrupted"]
    if run.to_collect:
        found.insert(0, f"bench attach {run_id}: collects what is still on the boards")
    return found

"""``bench status``: the jobs on the boards."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from bench.cli import EXIT_DEVICE, options
from bench.cli.output import emit_json, people, tables
from bench.cli.progress import progress
from bench.cli.status_watch import as_documents, watch
from bench.cli.value_types import Duration
from bench.config.devices_file import load_devices
from bench.errors import ConfigError
from bench.fleet.board_jobs import BoardJob, survey
from bench.fleet.selection import select
from bench.run.status import RunWatch


@click.command()
@options.devices("the default is all")
@click.option(
    "--watch",
    "watched",
    is_flag=True,
    help="Show the runs of the results folder again and again; asks no board.",
)
@click.option(
    "--every",
    type=Duration(),
    default=2.0,
    show_default="2s",
    help="How often, with --watch.",
)
@options.results_dir
@options.devices_file
@options.as_json
def status(
    names: tuple[str, ...] | None,
    watched: bool,
    every: float,
    results_dir: Path,
    devices_path: Path | None,
    as_json: bool,
) -> int:
    """Show the jobs on the boards: running, finished and not collected, orphaned.

    Asking a board that measures costs it a moment. Exit code 4 if a board cannot be reached.

    With --watch: boards, trials by status and the queue of the runs here that are at work, wait to
    be collected or stopped before their end in the last three days, from the disk alone; until
    those at work are over (where none is, from the next one on); with --json a line of JSON each
    time.
    """
    if watched:
        if names:
            raise ConfigError("--watch asks no board: leave out --device")
        watch(results_dir, every, as_json=as_json)
        return 0
    known = load_devices(devices_path)
    devices = select(names or ("all",), known)
    console = people()
    with progress(console) as display:
        found = survey(devices, results_dir, display)
    jobs = [job for job in found.jobs if not job.collected]
    if as_json:
        emit_json(
            {
                "jobs": [{**asdict(job), "orphan": job.is_orphan} for job in found.jobs],
                "unreachable": {name: str(error) for name, error in found.errors.items()},
                "runs": as_documents(RunWatch(results_dir).look()),
            }
        )
    elif jobs:
        tables().print(_table(jobs))
    for device, count in Counter(job.device for job in found.jobs if job.collected).items():
        text = f"{device}: {count} collected jobs; `bench devices clean {device}` frees them"
        console.print(text, markup=False, soft_wrap=True)
    for name in devices:
        if name not in found.errors and not any(job.device == name for job in found.jobs):
            console.print(f"{name}: no jobs", markup=False)
    for name, error in found.errors.items():
        console.print(f"bench: {name}: {error}", markup=False, soft_wrap=True)
    return EXIT_DEVICE if found.errors else 0


def _table(jobs: list[BoardJob]) -> Table:
    table = Table()
    for name in ("device", "job", "whose", "since", "state"):
        table.add_column(name, overflow="fold")
    for job in jobs:
        since = datetime.fromtimestamp(job.since_wall_s).astimezone().isoformat(" ", "seconds")
        cells = (job.device, job.job_id, job.owner or "unknown", since, _state(job))
        table.add_row(*map(Text, cells))
    return table


def _state(job: BoardJob) -> str:
    if job.state == "new":
        return "never started"
    words = {"running": "running", "finished": "finished", "dead": "died"}[job.state]
    if job.state == "running" and job.left_s is not None:
        words += f", about {job.left_s:.0f} s left"
    if job.foreign:
        return f"{words}; of another user of this board"
    if job.attended:
        return f"{words}; its bench is at work here"
    if job.known:
        return f"{words}, not collected: bench attach {job.run_id}"
    return f"{words}, not collected; orphaned: of no run in this results folder"

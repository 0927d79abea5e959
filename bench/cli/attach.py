"""``bench attach``: collect what boards still have of a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from bench.cli import options
from bench.cli.outcome import tell
from bench.cli.output import emit_json, people
from bench.cli.progress import progress
from bench.config.devices_file import load_devices
from bench.fleet.attach import attach as attach_run
from bench.fleet.attach import return_places, run_to_attach
from bench.store.reader import open_run


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@options.results_dir
@options.devices_file
@options.as_json
def attach(run_id: str | None, results_dir: Path, devices_path: Path | None, as_json: bool) -> int:
    """Wait for the jobs of a run that boards still have, and collect them.

    For when the host, the link or the disk failed while a board measured. Without RUN: the newest
    run that has something to collect. Ends as `bench run` would have. Labgrid places that a killed
    bench left behind are returned, unless another run has jobs to collect there.
    """
    console = people()
    tell_of_places = partial(console.print, markup=False, soft_wrap=True)
    devices = load_devices(devices_path)
    run_id = run_id or run_to_attach(results_dir)
    if run_id is None:
        return_places(tell_of_places)
        console.print(f"nothing to collect for any run in {results_dir}", markup=False)
        if as_json:
            emit_json({"run_id": None})
        return 0
    with progress(console) as display:
        outcome = attach_run(open_run(run_id, results_dir), devices, display)
    return_places(tell_of_places)
    return tell(outcome, console, as_json=as_json)

"""``bench report``: draw a stored run again."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.errors import StoreError
from bench.evaluation import completed
from bench.report.page import write_report
from bench.store.listing import list_runs
from bench.store.reader import open_run


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@options.results_dir
@options.as_json
def report(run_id: str | None, results_dir: Path, as_json: bool) -> None:
    """Draw the charts and the page of a run (default: the latest) from what is stored."""
    if run_id is None:
        runs = [listing for listing in list_runs(results_dir) if listing.trials]
        if not runs:
            raise StoreError(f"no run with a trial in {results_dir}; `bench run` makes one")
        run_id = runs[-1].run_id
    written = write_report(completed(open_run(run_id, results_dir)))
    if as_json:
        emit_json({"run_id": run_id, "files": [str(path) for path in written.files]})
        return
    for path in written.files:
        people().print(str(path), markup=False, soft_wrap=True)

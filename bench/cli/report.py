"""``bench report``: draw stored runs again."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.errors import ConfigError, StoreError
from bench.fleet.evaluation import completed
from bench.report.page import ReportPaths, write_joint_report, write_report
from bench.store.listing import list_runs
from bench.store.reader import Run, open_run


@click.command()
@click.argument("run_ids", metavar="[RUN]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    "page",
    type=click.Path(path_type=Path),
    help="Where to write the page; nothing else is written then.",
)
@options.results_dir
@options.as_json
def report(run_ids: tuple[str, ...], page: Path | None, results_dir: Path, as_json: bool) -> None:
    """Draw the charts and the page of a run (default: the latest) from what is stored.

    Of several runs, also of several boards, one page is made: what each of them answers, all cases
    in one table, and each case over time. It is written into the results folder, named by the
    newest of the runs, unless -o names another place.
    """
    if page is not None and not page.parent.is_dir():
        raise ConfigError(f"-o {page}: there is no folder {page.parent}; make it first")
    runs = [_opened(run_id, results_dir) for run_id in run_ids or (_latest(results_dir),)]
    names = [run.manifest.run_id for run in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is named twice; name every run once")
    written = _written(runs, page, results_dir)
    if as_json:
        files = [str(path) for path in written.files]
        emit_json({"run_id": names[0], "run_ids": names, "files": files})
        return
    for path in written.files:
        people().print(str(path), markup=False, soft_wrap=True)


def _written(runs: list[Run], page: Path | None, results_dir: Path) -> ReportPaths:
    if len(runs) == 1:
        return write_report(runs[0], page)
    newest = max(runs, key=lambda run: (run.manifest.started_at, run.manifest.run_id))
    name = f"report-{newest.manifest.run_id}-and-{len(runs) - 1}-more.html"
    return write_joint_report(runs, page or results_dir / name)


def _opened(run_id: str, results_dir: Path) -> Run:
    return completed(open_run(run_id, results_dir))


def _latest(results_dir: Path) -> str:
    runs = [listing for listing in list_runs(results_dir) if listing.trials]
    if not runs:
        raise StoreError(f"no run with a trial in {results_dir}; `bench run` makes one")
    return runs[-1].run_id

"""``bench results``: the runs on disk."""

from __future__ import annotations

import click

from bench.cli.lazy import LazyGroup

RESULTS_COMMANDS = {
    "list": ("bench.cli.results_list:list_results", "List runs, oldest first."),
    "show": ("bench.cli.results_show:show", "Show the trials of a run."),
    "trend": ("bench.cli.results_trend:trend", "Show what became of a case from run to run."),
    "percentiles": (
        "bench.cli.results_percentiles:percentiles",
        "Show percentiles per case over every inference of all runs.",
    ),
    "export": ("bench.cli.results_export:export", "Write trials or inferences as one table."),
    "trace": ("bench.cli.results_trace:trace", "Write a run as a timeline for Perfetto."),
    "rm": ("bench.cli.results_rm:remove", "Remove runs."),
}


@click.group(cls=LazyGroup, table=RESULTS_COMMANDS)
def results() -> None:
    """List, show, follow, export and remove runs."""

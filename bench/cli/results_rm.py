"""``bench results rm``: remove runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.errors import ConfigError
from bench.store.removal import find_whole_name, reason_to_keep, remove_run


@click.command("rm")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also runs at work, or with jobs to collect.")
@options.results_dir
@options.as_json
def remove(runs: tuple[str, ...], yes: bool, force: bool, results_dir: Path, as_json: bool) -> None:
    """Remove runs with all their samples, for good.

    RUN is the whole id of a run. A run that is being measured, or of which boards still have jobs,
    is refused without --force; then none of those named is removed.
    """
    folders = [find_whole_name(name, results_dir) for name in dict.fromkeys(runs)]
    kept = [] if force else [reason for path in folders if (reason := reason_to_keep(path))]
    if kept:
        raise ConfigError(f"{'; '.join(kept)} (--force removes it all the same)")
    names = ", ".join(path.name for path in folders)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"without a terminal to ask at, --yes removes {names}")
        people().print(f"for good: {names}", markup=False, soft_wrap=True)
        if not click.confirm("Remove?", err=True):
            people().print("nothing was removed")
            return
    for path in folders:
        remove_run(path, force=force)
        if not as_json:
            people().print(f"removed {path.name}", markup=False, soft_wrap=True)
    if as_json:
        emit_json({"removed": [path.name for path in folders]})

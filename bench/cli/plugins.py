"""``bench plugins``: what other packages add to the tables."""

from __future__ import annotations

import click
from rich.table import Table

from bench.cli import options
from bench.cli.output import emit_json, tables
from bench.plugins import GROUPS
from bench.run.provenance import tables as known_tables


@click.command()
@options.as_json
def plugins(as_json: bool) -> None:
    """List what other packages add, and what of it cannot be used."""
    rows = []
    for known in known_tables():
        usable = [(plugin, None) for plugin in known.plugins.values()]
        for plugin, problem in (*usable, *known.broken.values()):
            rows.append(
                {
                    "kind": GROUPS[plugin.group],
                    "name": plugin.name,
                    "package": plugin.package,
                    "version": plugin.version,
                    "problem": problem,
                }
            )
    if as_json:
        emit_json(rows)
        return
    if not rows:
        click.echo("no package adds anything; docs/plugins.md says how one does")
        return
    table = Table("kind", "name", "package", "state")
    for row in rows:
        package = f"{row['package']} {row['version']}"
        table.add_row(row["kind"], row["name"], package, row["problem"] or "ok")
    tables().print(table)

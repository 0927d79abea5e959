"""``bench models``: what can be measured, how large it is, and its files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.table import Table

from bench.cli import options
from bench.cli.model_export import export, table_model
from bench.cli.output import emit_json, people, tables
from bench.errors import ConfigError
from bench.export.cases import parse_scheme
from bench.networks import models as known_models
from models import ModelsExtraMissing, ModelSpec, ModelSummary, describe


@click.group()
def models() -> None:
    """List, describe and export models."""


models.add_command(export)


@models.command("list")
@options.as_json
def list_models(as_json: bool) -> None:
    """List the built-in models, and those of plug-ins."""
    known = known_models()
    for text in known.problems():
        people().print(f"bench: warning: {text}", markup=False)
    if as_json:
        emit_json([_facts(spec) for spec in known.values()])
        return
    table = Table()
    table.add_column("model", no_wrap=True)  # to be typed by whoever reads it
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("input", no_wrap=True)
    table.add_column("what it is")
    for spec in known.values():
        shape = "×".join(map(str, spec.input_shape))
        table.add_row(spec.name, f"{spec.parameters:,}", shape, spec.summary)
    tables().print(table)


@models.command()
@click.argument("name")
@click.option("--scheme", default="dense", show_default=True, help="For example basis:0.25.")
@options.as_json
def show(name: str, scheme: str, as_json: bool) -> None:
    """Show a model's size under a scheme, stage by stage."""
    spec = table_model(name)
    try:
        summary = describe(spec, parse_scheme(spec, scheme))
    except ModelsExtraMissing as error:
        raise ConfigError(str(error)) from None
    if as_json:
        emit_json({**_facts(spec), **asdict(summary)})
        return
    console = tables()
    console.print(f"{spec.name}: {spec.summary} ({spec.reference})", markup=False)
    console.print(
        f"scheme {summary.scheme}: {summary.parameters:,} of {summary.parameters_dense:,} "
        f"parameters ({100 * summary.reduction:.1f} % saved), "
        f"{summary.macs / 1e6:.1f} M multiply-adds",
        markup=False,
    )
    for mode, macs in summary.macs_by_weights.items():
        console.print(f"  {mode}: {macs / 1e6:.1f} M multiply-adds", markup=False)
    if summary.ceiling is not None:
        console.print(f"  at most {100 * summary.ceiling:.1f} % can be saved", markup=False)
    if summary.groups:
        console.print(_stages(summary))
    if summary.parts:
        console.print(_parts(summary))


def _stages(summary: ModelSummary) -> Table:
    """A row per group of layers that share, and one for the rest of the network."""
    table = Table(
        title="templates: shared + a layer's own rows; bytes: float32; M: million multiply-adds"
    )
    table.add_column("group", no_wrap=True)
    for heading in (
        "layers",
        "templates",
        "parameters",
        "dense",
        "saves\nat most",
        "template\nbytes",
        "coefficient\nbytes",
        "M",
        "M to\ngenerate",
        "M\nfactored",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in summary.groups:
        own = f" + {group.own}" if group.own else ""
        bank = "" if group.bank == group.group else f" of {group.bank}"
        table.add_row(
            group.group,
            f"{group.layers} × {group.inputs}→{group.outputs}" if group.layers else "the bank",
            f"{group.templates}{own}{bank}",
            f"{group.parameters:,}",
            f"{group.parameters_dense:,}" if group.layers else "",
            f"{100 * group.ceiling:.1f} %",
            f"{group.template_bytes:,}",
            f"{group.coefficient_bytes:,}",
            f"{group.macs_dense / 1e6:.2f}" if group.layers else "",
            f"{group.macs_generation / 1e6:.2f}" if group.layers else "",
            "" if group.macs_factored is None else f"{group.macs_factored / 1e6:.2f}",
        )
    rest = summary.parameters_dense - sum(group.parameters_dense for group in summary.groups)
    macs = summary.macs - sum(group.macs_dense for group in summary.groups)
    table.add_row("others", "", "", *[f"{rest:,}"] * 2, "", "", "", f"{macs / 1e6:.2f}", "", "")
    return table


def _parts(summary: ModelSummary) -> Table:
    """A row per unit whose channels are pruned or per run of iterated units, and the rest."""
    table = Table(title="kept: inner channels of a unit, or units of a run")
    table.add_column("part", no_wrap=True)
    for heading in ("kept", "parameters", "dense", "saves\nat most"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part in summary.parts:
        table.add_row(
            part.part,
            f"{part.kept} of {part.of}",
            f"{part.parameters:,}",
            f"{part.parameters_dense:,}",
            f"{100 * part.ceiling:.1f} %",
        )
    rest = summary.parameters_dense - sum(part.parameters_dense for part in summary.parts)
    table.add_row("others", "", *[f"{rest:,}"] * 2, "")
    return table


def _facts(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "summary": spec.summary,
        "input_shape": list(spec.input_shape),
        "classes": spec.classes,
        "task": spec.task,
        "parameters": spec.parameters,
        "reference": spec.reference,
    }

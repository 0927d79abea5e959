"""``bench models``: what can be measured, how large it is, and its files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from bench.cli import options
from bench.cli.output import emit_json, people, tables
from bench.errors import ConfigError
from bench.export.cache import default_cache
from bench.export.cases import export_case, find_model, parse_scheme
from bench.plan import expand, make_plan
from bench.recordings import GraphLimits
from bench.store.files import write_atomic
from models import MODELS, ModelsExtraMissing, ModelSpec, ModelSummary, describe


@click.group()
def models() -> None:
    """List, describe and export models."""


@models.command("list")
@options.as_json
def list_models(as_json: bool) -> None:
    """List the built-in models."""
    if as_json:
        emit_json([_facts(spec) for spec in MODELS.values()])
        return
    table = Table()
    table.add_column("model", no_wrap=True)  # to be typed by whoever reads it
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("input", no_wrap=True)
    table.add_column("what it is")
    for spec in MODELS.values():
        shape = "×".join(map(str, spec.input_shape))
        table.add_row(spec.name, f"{spec.parameters:,}", shape, spec.summary)
    tables().print(table)


@models.command()
@click.argument("name")
@click.option("--scheme", default="dense", show_default=True, help="For example basis:0.25.")
@options.as_json
def show(name: str, scheme: str, as_json: bool) -> None:
    """Show a model's size under a scheme, stage by stage."""
    spec = find_model(name)
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
            f"{group.layers} × {group.inputs}→{group.outputs}",
            f"{group.templates}{own}{bank}",
            f"{group.parameters:,}",
            f"{group.parameters_dense:,}",
            f"{100 * group.ceiling:.1f} %",
            f"{group.template_bytes:,}",
            f"{group.coefficient_bytes:,}",
            f"{group.macs_dense / 1e6:.2f}",
            f"{group.macs_generation / 1e6:.2f}",
            "" if group.macs_factored is None else f"{group.macs_factored / 1e6:.2f}",
        )
    rest = summary.parameters_dense - sum(group.parameters_dense for group in summary.groups)
    macs = summary.macs - sum(group.macs_dense for group in summary.groups)
    table.add_row("others", "", "", *[f"{rest:,}"] * 2, "", "", "", f"{macs / 1e6:.2f}", "", "")
    return table


@models.command()
@click.argument("name")
@click.option("--output", "-o", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--scheme", "schemes", type=options.CommaList(), default="dense", show_default=True)
@click.option("--weights", type=options.CommaList(), help="Weight modes (default: all).")
@click.option("--batch", "batches", type=options.CommaList(int), default="1", show_default=True)
@click.option("--opset", type=click.IntRange(13, 17), default=17, show_default=True)
@options.as_json
def export(
    name: str,
    output: Path,
    schemes: tuple[str, ...],
    weights: tuple[str, ...] | None,
    batches: tuple[int, ...],
    opset: int,
    as_json: bool,
) -> None:
    """Export a model to ONNX: graph, shared weights file, reference inputs and outputs."""
    find_model(name)
    plan = make_plan(models=(name,), schemes=schemes, weights=weights or (), batches=batches)
    limits = GraphLimits(opset=opset, ir_version=7 if opset < 15 else 8)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output}: cannot make the folder: {error.strerror}") from None
    written = []
    for case in expand(plan, "export", threads=1):
        artifact = export_case(
            case.model, case.scheme, case.weights, case.batch, limits, default_cache()
        )
        for source in (artifact.graph, artifact.weights, artifact.reference):
            if source is not None:
                _copy(source, output / source.name)
        written.append(
            {
                "scheme": case.scheme,
                "weights": case.weights,
                "batch": case.batch,
                "graph": str(output / artifact.graph.name),
                "weights_file": str(output / artifact.weights.name) if artifact.weights else None,
                "reference": str(output / artifact.reference.name),
                **artifact.facts.model_dump(mode="json"),
            }
        )
        people().print(f"{case.label}: {output / artifact.graph.name}", markup=False)
    if as_json:
        emit_json(written)


def _copy(source: Path, target: Path) -> None:
    try:
        write_atomic(target, source.read_bytes())
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from None


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

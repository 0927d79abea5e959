"""Every model × scheme × weight mode × version of TensorRT through NVIDIA's own builder.

Each line of the table is one artifact: exported for that version, parsed and built here by TensorRT
for RTX, its outputs checked against torch's by ONNX Runtime (the export does that itself). What a
network cannot have at all (a reduction out of reach) is counted, not built.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from bench.errors import BenchError, ConfigError
from bench.export.cache import default_cache
from bench.export.cases import export_case
from bench.export.tensorrt_check import LIKE_ORIN, WeightsCheck, check_engines, parse
from bench.records.recordings import Artifact
from bench.runtimes import graph_limits
from models import MODELS, Scheme
from models.kinds import KINDS

VERSIONS = ("8.2", "8.4", "8.5")
"""Opset 13 with products, opset 17 with products, opset 17 with computed weights."""
SAVED = "0.05"
"""A reduction that every network can reach that can share at all."""
COLUMNS = ("model", "scheme", "weights", "tensorrt", "opset", "layers", "engine_bytes")
COLUMNS += ("file_bytes", "stored", "constant", "folded", "generated", "found", "problem")


def cases(models: tuple[str, ...]) -> Iterator[tuple[str, str, str | None, str]]:
    """Every combination, the same network's one after the other."""
    for model in models:
        for name, kind in KINDS.items():
            scheme = f"{name}:{SAVED}" if kind.sized else name
            for weights in kind.weight_modes or (None,):
                for version in VERSIONS:
                    yield model, scheme, weights, version


def problem(check: WeightsCheck, weights: str | None) -> str:
    """What is wrong with an engine that was built, empty when nothing is."""
    if check.found:
        return f"{check.found} weights generated at run time are in the engine"
    if check.folded != check.constant:
        return f"{check.constant - check.folded} weights were not folded"
    if weights == "runtime" and not check.generated:
        return "no weight is generated at run time"
    return ""


@click.command()
@click.option("--model", "models", multiple=True, type=click.Choice(list(MODELS)))
@click.option("--parse-only", is_flag=True, help="Do not build: whether the parser takes it.")
@click.option("--capability", default=LIKE_ORIN, show_default=True)
@click.option("--output", type=click.File("w"), default="-", help="CSV.")
def main(
    models: tuple[str, ...], parse_only: bool, capability: str, output: click.utils.LazyFile
) -> None:
    """Build them all and print a line for each."""
    look = _parse if parse_only else partial(_build, capability)
    table = csv.DictWriter(output, COLUMNS, restval="")
    table.writeheader()
    done = impossible = wrong = 0
    for model, scheme, weights, version in cases(models or tuple(MODELS)):
        row = {"model": model, "scheme": scheme, "weights": weights or "", "tensorrt": version}
        try:
            MODELS[model].total(Scheme.parse(scheme))
            limits = graph_limits("tensorrt", version)
            artifact = export_case(model, scheme, weights, 1, limits, Path(default_cache()))
            row |= {"opset": artifact.facts.opset, "file_bytes": artifact.facts.file_bytes}
            row |= look(artifact, weights)
        except ConfigError as error:
            raise SystemExit(f"trt_grid: {error}") from None
        except ValueError:
            impossible += 1
            continue
        except BenchError as error:
            row["problem"] = str(error)
        else:
            done += 1
        wrong += bool(row.get("problem"))
        table.writerow(row)
        output.flush()
    verb = "parsed" if parse_only else "built"
    click.echo(f"{done} {verb}, {wrong} wrong, {impossible} not possible", err=True)
    sys.exit(bool(wrong))


def _build(capability: str, artifact: Artifact, weights: str | None) -> dict[str, Any]:
    (check,) = check_engines(artifact, [capability])
    assert check.weights is not None  # every graph here is fp32
    told = asdict(check) | asdict(check.weights)
    columns = {name: told[name] for name in COLUMNS if name in told}
    return columns | {"problem": problem(check.weights, weights)}


def _parse(artifact: Artifact, weights: str | None) -> dict[str, Any]:
    return {"layers": parse(artifact.graph).total(), "problem": ""}


if __name__ == "__main__":
    main()

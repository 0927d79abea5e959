"""``bench plot``: a chart of one or several runs as a file for a paper or a slide."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.errors import ConfigError
from bench.fleet.evaluation import completed
from bench.report.canvas import KINDS, SCREEN, Form, paper
from bench.report.material import material_of
from bench.report.plots import PLOTS, draw_plot
from bench.store.files import explained, write_atomic
from bench.store.reader import Run, open_run

COLUMNS_IN = {"1": 3.5, "2": 7.16}
"""Width of one and of two columns of a page that has two (IEEE's)."""
_LEAST_IN, _MOST_IN = 2.5, 40.0


class Width(click.ParamType[float]):
    """``1`` or ``2`` columns, or a width in inches → inches."""

    name = "width"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse a width."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        if text in COLUMNS_IN:
            return COLUMNS_IN[text]
        try:
            width_in = float(text.removesuffix("in"))
        except ValueError:
            width_in = 0.0
        if not _LEAST_IN <= width_in <= _MOST_IN:
            self.fail(
                f"{value!r}: write 1 or 2 (columns) or inches from {_LEAST_IN} to {_MOST_IN:.0f}",
                param,
                ctx,
            )
        return width_in


_LISTED = "\n".join(f"{name:<13} {plot.text}" for name, plot in PLOTS.items())


@click.command(epilog=f"\b\nCharts:\n{_LISTED}")
@click.argument("chart", type=click.Choice(list(PLOTS)))
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write: .pdf, .svg or .png. Its data goes into a .csv beside it.",
)
@click.option(
    "--width",
    "width_in",
    type=Width(),
    help="1 or 2 columns of a paper, or inches (default: 1; 9 inches for a screen).",
)
@click.option(
    "--style",
    "look",
    type=click.Choice(["paper", "screen"]),
    default="paper",
    show_default=True,
    help="For a paper (no title, small text) or for a screen.",
)
@options.results_dir
@options.as_json
def plot(
    chart: str,
    run_ids: tuple[str, ...],
    output: Path,
    width_in: float | None,
    look: str,
    results_dir: Path,
    as_json: bool,
) -> None:
    """Draw a CHART of one or several runs into a file, with its data as CSV beside it.

    A network has the same colour in all charts. Estimates are hatched, and what is inconclusive is
    hollow with a dashed edge. Where there is nothing to draw no file is written (exit code 2).
    """
    kind = output.suffix.lower().lstrip(".")
    if kind not in KINDS:
        known = ", ".join(f".{each}" for each in KINDS)
        raise ConfigError(f"-o {output}: the kind of file is told by its suffix, one of {known}")
    if not output.parent.is_dir():
        raise ConfigError(f"-o {output}: there is no folder {output.parent}; make it first")
    material = material_of(_opened(run_ids, results_dir))
    drawn = draw_plot(chart, material, kind, _form(look, width_in))
    for problem in material.problems:
        people().print(problem, markup=False, soft_wrap=True)
    data = output.with_suffix(".csv")
    for path, content in ((output, drawn.figure), (data, drawn.data)):
        with explained("write", path):
            write_atomic(path, content)
    if as_json:
        runs = [run.manifest.run_id for run in material.runs]
        emit_json({"chart": chart, "runs": runs, "figure": str(output), "data": str(data)})
        return
    for path in (output, data):
        people().print(str(path), markup=False, soft_wrap=True)


def _opened(run_ids: tuple[str, ...], results_dir: Path) -> tuple[Run, ...]:
    runs: list[Run] = []
    for name in run_ids:
        run = completed(open_run(name, results_dir))
        if any(run.manifest.run_id == other.manifest.run_id for other in runs):
            raise ConfigError(f"{name} is given twice")
        for problem in run.problems:
            people().print(f"{run.manifest.run_id}: {problem}", markup=False, soft_wrap=True)
        if not run.trials:
            why = "; ".join(run.manifest.device_errors.values()) or "it was cut short"
            raise ConfigError(
                f"{run.manifest.run_id} has no trial ({why}); `bench run --resume "
                f"{run.manifest.run_id}` measures what is missing"
            )
        runs.append(run)
    return tuple(runs)


def _form(look: str, width_in: float | None) -> Form:
    if look == "paper":
        return paper(COLUMNS_IN["1"] if width_in is None else width_in)
    return SCREEN if width_in is None else Form(width_in)

"""Energy and power of the cases of one device. Estimates are hatched and say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bench.analysis.trace import power_readings
from bench.figures import EnergyStats, PowerCalibration
from bench.records import Trial
from bench.report import canvas
from bench.report import format as fmt
from bench.report.rows import Row
from bench.status import Source
from bench.store.raw import PowerSegment

_HATCH = "////"
_COLUMNS = 3
_MOST_POINTS = 1500
"""Readings drawn per trace at most; longer traces are thinned."""


def energy_chart(rows: Sequence[Row], where: str) -> Figure:
    """Draw the gross and net energy per inference of each case with its uncertainty."""
    known = [row.trial.energy for row in rows if row.trial and row.trial.energy]
    with canvas.style():
        figure, axes = canvas.row_figure(
            rows, _title("Energy per inference", known), f"{where} · {_source_words(known)}"
        )
        unit, name = fmt.joules_unit(max((stats.gross_j for stats in known), default=1e-3))
        for position, row in enumerate(rows):
            if row.trial is None or row.trial.energy is None:
                canvas.blank(axes, position, _why_no_energy(row))
                continue
            _draw_energy(axes, position, row, row.trial, row.trial.energy, unit)
        gross = max((stats.gross_j for stats in known), default=1.0) / unit
        edges = [(stats.gross_j + (stats.uncertainty_j or 0.0)) / unit for stats in known]
        # A very uncertain figure must not squeeze the others: its bar leaves the chart.
        axes.set_xlim(0, min(1.06 * max(edges, default=1.0), 1.8 * gross))
        canvas.label_x(axes, f"energy per inference of one input [{name}]", empty=not known)
        _energy_legend(figure, known)
    return figure


def power_chart(
    rows: Sequence[Row], segments: Mapping[str, Sequence[PowerSegment]], where: str
) -> Figure | None:
    """Draw power over time: one panel per case with all its rounds, and one for idle.

    ``segments``: power traces by trial id. Time counts from the opening of each window, which is
    shaded. Readings of a calibrated sensor are drawn corrected, as the figures are. ``None`` when
    no power was sampled at all.
    """
    shown = [
        (row, row.trial, segments[row.trial.trial_id])
        for row in rows
        if row.trial
        and "power_source" in row.trial.facts
        and any(map(_is_round, segments.get(row.trial.trial_id, ())))
    ]
    if not shown:
        return None
    energies = [trial.energy for _, trial, _ in shown if trial.energy]
    # One for all cases of a device in a run.
    calibration = next((stats.calibration for stats in energies), None)
    lines = -(-(len(shown) + 1) // _COLUMNS)
    height_in = 1.2 + 1.85 * lines
    with canvas.style():
        figure = Figure(figsize=(canvas.WIDTH_IN, height_in), facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.subplots(lines, _COLUMNS, sharey=True, squeeze=False)
        figure.subplots_adjust(
            left=0.075,
            right=0.985,
            bottom=0.5 / height_in,
            top=1 - 0.88 / height_in,
            hspace=0.55,
            wspace=0.08,
        )
        panels = list(grid.flat)
        _draw_idle(panels[0], shown[0][1], shown[0][2], calibration)
        for axes, (row, trial, parts) in zip(panels[1:], shown, strict=False):
            _draw_case(axes, row, trial, parts, calibration)
        for axes in panels[len(shown) + 1 :]:
            axes.remove()
        for line in grid:
            line[0].set_ylabel("power [W]")
        panels[0].set_ylim(bottom=0)
        canvas.head(
            figure, _title("Power over time", energies), f"{where} · {_source_words(energies)}"
        )
        figure.text(
            0.53, 0.1 / height_in, "time since the window opened [s]", ha="center", fontsize=9.5
        )
        _power_legend(figure)
    return figure


def _is_round(part: PowerSegment) -> bool:
    return part.where.startswith("round-")


def _draw_energy(
    axes: Axes, position: int, row: Row, trial: Trial, stats: EnergyStats, unit: float
) -> None:
    estimated = stats.source is Source.ESTIMATED
    bars = [(-0.17, stats.gross_j, stats.uncertainty_j, 0.9)]
    if stats.net_j is not None:
        bars.append((0.19, stats.net_j, stats.net_uncertainty_j, 0.4))
    for shift, value_j, half_width_j, alpha in bars:
        axes.barh(
            position + shift,
            value_j / unit,
            height=0.32,
            facecolor="white" if estimated else row.colour,
            edgecolor=row.colour,
            hatch=_HATCH if estimated else None,
            alpha=alpha,
            linewidth=1.0,
        )
        if half_width_j is not None:
            axes.errorbar(
                value_j / unit,
                position + shift,
                xerr=half_width_j / unit,
                fmt="none",
                ecolor=canvas.INK,
                elinewidth=1.2,
                capsize=3,
            )
    canvas.annotate(
        axes,
        position,
        fmt.energy(stats),
        f"net {fmt.net_energy(stats)}",
        fmt.verdict(trial.energy_status),
    )


def _draw_idle(
    axes: Axes, trial: Trial, parts: Sequence[PowerSegment], calibration: PowerCalibration | None
) -> None:
    for part in parts:
        if not _is_round(part):
            line = "-" if part.where.startswith("idle-before") else ":"
            _draw_trace(axes, trial, part, calibration, "#555555", line)
    _panel(axes, "idle before (solid) and after (dotted)")


def _draw_case(
    axes: Axes,
    row: Row,
    trial: Trial,
    parts: Sequence[PowerSegment],
    calibration: PowerCalibration | None,
) -> None:
    for part in parts:
        if _is_round(part):
            _draw_trace(axes, trial, part, calibration, row.colour, "-")
    if trial.energy is not None and trial.energy.idle_w is not None:
        axes.axhline(trial.energy.idle_w, color="#555555", linewidth=1.0, linestyle="--")
    _panel(axes, row.short)


def _draw_trace(
    axes: Axes,
    trial: Trial,
    part: PowerSegment,
    calibration: PowerCalibration | None,
    colour: str,
    line: str,
) -> None:
    t_ns, power_w = power_readings(part.trace, trial.facts["power_source"]["total"])
    if calibration is not None:
        power_w = calibration.power_w(power_w)
    start_ns, end_ns = part.window_ns
    stride = -(-t_ns.size // _MOST_POINTS) or 1
    seconds = (t_ns[::stride] - start_ns) * 1e-9
    axes.plot(seconds, power_w[::stride], color=colour, linestyle=line, linewidth=0.9, alpha=0.85)
    axes.axvspan(0, (end_ns - start_ns) * 1e-9, color=colour, alpha=0.07, linewidth=0)


def _panel(axes: Axes, title: str) -> None:
    axes.set_title(canvas.wrapped(title, 40), fontsize=8.5, loc="left", pad=4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=canvas.GRID, linewidth=0.8)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _title(text: str, known: Sequence[EnergyStats]) -> str:
    if known and all(stats.source is Source.ESTIMATED for stats in known):
        return f"{text} — estimated, not measured"
    return text


def _source_words(known: Sequence[EnergyStats]) -> str:
    return ", ".join(dict.fromkeys(fmt.source(stats) for stats in known)) or "no energy"


def _why_no_energy(row: Row) -> str:
    if row.trial is None:
        return row.status
    return fmt.verdict(row.trial.energy_status)


def _energy_legend(figure: Figure, known: Sequence[EnergyStats]) -> None:
    grey = "#777777"
    handles = [
        Patch(facecolor=grey, alpha=0.9, label="gross"),
        Patch(facecolor=grey, alpha=0.4, label="net of idle"),
    ]
    if any(stats.source is Source.ESTIMATED for stats in known):
        handles.append(Patch(facecolor="white", edgecolor=grey, hatch=_HATCH, label="estimated"))
    _legend(figure, handles)


def _power_legend(figure: Figure) -> None:
    _legend(
        figure,
        [
            Patch(facecolor="#777777", alpha=0.2, label="energy window"),
            Line2D([], [], color="#555555", linestyle="--", linewidth=1.0, label="idle line"),
        ],
    )


def _legend(figure: Figure, handles: Sequence[Patch | Line2D]) -> None:
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(0.995, 1 - 0.05 / figure.get_figheight()),
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )

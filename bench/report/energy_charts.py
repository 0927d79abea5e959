"""Energy and power of the cases of one device. Estimates are hatched and say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.records.power import EnergyStats
from bench.records.status import Source, Verdict
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report import marks
from bench.report.canvas import (
    GRID,
    MUTED,
    SCREEN,
    Form,
    Head,
    label_x,
    message,
    panels_figure,
    style,
    wrapped,
)
from bench.report.power_traces import IDLE_COLOUR, Trace, by_panel, top_w
from bench.report.row_figure import RowFigure, Words, row_figure
from bench.report.rows import Row

_COLUMNS = 3
_NOT_MEASURED = " — estimated, not measured"


@dataclass(frozen=True, slots=True)
class _Bar:
    """Joules drawn as a bar; ``shift`` and ``height`` relative to the line of its case."""

    name: str
    shift: float
    height: float
    strength: float
    value_j: float
    half_width_j: float | None

    @property
    def ends_j(self) -> tuple[float, float]:
        """The ends of its interval."""
        half_j = self.half_width_j or 0.0
        return self.value_j - half_j, self.value_j + half_j


def energy_chart(rows: Sequence[Row], where: str, form: Form = SCREEN) -> Figure:
    """Draw the gross and net energy per inference of each case with its uncertainty.

    Without any energy the chart is one line that says why.
    """
    known = [row.trial.energy for row in rows if row.trial and row.trial.energy]
    title = _title("Energy per inference", known)
    if not known:
        with style(form):
            return message(f"No energy ({why_no_energy(rows)})", Head(title, where), form)
    verdicts = [row.trial.energy_status for row in rows if row.trial and row.trial.energy]
    head = Head(title, f"{where} · {source_words(known)}", _meanings(known, verdicts))
    unit, name = fmt.joules_unit(max(stats.gross_j for stats in known))
    edges = _edges_j(known)
    with style(form):
        made = row_figure(rows, [_words(row, edges) for row in rows], head, form)
        made.axes.set_xlim(edges[0] / unit, edges[1] / unit)
        for position, row in enumerate(rows):
            if row.trial is not None and row.trial.energy is not None:
                _draw_energy(made, position, row, row.trial, row.trial.energy, unit, edges)
        if edges[0] < 0:
            made.axes.axvline(0, color=MUTED, linewidth=0.8)
        label_x(made.axes, f"energy{_estimated(known)} per inference of one input [{name}]")
    return made.figure


def power_chart(
    rows: Sequence[Row], traces: Sequence[Trace], where: str, form: Form = SCREEN
) -> Figure | None:
    """Draw power over time: one panel per case with all its rounds, and one for idle.

    Time counts from the opening of each window, which is shaded. ``None`` without any ``traces``.
    """
    shown = by_panel(traces)
    if not shown:
        return None
    energies = [row.trial.energy for row in rows if row.trial and row.trial.energy]
    # A case without an energy has no figure that says where its readings come from.
    estimated = all(trace.is_estimated for trace in traces)
    columns = max(1, min(_COLUMNS, int(form.width_in / (2.6 * form.text)), len(shown)))
    lines = -(-len(shown) // columns)
    head = Head(
        "Power over time" + (_NOT_MEASURED if estimated else ""),
        f"{where} · {source_words(energies)}",
        _power_meanings(),
    )
    with style(form):
        figure, grid = panels_figure(
            head,
            form,
            lines,
            columns,
            1.25 * form.text,
            sharey=True,
            between_in=0.6 * form.text,
        )
        panels = [axes for line in grid for axes in line]
        for axes, (title, panel) in zip(panels, shown.items(), strict=False):
            _draw_panel(axes, title, panel, form, figure_columns=columns)
        for axes in panels[len(shown) :]:
            axes.remove()
        for line in grid:
            line[0].set_ylabel(f"power{' (est.)' if estimated else ''} [W]")
        panels[0].set_ylim(0, top_w(traces))
        figure.supxlabel("time since the window opened [s]", fontsize=form.pt(9.5), y=0.01)
    return figure


def why_no_energy(rows: Sequence[Row]) -> str:
    """Return why none of the cases has an energy, in words."""
    return "; ".join(
        dict.fromkeys(
            row.status if row.trial is None else fmt.judgement(row.trial.energy_status) or "none"
            for row in rows
        )
    )


def source_words(known: Sequence[EnergyStats]) -> str:
    """Return where energies come from."""
    return ", ".join(dict.fromkeys(fmt.source(stats) for stats in known)) or "no energy"


def _edges_j(known: Sequence[EnergyStats]) -> tuple[float, float]:
    """Return the ends of the axis. A very uncertain figure must not squeeze the others: its
    interval leaves the chart."""
    gross = max(stats.gross_j for stats in known)
    highs = [stats.gross_j + (stats.uncertainty_j or 0.0) for stats in known]
    nets = [(stats.net_j, stats.net_uncertainty_j or 0.0) for stats in known if stats.net_j]
    lows = [net - half for net, half in nets]
    return max(1.06 * min([*lows, 0.0]), -0.3 * gross), min(1.06 * max(highs), 1.8 * gross)


def _bars(stats: EnergyStats) -> list[_Bar]:
    bars = [_Bar("gross", -0.12, 0.44, 0.85, stats.gross_j, stats.uncertainty_j)]
    if stats.net_j is not None:
        bars.append(_Bar("net", 0.27, 0.26, 0.4, stats.net_j, stats.net_uncertainty_j))
    return bars


def _words(row: Row, edges: tuple[float, float]) -> Words:
    if row.trial is None or row.trial.energy is None:
        return Words(blank=row.status if row.trial is None else why_no_energy([row]))
    stats = row.trial.energy
    beyond = ", ".join(
        f"{bar.name} {fmt.joules(low)} to {fmt.joules(high)}"
        for bar in _bars(stats)
        for low, high in [bar.ends_j]
        if low < edges[0] or high > edges[1]
    )
    net = () if stats.net_j is None else (f"net {fmt.net_energy(stats)}",)
    arrows = f"arrows: {beyond}" if beyond else ""
    return Words(fmt.energy(stats), (*net, fmt.judgement(row.trial.energy_status), arrows))


def _draw_energy(
    made: RowFigure,
    position: int,
    row: Row,
    trial: Trial,
    stats: EnergyStats,
    unit: float,
    edges: tuple[float, float],
) -> None:
    how = {
        "valid": marks.is_valid(trial.energy_status),
        "estimated": stats.source is Source.ESTIMATED,
    }
    for bar in _bars(stats):
        y = made.y(position, bar.shift)
        made.axes.barh(
            y,
            bar.value_j / unit,
            height=made.h(bar.height),
            **marks.face(row.colour, strength=bar.strength, **how),
        )
        if bar.half_width_j is not None:
            low, high = bar.ends_j
            ends = edges[0] / unit, edges[1] / unit
            marks.interval(made, y, bar.value_j / unit, low / unit, high / unit, ends)


def _draw_panel(
    axes: Axes, title: str, traces: Sequence[Trace], form: Form, figure_columns: int
) -> None:
    for trace in traces:
        at_s, power_w = trace.in_panel()
        after = trace.part.startswith("idle-after")
        axes.plot(
            at_s,
            power_w,
            color=trace.colour,
            linestyle=":" if after else "-",
            linewidth=0.9 * form.text,
            alpha=0.85,
        )
        axes.axvspan(0, trace.window_s, color=trace.colour, alpha=0.07, linewidth=0)
    for trial in (trace.row.trial for trace in traces if trace.is_round):
        if trial is not None and trial.energy is not None and trial.energy.idle_w is not None:
            axes.axhline(trial.energy.idle_w, color=IDLE_COLOUR, linewidth=1.0, linestyle="--")
    chars = form.chars(form.width_in / figure_columns - 0.3 * form.text, 8.5)
    axes.set_title(wrapped(title, chars, 2), fontsize=form.pt(8.5), loc="left", pad=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _title(text: str, known: Sequence[EnergyStats]) -> str:
    if known and all(stats.source is Source.ESTIMATED for stats in known):
        return text + _NOT_MEASURED
    return text


def _estimated(known: Sequence[EnergyStats]) -> str:
    """Return what marks an axis where nothing on it was measured."""
    return " (est.)" if known and all(x.source is Source.ESTIMATED for x in known) else ""


def _meanings(known: Sequence[EnergyStats], verdicts: Sequence[Verdict]) -> tuple[Artist, ...]:
    return (
        marks.grey_patch("gross", 0.85),
        marks.grey_patch("net of idle (thinner)", 0.4),
        *marks.interval_meaning(bar.half_width_j for stats in known for bar in _bars(stats)),
        *marks.meanings(
            verdicts, estimated=any(stats.source is Source.ESTIMATED for stats in known)
        ),
    )


def _power_meanings() -> tuple[Artist, ...]:
    return (
        marks.grey_patch("energy window", 0.2),
        Line2D([], [], color=IDLE_COLOUR, linestyle="--", linewidth=1.0, label="idle line"),
    )

"""What the uncertainty of the energy of each case is made of."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.records.power import EnergyStats
from bench.records.status import Source
from bench.report import format as fmt
from bench.report.canvas import GRID, INK, SCREEN, Form, Head, style
from bench.report.energy_charts import source_words, why_no_energy
from bench.report.row_figure import RowFigure, Words, row_figure
from bench.report.rows import Row

PARTS = {
    "statistical": ("scatter of the rounds", "o", "#0072B2"),
    "quantisation": ("steps of the sensor", "s", "#D55E00"),
    "lag": ("lag of the sensor", "^", "#009E73"),
    "phases": ("power within an inference", "v", "#CC79A7"),
    "gaps": ("missing readings", "X", "#E69F00"),
    "statistical_net": ("scatter of the rounds (net)", "o", "#0072B2"),
    "idle_drift": ("drift of idle power (net)", "D", "#6B5B95"),
    "idle_quantisation": ("steps of the sensor at idle (net)", "s", "#D55E00"),
}
"""Words, marker and colour of each part; those of the net energy alone are drawn hollow."""
_LEAST = 0.01
"""Per cent of the gross energy from which on a part is drawn."""
_NET_ALONE = ("statistical_net", "idle_drift", "idle_quantisation")


def energy_parts_chart(rows: Sequence[Row], where: str, form: Form = SCREEN) -> Figure | None:
    """Draw the parts of the uncertainty of each case relative to its gross energy.

    Parts add in quadrature; those below 0.01 % are left out. The gain error of the sensor, which
    all cases of a board share, is not among them and stands in words. ``None`` when no case has
    parts.
    """
    known = [row.trial.energy for row in rows if row.trial and row.trial.energy]
    parts = [name for name in PARTS if any(_share(stats, name) >= _LEAST for stats in known)]
    if not any(stats.uncertainty_parts_j for stats in known):
        return None
    estimated = all(stats.source is Source.ESTIMATED for stats in known)
    title = "Uncertainty of the energy" + (" — estimated, not measured" if estimated else "")
    meanings = [_meaning(name, form) for name in parts]
    meanings.append(
        Line2D([], [], color=INK, linewidth=0, marker="|", ms=9, mew=1.6, label="together (gross)")
    )
    head = Head(title, f"{where} · {source_words(known)}", tuple(meanings))
    with style(form):
        made = row_figure(rows, [_words(row) for row in rows], head, form)
        made.axes.set_xscale("log")
        for position, row in enumerate(rows):
            if row.trial is not None and row.trial.energy is not None:
                _draw(made, position, row.trial.energy, parts)
        made.axes.set_xlim(_LEAST, max(10.0, 1.3 * made.axes.get_xlim()[1]))
        made.axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        mark = " (est.)" if estimated else ""
        made.axes.set_xlabel(f"95 % half-width relative to the gross energy{mark} [%]")
    return made.figure


def _share(stats: EnergyStats, name: str) -> float:
    """Return a part in per cent of the gross energy."""
    return 100 * stats.uncertainty_parts_j.get(name, 0.0) / stats.gross_j


def _meaning(name: str, form: Form) -> Artist:
    words, marker, colour = PARTS[name]
    face = "white" if name in _NET_ALONE else colour
    return Line2D(
        [], [], linewidth=0, marker=marker, color=colour, mfc=face, ms=6 * form.text, label=words
    )


def _words(row: Row) -> Words:
    if row.trial is None or row.trial.energy is None:
        return Words(blank=row.status if row.trial is None else why_no_energy([row]))
    stats = row.trial.energy
    gain = "gain error unknown"
    if stats.gain_error is not None:
        gain = f"gain error ±{100 * stats.gain_error:.2g} %, apart"
    unknown = "uncertainty unknown" if stats.uncertainty_j is None else ""
    remarks = (
        "" if stats.source is Source.ESTIMATED else gain,
        unknown,
        fmt.judgement(row.trial.energy_status),
    )
    return Words(fmt.energy(stats), remarks)


def _draw(made: RowFigure, position: int, stats: EnergyStats, parts: Sequence[str]) -> None:
    y = made.y(position)
    made.axes.axhline(y, color=GRID, linewidth=0.8, zorder=0)
    for name in parts:
        share = _share(stats, name)
        if share < _LEAST:
            continue
        _, marker, colour = PARTS[name]
        made.axes.plot(
            share,
            y,
            marker=marker,
            color=colour,
            mfc="white" if name in _NET_ALONE else colour,
            ms=6.5 * made.form.text,
            alpha=0.9,
        )
    if stats.uncertainty_j:
        at = 100 * stats.uncertainty_j / stats.gross_j
        made.axes.plot([at, at], [made.y(position, -0.3), made.y(position, 0.3)], color=INK, lw=1.6)

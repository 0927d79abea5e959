"""Charts of one or several runs by name, each with the data that it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from bench.errors import ConfigError
from bench.records.status import Verdict
from bench.records.trial import Trial
from bench.report import chart_data
from bench.report import format as fmt
from bench.report.canvas import Form, saved
from bench.report.energy_charts import energy_chart, power_chart
from bench.report.energy_parts import energy_parts_chart
from bench.report.health import health_chart
from bench.report.latency_charts import distribution_chart, latency_chart
from bench.report.material import Material
from bench.report.memory_chart import memory_chart
from bench.report.modes_chart import modes_chart
from bench.report.over_time import latency_over_time_chart
from bench.report.pareto import pareto_chart
from bench.report.sustain_chart import sustain_chart


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart: ``draw`` returns ``None`` where there is nothing to draw; ``lacking`` says why."""

    text: str
    draw: Callable[[Material, Form], Figure | None]
    data: Callable[[Material], list[chart_data.Line]]
    lacking: Callable[[Material], str]


@dataclass(frozen=True, slots=True)
class DrawnPlot:
    """A chart as a file, and its data as CSV."""

    figure: bytes
    data: bytes


def draw_plot(name: str, material: Material, kind: str, form: Form) -> DrawnPlot:
    """Draw a chart of :data:`PLOTS` as a file of a kind (:data:`bench.report.canvas.KINDS`).

    Raises:
        ConfigError: there is nothing to draw.
    """
    plot = PLOTS[name]
    figure = plot.draw(material, form)
    if figure is None:
        names = ", ".join(run.manifest.run_id for run in material.runs)
        raise ConfigError(f"nothing to draw for {name} in {names}: {plot.lacking(material)}")
    return DrawnPlot(saved(figure, kind, form), chart_data.as_csv(plot.data(material)))


def _latency(material: Material, form: Form) -> Figure | None:
    if not any(row.trial and row.trial.latency for row in material.rows):
        return None
    return latency_chart(material.rows, material.where, form)


def _distribution(material: Material, form: Form) -> Figure | None:
    if not any(
        row.trial and row.trial.latency and row.trial.trial_id in material.samples_s
        for row in material.rows
    ):
        return None
    return distribution_chart(material.rows, material.samples_s, material.where, form)


def _energy(material: Material, form: Form) -> Figure | None:
    if not any(row.trial and row.trial.energy for row in material.rows):
        return None
    return energy_chart(material.rows, material.where, form)


def _without(what: str, verdict: Callable[[Trial], Verdict]) -> Callable[[Material], str]:
    """Return what says why no case has a figure."""

    def lacking(material: Material) -> str:
        words = (
            row.status if row.trial is None else fmt.judgement(verdict(row.trial))
            for row in material.rows
        )
        why = "; ".join(dict.fromkeys(filter(None, words)))
        return f"no case has {what}" + (f" ({why})" if why else "")

    return lacking


_NO_LATENCY = _without("a latency", lambda trial: trial.latency_status)
_NO_ENERGY = _without("an energy", lambda trial: trial.energy_status)
_NO_MEMORY = _without("a memory figure", lambda trial: trial.memory_status)


def _no_samples(material: Material) -> str:
    if not any(row.trial and row.trial.latency for row in material.rows):
        return _NO_LATENCY(material)
    return "; ".join(material.problems) or "its single inferences are not stored"


def _no_power(material: Material) -> str:
    return "; ".join(material.problems) or f"no power was sampled; {_NO_ENERGY(material)}"


def _no_tradeoff(material: Material) -> str:
    return (
        f"{_NO_ENERGY(material)}, or no accuracy was counted (bench run --accuracy) where there is "
        "latency or energy"
    )


PLOTS: dict[str, Plot] = {
    "latency": Plot(
        "Median latency with its interval and p90.",
        _latency,
        lambda material: chart_data.latency(material.rows),
        _NO_LATENCY,
    ),
    "distribution": Plot(
        "How the latencies of each case are spread.",
        _distribution,
        lambda material: chart_data.distribution(material.rows, material.samples_s),
        _no_samples,
    ),
    "over-time": Plot(
        "Latency round by round.",
        lambda material, form: latency_over_time_chart(
            material.rows, material.samples, material.where, form
        ),
        lambda material: chart_data.over_time(material.rows, material.samples),
        _no_samples,
    ),
    "energy": Plot(
        "Gross and net energy per inference with their uncertainty.",
        _energy,
        lambda material: chart_data.energy(material.rows),
        _NO_ENERGY,
    ),
    "energy-parts": Plot(
        "What the uncertainty of the energy is made of.",
        lambda material, form: energy_parts_chart(material.rows, material.where, form),
        lambda material: chart_data.energy_parts(material.rows),
        _NO_ENERGY,
    ),
    "power": Plot(
        "Power over time with the energy windows.",
        lambda material, form: power_chart(material.rows, material.power, material.where, form),
        lambda material: chart_data.power(material.power),
        _no_power,
    ),
    "memory": Plot(
        "Peak memory, what the model adds, and times to load.",
        lambda material, form: memory_chart(material.rows, material.where, form),
        lambda material: chart_data.memory(material.rows),
        _NO_MEMORY,
    ),
    "pareto": Plot(
        "Accuracy against latency and energy, size against energy, with fronts.",
        lambda material, form: pareto_chart(material.rows, material.where, form),
        lambda material: chart_data.pareto(material.rows),
        _no_tradeoff,
    ),
    "modes": Plot(
        "Energy and latency of cases under several power modes.",
        lambda material, form: modes_chart(material.rows, material.where, form),
        lambda material: chart_data.modes(material.rows),
        lambda material: "no case has a latency under two power modes (bench run --power-mode A,B)",
    ),
    "sustain": Plot(
        "Latency, power and temperature under sustained load.",
        lambda material, form: sustain_chart(material.rows, material.where, form),
        lambda material: chart_data.sustain(material.rows),
        lambda material: "no case was loaded for long (bench run --sustain 30m)",
    ),
    "health": Plot(
        "Temperatures, clocks and throttling of the board over the run.",
        lambda material, form: health_chart(material.health, material.where, form),
        lambda material: chart_data.health(material.health),
        lambda material: "the boards told neither temperatures nor clocks",
    ),
}
"""Charts by name."""

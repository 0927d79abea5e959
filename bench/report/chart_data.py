"""The data of each chart as a tidy table: one line per mark, units in the names of the columns.

What was not measured is an empty cell. ``run``, ``trial`` and the columns of the case tell what a
line is about; ``status`` and ``reasons`` are those of the quantity.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.status import Verdict
from bench.records.trial import Trial
from bench.report.health import HealthPoint
from bench.report.modes_chart import modes_rows
from bench.report.over_time import round_spreads
from bench.report.pareto import TRADEOFFS, fronts, pareto_points
from bench.report.power_traces import Trace, by_panel
from bench.report.rows import Row
from bench.spreadsheets import harmless
from bench.store.raw import LatencySamples

Line = dict[str, Any]
"""A line of a table by the names of its columns."""

_CASE = ("device", "model", "scheme", "weights", "runtime", "precision", "batch", "threads")


def as_csv(lines: Iterable[Line]) -> bytes:
    """Return a table as CSV; the columns are those of the first line.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    lines = list(lines)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: harmless(cell) if isinstance(cell, str) else cell for name, cell in line.items()}
        for line in lines
    )
    return text.getvalue().encode(errors="replace")


def latency(rows: Sequence[Row]) -> list[Line]:
    """Median with its interval and percentiles."""
    names = ("p50_s", "p50_low_s", "p50_high_s", "p90_s", "p95_s", "p99_s", "samples", "rounds")
    return [
        _case(row) | _fields(row.trial and row.trial.latency, names) | _status(row, "latency")
        for row in rows
    ]


def distribution(rows: Sequence[Row], samples_s: Mapping[str, NDArray[np.float64]]) -> list[Line]:
    """Every inference of the latency rounds; a case without any has one line."""
    found = []
    for row in rows:
        status = _status(row, "latency")
        known = samples_s.get(row.trial.trial_id) if row.trial else None
        for value_s in [None] if known is None else known.tolist():
            found.append(_case(row) | {"latency_s": value_s} | status)
    return found


def over_time(rows: Sequence[Row], samples: Mapping[str, LatencySamples]) -> list[Line]:
    """Each round of each case."""
    found = []
    for position, rounds in round_spreads(rows, samples).items():
        row = rows[position]
        status = _status(row, "latency")
        names = ("kind", "index", "at_s", "p25_s", "p50_s", "p75_s")
        found += [_case(row) | _fields(item, names) | status for item in rounds]
    return found


def energy(rows: Sequence[Row]) -> list[Line]:
    """Gross and net energy with their uncertainty, and where they come from."""
    names = (
        *("gross_j", "uncertainty_j", "net_j", "net_uncertainty_j", "power_w", "idle_w"),
        *("gain_error", "source", "scope", "sensor", "rounds", "window_s"),
    )
    return [
        _case(row) | _fields(row.trial and row.trial.energy, names) | _status(row, "energy")
        for row in rows
    ]


def energy_parts(rows: Sequence[Row]) -> list[Line]:
    """One line per part of the uncertainty of each case."""
    found = []
    for row in rows:
        stats = row.trial.energy if row.trial else None
        status = _status(row, "energy")
        parts: Mapping[str, float | None] = stats.uncertainty_parts_j if stats else {}
        for name, half_width_j in (parts or {"": None}).items():
            line = {"part": name, "half_width_j": half_width_j}
            more = _fields(stats, ("gross_j", "source", "scope", "sensor"))
            found.append(_case(row) | line | more | status)
    return found


def power(traces: Sequence[Trace]) -> list[Line]:
    """The readings that are drawn (of long traces not all), corrected as the figures are."""
    found = []
    for trace in (trace for panel in by_panel(traces).values() for trace in panel):
        fixed = _case(trace.row) | {"part": trace.part, "window_s": trace.window_s}
        more = {name: trace.source.get(name) for name in ("source", "scope", "sensor")}
        found += [
            fixed | {"at_s": at_s, "power_w": None if np.isnan(power_w) else power_w} | more
            for at_s, power_w in zip(*map(np.ndarray.tolist, trace.in_panel()), strict=True)
        ]
    return found


def memory(rows: Sequence[Row]) -> list[Line]:
    """Memory of the process, and times to load."""
    names = (
        *("imported_bytes", "load_rise_bytes", "steady_rise_bytes", "peak_bytes"),
        *("steady_rise_half_width_bytes", "peak_half_width_bytes", "gpu_rise_bytes", "passes"),
    )
    return [
        _case(row)
        | _fields(row.trial and row.trial.memory, names)
        | _fields(row.trial and row.trial.load, ("load_s", "first_s"))
        | _status(row, "memory")
        for row in rows
    ]


def pareto(rows: Sequence[Row]) -> list[Line]:
    """One line per point of each trade-off, and whether it stands on the front."""
    found = []
    for tradeoff in TRADEOFFS:
        points = pareto_points(rows, tradeoff)
        best = fronts(points, more_is_better=tradeoff.more_is_better)
        ahead = {point.number for each in best for point in each}
        for point in points:
            axes = {"tradeoff": tradeoff.name, "on_front": point.number in ahead}
            found.append(_case(point.row) | axes | _worth(point.row.trial))
    return found


def modes(rows: Sequence[Row]) -> list[Line]:
    """One line per case and power mode."""
    return [_case(row) | _worth(row.trial) for group in modes_rows(rows) for row in group]


def sustain(rows: Sequence[Row]) -> list[Line]:
    """One line per stretch of the sustained load of each case."""
    names = ("at_s", "duration_s", "p50_s", "power_w", "temperature_c", "frequency_khz")
    return [
        _case(row) | _fields(point, names) | _status(row, "latency")
        for row in rows
        if row.trial and row.trial.sustain
        for point in row.trial.sustain.points
    ]


def health(devices: Mapping[str, Sequence[HealthPoint]]) -> list[Line]:
    """One line per device, time and zone, clock or counter."""
    found = []
    for device, points in devices.items():
        for point in points:
            for quantity, read in (
                ("temperature_c", point.temperature_c),
                ("frequency_khz", point.frequency_khz),
                ("throttled_events", point.throttled),
            ):
                found += [
                    {
                        "device": device,
                        "at_s": point.at_s,
                        "quantity": quantity,
                        "part": part,
                        "value": value,
                    }
                    for part, value in read.items()
                ]
    return found


def _case(row: Row) -> Line:
    run_id = row.trial.run_id if row.trial else None
    trial_id = row.trial.trial_id.removeprefix(f"{run_id}/") if row.trial else None
    case = {name: getattr(row.case, name) for name in (*_CASE, "power_mode")}
    return {"run": run_id, "trial": trial_id} | case


def _fields(record: object, names: Sequence[str]) -> Line:
    """Return the named fields, empty where there is no record."""
    return {name: getattr(record, name) if record is not None else None for name in names}


def _status(row: Row, quantity: str) -> Line:
    """Return the status of a quantity, and why it is not simply valid."""
    if row.trial is None:
        return {"status": "unmeasured", "reasons": row.missing}
    verdict: Verdict = getattr(row.trial, f"{quantity}_status")
    return {"status": verdict.status.value, "reasons": " ".join(verdict.reasons)}


def _worth(trial: Trial | None) -> Line:
    """Return what trade-offs are drawn of."""
    if trial is None:
        return {}
    latency_names = ("p50_s", "p50_low_s", "p50_high_s")
    energy_names = ("gross_j", "uncertainty_j", "source", "scope")
    return (
        _fields(trial.latency, latency_names)
        | {"latency_status": trial.latency_status.status.value}
        | _fields(trial.energy, energy_names)
        | {"energy_status": trial.energy_status.status.value}
        | _fields(trial.accuracy, ("top1", "top1_low", "top1_high"))
        | _fields(trial.artifact, ("file_bytes",))
    )

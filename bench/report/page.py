"""The page of a run: one HTML file that needs nothing else, and its charts as files."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.errors import StoreError
from bench.records import Manifest
from bench.report import format as fmt
from bench.report.canvas import rendered
from bench.report.details import Detail, details
from bench.report.energy_charts import energy_chart, power_chart
from bench.report.engine import Column, columns
from bench.report.latency_charts import distribution_chart, latency_chart
from bench.report.rows import Row, common_model, rows_by_device
from bench.report.sustain_chart import sustain_chart
from bench.status import Status, Verdict
from bench.store.files import explained, safe_name, write_atomic
from bench.store.raw import PowerSegment
from bench.store.reader import Run

PAGE_FILE = "report.html"


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """The files of a report."""

    page: Path
    charts: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, the page first."""
        return (self.page, *self.charts)


@dataclass(frozen=True, slots=True)
class _Chart:
    text: str
    uri: str


@dataclass(frozen=True, slots=True)
class _Finding:
    label: str
    quantity: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Section:
    """What the page says of one device."""

    title: str
    rows: tuple[Row, ...]
    counted: bool
    """Whether accuracy was counted for any case."""
    columns: tuple[Column, ...]
    """What only the runtimes of these cases have to show."""
    charts: tuple[_Chart, ...]
    details: tuple[tuple[str, list[Detail]], ...]
    findings: tuple[_Finding, ...]
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def write_report(run: Run, *, charts: bool = True) -> ReportPaths:
    """Draw the charts (PNG and SVG) and write the page into the run's folder.

    Draws from what is stored alone, so it can be repeated at any time. Without ``charts`` the page
    says how to have them drawn.

    Raises:
        StoreError: a file cannot be written.
    """
    folder = run.path / "charts"
    if charts:
        with explained("make", folder):
            folder.mkdir(exist_ok=True)
    devices = rows_by_device(run)
    problems = list(run.problems)
    sections, paths = [], []
    for device, rows in devices.items():
        drawn = []
        for name, text, figure in _figures(run, device, rows, problems) if charts else ():
            files = rendered(figure)
            stem = name if len(devices) == 1 else f"{name}-{safe_name(device)}"
            for kind, data in files.items():
                path = folder / f"{stem}.{kind}"
                with explained("write", path):
                    write_atomic(path, data)
                paths.append(path)
            uri = "data:image/svg+xml;base64," + base64.b64encode(files["svg"]).decode()
            drawn.append(_Chart(text, uri))
        sections.append(_section(run.manifest, device, rows, tuple(drawn)))
    page = run.path / PAGE_FILE
    with explained("write", page):
        write_atomic(page, _html(run, sections, problems, charts).encode())
    return ReportPaths(page, tuple(paths))


def _figures(
    run: Run, device: str, rows: tuple[Row, ...], problems: list[str]
) -> Iterator[tuple[str, str, Figure]]:
    """Yield ``(file name, text for those who cannot see it, figure)`` of a device's charts."""
    where = _where(device, rows)
    samples_s: dict[str, NDArray[np.float64]] = {}
    segments: dict[str, tuple[PowerSegment, ...]] = {}
    for trial_id in [row.trial.trial_id for row in rows if row.trial is not None]:
        # What cannot be read is a problem to name, not the end of the report.
        try:
            samples = run.latency(trial_id)
            timed = None if samples is None else samples.kind != "energy"
            if samples is not None and timed is not None and timed.any():
                durations_ns = samples.duration_ns[timed]
                samples_s[trial_id] = durations_ns * 1e-9
        except StoreError as error:
            problems.append(str(error))
        try:
            segments[trial_id] = run.power(trial_id)
        except StoreError as error:
            problems.append(str(error))
    yield "latency", "median latency per case, figures in the table", latency_chart(rows, where)
    if samples_s:
        figure = distribution_chart(rows, samples_s, where)
        yield "latency-distribution", "distribution of latencies per case", figure
    yield "energy", "energy per inference, figures in the table", energy_chart(rows, where)
    power = power_chart(rows, segments, where)
    if power is not None:
        yield "power", "power over time per case with the energy windows", power
    sustained = sustain_chart(rows, where)
    if sustained is not None:
        yield "sustain", "latency, power and temperature under sustained load", sustained


def _where(device: str, rows: tuple[Row, ...]) -> str:
    """Return the device and, when there is only one, the model."""
    return " · ".join(part for part in (fmt.plain(device), common_model(rows)) if part)


def _section(
    manifest: Manifest, device: str, rows: tuple[Row, ...], charts: tuple[_Chart, ...]
) -> _Section:
    findings, notes = [], []
    for row in rows:
        if row.trial is None:
            continue
        verdicts = {
            "latency": row.trial.latency_status,
            "energy": row.trial.energy_status,
            "memory": row.trial.memory_status,
        }
        if len(set(verdicts.values())) == 1:
            verdicts = {"all": row.trial.latency_status}
        if row.trial.meter is not None:
            verdicts["energy by the meter"] = row.trial.meter.status
        findings += [
            _Finding(row.short, quantity, verdict)
            for quantity, verdict in verdicts.items()
            if verdict.status is not Status.VALID
        ]
        if row.trial.energy is not None and row.trial.energy.note:
            notes.append(row.trial.energy.note)
    return _Section(
        title=_where(device, rows),
        rows=rows,
        counted=any(row.trial is not None and row.trial.accuracy is not None for row in rows),
        columns=columns(row.trial for row in rows),
        charts=charts,
        details=tuple((row.short, details(row.trial)) for row in rows if row.trial is not None),
        findings=tuple(findings),
        notes=tuple(dict.fromkeys(notes)),
        facts=tuple(flattened(manifest.probes.get(device, {}))),
    )


def flattened(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(name, text)`` of nested facts; what is unknown or empty is left out."""
    for name, value in facts.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flattened(value, f"{key} · ")
        elif isinstance(value, list | tuple):
            if value and all(isinstance(item, Mapping) for item in value):
                for item in value:
                    title = item.get("name", "")
                    rest = {k: v for k, v in item.items() if k != "name"}
                    yield from flattened(rest, f"{key} · {title} · " if title else f"{key} · ")
            elif value:
                yield key, ", ".join(str(item) for item in value)
        elif value is not None and value != "":
            yield key, str(value)


def _visible(value: object) -> object:
    """Return what stands in a ``{{ }}`` without characters that turn or hide the text around."""
    if isinstance(value, Markup):
        return Markup(fmt.plain(value))
    return fmt.plain(value) if isinstance(value, str) else value


def _html(run: Run, sections: list[_Section], problems: list[str], charts: bool) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    manifest = run.manifest
    return environment.get_template("report.html.j2").render(
        manifest=manifest,
        sections=sections,
        charts=charts,
        missing=len(run.missing),
        superseded=len(run.superseded),
        waiting=len(run.to_collect),
        problems=problems,
        procedure=[
            (name, value)
            for name, value in manifest.procedure.model_dump().items()
            if name != "name"
        ],
        fmt=fmt,
    )

"""The table at the end of a run, for a terminal."""

from __future__ import annotations

from collections import Counter

from rich import box
from rich.table import Table
from rich.text import Text

from bench.records.figures import LatencyStats
from bench.records.power import EnergyStats
from bench.records.status import Source, Status
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report.engine import Column, columns
from bench.report.rows import Row, common_model, rows_by_device
from bench.report.status_text import status_lines
from bench.store.reader import Run

_COLOURS = {
    Status.VALID: "green",
    Status.INCONCLUSIVE: "yellow",
    Status.FAILED: "bold red",
    Status.SKIPPED: "cyan",
    Status.UNMEASURED: "cyan",
}


_UNRESOLVED = "n/r"

# Broken by hand, so that the table fits into 100 columns before words break anywhere.
_NUMBERS = (
    "p50, 95 %\ninterval",
    "p90",
    "energy per\ninput",
    "mean\npower",
    "peak\nmemory",
    "artifact\nsize",
)


def summary_table(run: Run) -> Table:
    """Return one line per case: latency, energy with its source, memory, size, status."""
    devices = rows_by_device(run)
    model = common_model([row for rows in devices.values() for row in rows])
    words = (run.manifest.run_id, run.manifest.procedure.name, model)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        title=Text(" · ".join(word for word in words if word)),
        title_justify="left",
        caption=Text("\n".join(_footnotes(devices))),
        caption_justify="left",
    )
    if len(devices) > 1:
        table.add_column("device", overflow="fold")
    table.add_column("case", overflow="fold")
    for name in _NUMBERS:
        # Half a number is worse than none: the words beside them give way instead.
        table.add_column(name, justify="right", no_wrap=True)
    counted = any(row.trial and row.trial.accuracy for rows in devices.values() for row in rows)
    if counted:
        table.add_column("top-1, 95 %\ninterval", justify="right", no_wrap=True)
    further = columns(row.trial for rows in devices.values() for row in rows)
    for column in further:
        table.add_column(column.name, justify="right", no_wrap=True)
    table.add_column("status", overflow="fold")
    for device, rows in devices.items():
        for row in rows:
            cells = [Text(fmt.plain(device))] if len(devices) > 1 else []
            label = row.short if model else row.label
            table.add_row(*cells, *_cells(row, label, counted, further))
        table.add_section()
    return table


def _cells(row: Row, label: str, counted: bool, further: tuple[Column, ...]) -> list[Text]:
    trial = row.trial
    latency = trial.latency if trial else None
    memory = trial.memory if trial else None
    artifact = trial.artifact if trial else None
    stats = trial.energy if trial else None
    accuracy = [Text(fmt.accuracy(trial.accuracy if trial else None, "\n"))] if counted else []
    return [
        Text(label),
        Text(_median(latency)),
        Text(_p90(latency)),
        Text(_energy_with_source(stats)),
        Text(fmt.power(stats)),
        Text(fmt.size(memory.peak_bytes if memory else None)),
        Text(fmt.size(artifact.file_bytes if artifact else None)),
        *accuracy,
        *(Text(column.cell(trial) if trial else fmt.NONE) for column in further),
        Text("\n".join(status_lines(row)), style=_COLOURS[row.mark]),
    ]


def _median(stats: LatencyStats | None) -> str:
    interval = fmt.median_interval(stats)
    return f"{fmt.median(stats)}\n({interval})" if interval else fmt.median(stats)


def _p90(stats: LatencyStats | None) -> str:
    if stats is not None and stats.p90_s is None:
        return _UNRESOLVED
    return fmt.seconds(stats.p90_s if stats else None)


def _energy_with_source(stats: EnergyStats | None) -> str:
    text = fmt.energy(stats)
    if stats is None or stats.source is Source.ESTIMATED:
        return text
    return f"{text}\n{stats.source.value}"


def _footnotes(devices: dict[str, tuple[Row, ...]]) -> list[str]:
    """Say what a cell without a figure means, and once per device where its energy comes from."""
    trials = [row.trial for rows in devices.values() for row in rows]
    lines = []
    if any(trial is None or None in _figures(trial) for trial in trials):
        lines.append(f"{fmt.NONE}: not measured, the status says why")
    if any(_p90(trial.latency) == _UNRESOLVED for trial in trials if trial is not None):
        lines.append(f"{_UNRESOLVED}: not resolved, too few inferences for that percentile")
    return [*lines, *_sources(devices)]


def _figures(trial: Trial) -> tuple[object, ...]:
    return (trial.latency, trial.energy, trial.memory, trial.artifact)


def _sources(devices: dict[str, tuple[Row, ...]]) -> list[str]:
    """Say once per device where its energy comes from and what it covers."""
    lines: list[str] = []
    for device, rows in devices.items():
        known = [row.trial.energy for row in rows if row.trial and row.trial.energy]
        words = dict.fromkeys(
            f"energy {fmt.source(stats)}" + (f" ({stats.note})" if stats.note else "")
            for stats in known
        )
        meters = [row.trial.meter.energy for row in rows if row.trial and row.trial.meter]
        words |= dict.fromkeys(f"by meter: {fmt.source(stats)}" for stats in meters if stats)
        lines += [fmt.plain(f"{device}: {text}") for text in words]
    return lines


def boards_summary(run: Run) -> Table:
    """Return one line per board: how many of its cases have a trial, and what became of it."""
    manifest = run.manifest
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True)
    table.add_column("board", overflow="fold")
    table.add_column("cases", justify="right", no_wrap=True)
    table.add_column("outcome", overflow="fold")
    stored = Counter(trial.case.device for trial in run.trials)
    asked = Counter(case.device for case in manifest.cases)
    for name in manifest.devices:
        error = manifest.device_errors.get(name)
        retries = sum(item.device == name for item in manifest.incidents)
        word, colour = "done", "green"
        if error is not None:
            word, colour = fmt.plain(error), "bold red"
        elif stored[name] < asked[name]:
            word, colour = "interrupted", "yellow"
        elif retries:
            word, colour = "done, after a failure (manifest.json has it)", "yellow"
        table.add_row(
            Text(fmt.plain(name)), f"{stored[name]} of {asked[name]}", Text(word, style=colour)
        )
    return table

"""The cells of the page's table: what each shows, how it sorts, and what a dash in it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.records.figures import LatencyStats
from bench.records.power import EnergyStats
from bench.records.status import Status, Verdict
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report.engine import columns
from bench.report.rows import Row
from bench.report.status_text import absent, status_lines

NOT_RESOLVED = "not resolved"

_BETWEEN_WORDS = re.compile(r"(?:[^\w.]|_)+")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. ``text`` is its figure, ``small`` what stands below it in small lines.

    ``sort``: a number or a text to sort by, ``None`` sorts last; ``title``: more words, for the
    pointer and for screen readers; ``none``: there is no figure; ``kind``: a class of the page.
    """

    text: str
    small: tuple[str, ...] = ()
    sort: float | str | None = None
    title: str = ""
    none: bool = False
    kind: str = ""

    @property
    def spoken(self) -> str:
        """What the title adds to what stands in the cell, for screen readers."""
        said = self.small[-1] if self.small else ""
        return self.title.removeprefix(said) if said else self.title


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: ``name`` and ``unit`` words of its head; ``words``: it holds words, not numbers."""

    name: str
    below: str
    cell: Callable[[Row], Cell]
    words: bool = False


@dataclass(frozen=True, slots=True)
class TableLine:
    """A line of the table. ``run`` is empty on the page of one run."""

    row: Row
    run: str
    cells: tuple[Cell, ...]
    search: str
    """What the filter looks through: words in small letters, a space before each."""


def table_columns(rows: Iterable[Row]) -> tuple[TableColumn, ...]:
    """Return the columns that these rows have anything to show in."""
    rows = tuple(rows)
    trials = [row.trial for row in rows if row.trial is not None]
    found = [_P50, _TAILS, _ENERGY, _POWER, _MEMORY, _LOAD, _SIZE]
    if any(trial.accuracy is not None for trial in trials):
        found.append(_ACCURACY)
    for column in columns(trials):
        found.append(TableColumn(column.name.replace("\n", " "), "", _further(column.cell)))
    return (*found, _STATUS)


def table_lines(
    rows: Sequence[tuple[str, Row]], shown: Sequence[TableColumn]
) -> tuple[TableLine, ...]:
    """Return the lines of a table; ``rows``: each with the name of its run, or an empty one."""
    return tuple(
        TableLine(
            row,
            run,
            tuple(column.cell(row) for column in shown),
            _searched(run, row),
        )
        for run, row in rows
    )


def _searched(run: str, row: Row) -> str:
    text = " ".join(("", run, row.case.device, row.label, row.case.key, *status_lines(row)))
    return _BETWEEN_WORDS.sub(" ", text.lower())


def _none(words: str) -> Cell:
    """Return the cell of a figure that is not there; ``words``: why."""
    head, _, rest = words.partition(": ")
    return Cell(fmt.NONE, (head,), None, rest and words, none=True)


def _missing(row: Row, verdict: Callable[[Trial], Verdict]) -> Cell:
    if row.trial is None:
        return _none(row.absence)
    return _none(absent(verdict(row.trial)))


def _doubt(verdict: Verdict) -> tuple[str, ...]:
    """Return what stands below a figure that is not simply valid."""
    return () if verdict.status is Status.VALID else (verdict.status.value,)


def _latency_of(row: Row) -> LatencyStats | None:
    return None if row.trial is None else row.trial.latency


def _energy_of(row: Row) -> EnergyStats | None:
    return None if row.trial is None else row.trial.energy


def _p50(row: Row) -> Cell:
    stats = _latency_of(row)
    if stats is None or row.trial is None:
        return _missing(row, lambda trial: trial.latency_status)
    verdict = row.trial.latency_status
    interval = fmt.median_interval(stats)
    small = (f"({interval})",) if interval else ("no interval: too few rounds",)
    return Cell(
        fmt.median(stats),
        (*small, *_doubt(verdict)),
        stats.p50_s,
        _title(verdict),
        kind=_kind(verdict),
    )


def _tails(row: Row) -> Cell:
    stats = _latency_of(row)
    if stats is None:
        return _missing(row, lambda trial: trial.latency_status)
    p90, p99 = (
        f"{name} {fmt.seconds(value)}" if value is not None else f"{name} {fmt.NONE} {NOT_RESOLVED}"
        for name, value in (("p90", stats.p90_s), ("p99", stats.p99_s))
    )
    unresolved = [name for name, at in (("p90", stats.p90_s), ("p99", stats.p99_s)) if at is None]
    title = f"{' and '.join(unresolved)}: too few inferences" if unresolved else ""
    if stats.p90_s is None:
        return Cell(p90, (p99,), None, title, none=True)
    return Cell(p90, (p99,), stats.p90_s, title)


def _energy(row: Row) -> Cell:
    stats = _energy_of(row)
    if stats is None or row.trial is None:
        return _missing(row, lambda trial: trial.energy_status)
    verdict = row.trial.energy_status
    net = fmt.net_energy(stats)
    small = [f"net {net}" if stats.net_j is not None else "net not measured", fmt.source(stats)]
    return Cell(
        fmt.energy(stats),
        (*small, *_doubt(verdict)),
        stats.gross_j,
        _title(verdict),
        kind=_kind(verdict),
    )


def _power(row: Row) -> Cell:
    stats = _energy_of(row)
    if stats is None:
        return _missing(row, lambda trial: trial.energy_status)
    return Cell(fmt.power(stats), (), stats.power_w)


def _memory(row: Row) -> Cell:
    stats = None if row.trial is None else row.trial.memory
    if stats is None or row.trial is None:
        return _missing(row, lambda trial: trial.memory_status)
    verdict = row.trial.memory_status
    return Cell(
        fmt.size(stats.peak_bytes),
        _doubt(verdict),
        stats.peak_bytes,
        _title(verdict),
        kind=_kind(verdict),
    )


def _load(row: Row) -> Cell:
    stats = None if row.trial is None else row.trial.load
    if stats is None:
        return _missing(row, lambda trial: trial.memory_status)
    return Cell(fmt.seconds(stats.load_s), (), stats.load_s)


def _size(row: Row) -> Cell:
    facts = None if row.trial is None else row.trial.artifact
    if facts is None:
        return _none("not measured: no artifact")
    return Cell(fmt.size(facts.file_bytes), (), facts.file_bytes)


def _accuracy(row: Row) -> Cell:
    stats = None if row.trial is None else row.trial.accuracy
    if stats is None or stats.top1 is None:
        return _none(
            f"not measured: {stats.problem}" if stats and stats.problem else "not measured"
        )
    first, _, interval = fmt.accuracy(stats, "\n").partition("\n")
    return Cell(first, (interval,) if interval else (), stats.top1)


def _further(cell: Callable[[Trial], str]) -> Callable[[Row], Cell]:
    def found(row: Row) -> Cell:
        text = fmt.NONE if row.trial is None else cell(row.trial)
        return _none("not measured") if text == fmt.NONE else Cell(text, (), text)

    return found


def _status(row: Row) -> Cell:
    lines = status_lines(row)
    return Cell(lines[0], lines[1:], row.mark.value, kind=row.mark.value)


def _title(verdict: Verdict) -> str:
    if verdict.status is Status.VALID:
        return ""
    return f"{verdict.status.value}: {fmt.reason_words(verdict)}"


def _kind(verdict: Verdict) -> str:
    return "" if verdict.status is Status.VALID else "doubtful"


_P50 = TableColumn("latency p50", "95 % interval", _p50)
_TAILS = TableColumn("latency tails", "p90, p99", _tails)
_ENERGY = TableColumn("energy per inference", "gross, net, source", _energy)
_POWER = TableColumn("mean power", "", _power)
_MEMORY = TableColumn("peak memory", "", _memory)
_LOAD = TableColumn("load time", "", _load)
_SIZE = TableColumn("file size", "", _size)
_ACCURACY = TableColumn("top-1", "95 % interval", _accuracy)
_STATUS = TableColumn("status", "", _status, words=True)

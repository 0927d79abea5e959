"""The page of a run, or of several: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.analysis.answers import answers
from bench.analysis.conditions import subject
from bench.report import palette
from bench.report.answer_text import Paragraph, paragraph
from bench.report.cells import table_columns, table_lines
from bench.report.material import Material, title_of
from bench.report.page_charts import MOST_ROWS, TREND, DrawnChart, Room, drawn, placed
from bench.report.page_html import Page, run_head, write_page
from bench.report.rows import Row, common_model, rows_by_device, without_model
from bench.report.sections import ChartImage, Section, section
from bench.report.timeline import timeline
from bench.report.trend_view import case_trends, trend_chart
from bench.store.files import explained, safe_name, write_atomic
from bench.store.reader import Run

PAGE_FILE = "report.html"

_SPOKEN_AT_LEAST = 4
"""Groups of answers that are seen at once, and one of each device in any case."""


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """The files of a report."""

    page: Path
    charts: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, the page first."""
        return (self.page, *self.charts)


def write_report(run: Run, page: Path | None = None, *, charts: bool = True) -> ReportPaths:
    """Draw the charts (PNG and SVG) and write the page into the run's folder.

    Draws from what is stored alone, so it can be repeated at any time. ``page``: where to write the
    page instead, and no files of charts. Without ``charts`` there are none in the page either, and
    it says how to have them drawn.

    Raises:
        StoreError: a file cannot be written.
    """
    folder = run.path / "charts"
    if charts and page is None:
        with explained("make", folder):
            folder.mkdir(exist_ok=True)
    devices = rows_by_device(run)
    problems = list(run.problems)
    room = Room(cases=len(run.manifest.cases), devices=len(devices))
    sections: list[Section] = []
    paths: list[Path] = []
    for number, (device, rows) in enumerate(devices.items(), 1):
        found = Material(title_of([device], rows), rows[:MOST_ROWS], (run,), problems)
        drawings = list(drawn(found)) if charts else []
        for each in drawings if page is None else ():
            name = each.chart.name
            stem = name if len(devices) == 1 else f"{name}-{safe_name(device)}"
            paths += _write_chart(folder, stem, each)
        power = timeline(found, f"power-{number}", room.points) if charts else None
        images = placed(drawings, room, len(power.packed) if power else 0)
        sections.append(section(f"device-{number}", found.where, rows, images, power, run.manifest))
    rows_of_all = [("", row) for rows in devices.values() for row in rows]
    columns = table_columns(row for _, row in rows_of_all)
    spoken, folded = _arranged(_answers([run]))
    content = Page(
        title=run.manifest.run_id,
        runs=(run_head(run, problems),),
        spoken=spoken,
        folded=folded,
        columns=columns,
        lines=table_lines(rows_of_all, columns),
        notes=_notes(row for _, row in rows_of_all),
        sections=tuple(sections),
        charts=charts,
    )
    target = run.path / PAGE_FILE if page is None else page
    write_page(content, target)
    return ReportPaths(target, tuple(paths))


def write_joint_report(runs: Sequence[Run], page: Path) -> ReportPaths:
    """Write one page over several runs: their answers, all cases in one table, each case over time.

    The newest run comes first; over time the oldest does.

    Raises:
        StoreError: the file cannot be written.
    """
    newest_first = sorted(
        runs, key=lambda run: (run.manifest.started_at, run.manifest.run_id), reverse=True
    )
    found = [
        (run, row) for run in newest_first for rows in rows_by_device(run).values() for row in rows
    ]
    colours = palette.colours(row.case.scheme for _, row in found)
    model = common_model([row for _, row in found])
    by_device: dict[str, list[Row]] = {}
    rows_of_all: list[tuple[str, Row]] = []
    for run, row in found:
        row = replace(row, colour=colours[row.case.scheme])
        rows_of_all.append((run.manifest.run_id, row))
        when = run.manifest.started_at[:16].replace("T", " ")
        named = replace(row, short=f"{without_model(row.label, model)} · {when}")
        by_device.setdefault(row.case.device, []).append(named)
    room = Room(cases=len(rows_of_all), devices=len(by_device))
    tables, over_time = case_trends(newest_first)
    sections, trend_charts = [], []
    for number, (device, rows) in enumerate(by_device.items(), 1):
        material = Material(title_of([device], rows), tuple(rows[:MOST_ROWS]))
        trend = trend_chart(over_time, colours, device)
        first = [] if trend is None else [DrawnChart(TREND, trend)]
        images = placed([*first, *drawn(material, across=True)], room)
        here = [image for image in images if image.chart is not TREND]
        trend_charts += [
            ChartImage(f"{device}: {TREND.text}", image.uri)
            for image in images
            if image.chart is TREND and image.uri
        ]
        sections.append(section(f"device-{number}", material.where, rows, here, None, None))
    columns = table_columns(row for _, row in rows_of_all)
    spoken, folded = _arranged(_answers(newest_first))
    content = Page(
        title=f"{len(runs)} runs",
        runs=tuple(run_head(run, list(run.problems)) for run in newest_first),
        spoken=spoken,
        folded=folded,
        columns=columns,
        lines=table_lines(rows_of_all, columns),
        notes=_notes(row for _, row in rows_of_all),
        sections=tuple(sections),
        trend_charts=tuple(trend_charts),
        trends=tables,
    )
    write_page(content, page)
    return ReportPaths(page, ())


def _write_chart(folder: Path, stem: str, chart: DrawnChart) -> list[Path]:
    paths = []
    for kind, data in (("png", chart.png), ("svg", chart.svg)):
        path = folder / f"{stem}.{kind}"
        with explained("write", path):
            write_atomic(path, data)
        paths.append(path)
    return paths


def _answers(runs: Sequence[Run]) -> list[tuple[str, Paragraph]]:
    """Return what runs answer, each with its device; of several runs the title names which."""
    found = []
    for run in runs:
        for item in answers(subject(trial, run.manifest) for trial in run.trials):
            said = paragraph(item)
            if len(runs) > 1:
                said = replace(said, title=f"{said.title} · {run.manifest.run_id}")
            found.append((item.group.device, said))
    return found


def _arranged(
    found: Sequence[tuple[str, Paragraph]],
) -> tuple[tuple[Paragraph, ...], tuple[Paragraph, ...]]:
    """Return the answers that are seen at once, the first of each device among them, and others."""
    firsts = {device: number for number, (device, _) in reversed(list(enumerate(found)))}
    others = [number for number in range(len(found)) if number not in firsts.values()]
    seen = {*firsts.values(), *others[: max(0, _SPOKEN_AT_LEAST - len(firsts))]}
    return (
        tuple(said for number, (_, said) in enumerate(found) if number in seen),
        tuple(said for number, (_, said) in enumerate(found) if number not in seen),
    )


def _notes(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return what is to be said once of where energies come from."""
    notes = (row.trial.energy.note for row in rows if row.trial and row.trial.energy)
    return tuple(dict.fromkeys(note for note in notes if note))

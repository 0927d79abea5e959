"""The page of a run, or of several: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from bench.analysis.answers import answers
from bench.analysis.conditions import subject
from bench.errors import StoreError
from bench.records import Manifest
from bench.report import format as fmt
from bench.report import palette
from bench.report.answer_text import Paragraph, paragraph
from bench.report.canvas import rendered
from bench.report.cells import TableColumn, TableLine, table_columns, table_lines
from bench.report.material import Material, title_of
from bench.report.page_charts import MOST_ROWS, PageChart, data_uri, drawn
from bench.report.rows import Row, common_model, rows_by_device, without_model
from bench.report.sections import ChartImage, Section, section
from bench.report.timeline import bokeh_script, packed, timeline
from bench.report.trend_view import CaseTrend, case_trends, trend_chart
from bench.store.files import explained, safe_name, write_atomic
from bench.store.reader import Run

PAGE_FILE = "report.html"

_SPOKEN_PARAGRAPHS = 4
"""Groups of answers that are seen at once; the others are folded away."""


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
class RunHead:
    """What the page says of a run as a whole; ``procedure``: its fields as ``(name, value)``."""

    manifest: Manifest
    command: str
    resumed: tuple[tuple[str, str, str], ...]
    """When, why (empty where a person did), by which command."""
    missing: int
    superseded: int
    waiting: int
    problems: tuple[str, ...]
    procedure: tuple[tuple[str, object], ...]

    @property
    def quick(self) -> bool:
        """Whether its procedure is a first look."""
        return self.manifest.procedure.name.startswith("quick")


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template fills in."""

    title: str
    runs: tuple[RunHead, ...]
    paragraphs: tuple[Paragraph, ...]
    columns: tuple[TableColumn, ...]
    lines: tuple[TableLine, ...]
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    charts: bool = True
    """Whether charts were asked for; what a device has none of is left out all the same."""
    trend_charts: tuple[ChartImage, ...] = ()
    trends: tuple[CaseTrend, ...] = ()


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
    sections: list[Section] = []
    paths: list[Path] = []
    for number, (device, rows) in enumerate(devices.items(), 1):
        found = Material(title_of([device], rows), rows[:MOST_ROWS], (run,), problems)
        images: list[tuple[PageChart, str]] = []
        for chart, figure in drawn(found) if charts else ():
            files = rendered(figure)
            images.append((chart, data_uri(files, len(run.manifest.cases))))
            if page is None:
                name = chart.name if len(devices) == 1 else f"{chart.name}-{safe_name(device)}"
                paths += _write_chart(folder, name, files)
        power = timeline(found, f"power-{number}") if charts else None
        sections.append(section(f"device-{number}", found.where, rows, images, power, run.manifest))
    rows_of_all = [("", row) for rows in devices.values() for row in rows]
    columns = table_columns(row for _, row in rows_of_all)
    content = Page(
        title=run.manifest.run_id,
        runs=(_head(run, problems),),
        paragraphs=_paragraphs(run),
        columns=columns,
        lines=table_lines(rows_of_all, columns),
        notes=_notes(row for _, row in rows_of_all),
        sections=tuple(sections),
        charts=charts,
    )
    target = run.path / PAGE_FILE if page is None else page
    _write_page(content, target)
    return ReportPaths(target, tuple(paths))


def write_joint_report(runs: Sequence[Run], page: Path) -> ReportPaths:
    """Write one page over several runs: their answers, all cases in one table, each case over time.

    Raises:
        StoreError: the file cannot be written.
    """
    in_time = sorted(runs, key=lambda run: (run.manifest.started_at, run.manifest.run_id))
    found = [(run, row) for run in in_time for rows in rows_by_device(run).values() for row in rows]
    colours = palette.colours(palette.network(row.case) for _, row in found)
    model = common_model([row for _, row in found])
    by_device: dict[str, list[Row]] = {}
    rows_of_all: list[tuple[str, Row]] = []
    for run, row in found:
        row = replace(row, colour=colours[palette.network(row.case)])
        rows_of_all.append((run.manifest.run_id, row))
        when = run.manifest.started_at[:16].replace("T", " ")
        named = replace(row, short=f"{without_model(row.label, model)} · {when}")
        by_device.setdefault(row.case.device, []).append(named)
    sections = []
    for number, (device, rows) in enumerate(by_device.items(), 1):
        material = Material(title_of([device], rows), tuple(rows[:MOST_ROWS]))
        charts = [
            (chart, data_uri(rendered(figure), len(rows_of_all)))
            for chart, figure in drawn(material, across=True)
        ]
        sections.append(section(f"device-{number}", material.where, rows, charts, None, None))
    tables, over_time = case_trends(in_time)
    trend_charts = []
    for device in by_device:
        figure = trend_chart(over_time, colours, device)
        if figure is not None:
            text = f"{device}: latency and energy of each case over time; figures in the tables"
            trend_charts.append(ChartImage(text, data_uri(rendered(figure), 1)))
    columns = table_columns(row for _, row in rows_of_all)
    content = Page(
        title=f"{len(runs)} runs",
        runs=tuple(_head(run, list(run.problems)) for run in in_time),
        paragraphs=tuple(
            replace(item, title=f"{item.title} · {run.manifest.run_id}")
            for run in in_time
            for item in _paragraphs(run)
        ),
        columns=columns,
        lines=table_lines(rows_of_all, columns),
        notes=_notes(row for _, row in rows_of_all),
        sections=tuple(sections),
        trend_charts=tuple(trend_charts),
        trends=tables,
    )
    _write_page(content, page)
    return ReportPaths(page, ())


def _write_chart(folder: Path, name: str, files: dict[str, bytes]) -> list[Path]:
    paths = []
    for kind, data in files.items():
        path = folder / f"{name}.{kind}"
        with explained("write", path):
            write_atomic(path, data)
        paths.append(path)
    return paths


def _write_page(content: Page, path: Path) -> None:
    if path.is_dir():
        raise StoreError(f"cannot write {path}: it is a folder; name a file, such as report.html")
    with explained("write", path):
        write_atomic(path, _html(content).encode())


def _head(run: Run, problems: Sequence[str]) -> RunHead:
    manifest = run.manifest
    fields = manifest.procedure.model_dump(mode="json")
    return RunHead(
        manifest=manifest,
        command=shlex.join(manifest.command),
        resumed=tuple(
            (item.resumed_at.replace("T", " "), item.reason, shlex.join(item.command))
            for item in manifest.resumptions
        ),
        missing=len(run.missing),
        superseded=len(run.superseded),
        waiting=len(run.to_collect),
        problems=tuple(problems),
        procedure=tuple((name, value) for name, value in fields.items() if name != "name"),
    )


def _paragraphs(run: Run) -> tuple[Paragraph, ...]:
    found = answers(subject(trial, run.manifest) for trial in run.trials)
    return tuple(paragraph(item) for item in found)


def _notes(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return what is to be said once of where energies come from."""
    notes = (row.trial.energy.note for row in rows if row.trial and row.trial.energy)
    return tuple(dict.fromkeys(note for note in notes if note))


def _visible(value: object) -> object:
    """Return what stands in a ``{{ }}`` without characters that turn or hide the text around."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str) and not value.isprintable():
        return fmt.plain(value)
    return value


def _unbroken(text: str) -> Markup:
    """Return a text in which no line ends between a figure and its unit."""
    escaped = str(escape(fmt.plain(text)))
    return Markup(escaped.replace(" %", "&nbsp;%").replace(" MiB", "&nbsp;MiB"))


def _breakable(text: str) -> Markup:
    """Return a name that may be broken where it has an underscore."""
    return Markup(str(escape(fmt.plain(text))).replace("_", "_<wbr>"))


def _template_file(name: str) -> str:
    return (resources.files("bench.report") / "templates" / name).read_text(encoding="utf-8")


def _allowed(script: str) -> str:
    """Return what the page's security policy calls a script that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _html(content: Page) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters.update(unbroken=_unbroken, breakable=_breakable)
    script = _template_file("page.js")
    zoomable = any(group.timeline for item in content.sections for group in item.groups)
    bokeh = bokeh_script() if zoomable else ""
    return environment.get_template("report.html.j2").render(
        page=content,
        several=len(content.runs) > 1,
        at_once=_SPOKEN_PARAGRAPHS,
        # Both are files of this package, and neither holds what would end its element.
        style=Markup(_template_file("page.css")),
        script=Markup(script),
        scripts=" ".join(_allowed(text) for text in (script, bokeh) if text),
        bokeh=packed(bokeh.encode()) if zoomable else "",
        fmt=fmt,
    )

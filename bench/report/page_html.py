"""The page as a file: what its template fills in, and how that becomes HTML."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from bench.errors import StoreError
from bench.records.manifest import Manifest
from bench.report import format as fmt
from bench.report.answer_text import Paragraph
from bench.report.cells import TableColumn, TableLine
from bench.report.sections import ChartImage, Section
from bench.report.timeline import bokeh_script, packed
from bench.report.trend_view import CaseTrend
from bench.store.files import explained, write_atomic
from bench.store.hold import is_held
from bench.store.reader import Run


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
    at_work: bool
    """Whether a process is measuring or collecting it just now."""
    procedure: tuple[tuple[str, object], ...]

    @property
    def quick(self) -> bool:
        """Whether its procedure is a first look."""
        return self.manifest.procedure.name.startswith("quick")


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template fills in. ``spoken``: answers that are seen at once; ``folded``: those
    that are folded away."""

    title: str
    runs: tuple[RunHead, ...]
    spoken: tuple[Paragraph, ...]
    folded: tuple[Paragraph, ...]
    columns: tuple[TableColumn, ...]
    lines: tuple[TableLine, ...]
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    charts: bool = True
    """Whether charts were asked for; what a device has none of is left out all the same."""
    trend_charts: tuple[ChartImage, ...] = ()
    trends: tuple[CaseTrend, ...] = ()


def write_page(content: Page, path: Path) -> None:
    """Write the page.

    Raises:
        StoreError: the file cannot be written.
    """
    if path.is_dir():
        raise StoreError(f"cannot write {path}: it is a folder; name a file, such as report.html")
    with explained("write", path):
        write_atomic(path, _html(content).encode())


def run_head(run: Run, problems: Sequence[str]) -> RunHead:
    """Return what the page says of a run; ``problems``: what could not be read of it."""
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
        at_work=is_held(run.path),
        procedure=tuple((name, value) for name, value in fields.items() if name != "name"),
    )


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
        # Both are files of this package, and neither holds what would end its element.
        style=Markup(_template_file("page.css")),
        script=Markup(script),
        scripts=" ".join(_allowed(text) for text in (script, bokeh) if text),
        bokeh=packed(bokeh.encode()) if zoomable else "",
        fmt=fmt,
    )

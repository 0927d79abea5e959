"""The charts of the page: one table of all, in order, and how they get into the page.

A chart lies whole in ``charts/``. In the page it stands as SVG, or as a picture of dots where its
SVG is large (a thousand samples are as good as dots) or there are many cases, and more coarsely
where many boards share a page, so that it stays small.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from matplotlib.figure import Figure
from PIL import Image

from bench.report.canvas import SCREEN, saved
from bench.report.material import Material
from bench.report.plots import PLOTS

MOST_ROWS = 60
"""Cases in a chart at most: more could neither be read nor drawn."""
MOST_FINE_CASES = 16
"""Cases of a page whose charts are SVG; those of more are dots."""
MOST_SVG_BYTES = 90_000
"""What an SVG may take of the page; a larger one is dots there."""

_CASE_BYTES, _CASES_OF_SMALLEST = 42_000, 50
"""What charts may take for each case of a page, and cases that a smaller page has room for as well:
one of 50 cases stays below 3 MB with its table, its details and the script of Bokeh."""
_POINT_BYTES = 6
"""What a point of power to zoom into takes about."""
_COARSE = replace(SCREEN, dots_per_in=100)


@dataclass(frozen=True, slots=True)
class PageChart:
    """A chart of the page. ``name``: that of its file and of :data:`bench.report.plots.PLOTS`;
    ``heading``: the section it stands in (equal ones in a row make one); ``text``: for those who
    cannot see it. ``across``: it needs no raw samples, so that it can also show several runs.
    """

    name: str
    heading: str
    text: str
    across: bool = False


PAGE_CHARTS: tuple[PageChart, ...] = (
    PageChart(
        "latency",
        "Latency",
        "median latency per case with its interval; figures in the table",
        across=True,
    ),
    PageChart("distribution", "Latency", "how the latencies of each case are spread"),
    PageChart("over-time", "Latency", "latency of each case round by round"),
    PageChart(
        "energy",
        "Energy",
        "gross and net energy per inference with its uncertainty; figures in the table",
        across=True,
    ),
    PageChart(
        "energy-parts",
        "Energy",
        "what the uncertainty of the energy of each case is made of",
        across=True,
    ),
    PageChart(
        "power",
        "Power over time",
        "power around the energy windows of each case, and at idle",
    ),
    PageChart(
        "memory",
        "Memory and load time",
        "peak memory of each case and what the model adds; figures in the table",
        across=True,
    ),
    PageChart(
        "pareto",
        "What is gained and what it costs",
        "accuracy against latency and energy, size against energy; who is beaten by none",
        across=True,
    ),
    PageChart(
        "modes",
        "Power modes",
        "energy and latency of each case under several power modes",
        across=True,
    ),
    PageChart(
        "sustain",
        "Sustained load",
        "latency, power and temperature of each case under lasting load",
        across=True,
    ),
    PageChart(
        "health",
        "Health of the board",
        "temperatures, clocks and throttling over the run",
    ),
)
"""All charts in the order of the page. A new one is a line here."""

TREND = PageChart(
    "trend", "Over time", "latency and energy of each case over time; figures in the tables"
)
"""What only a page over several runs has, before the charts of its devices."""


@dataclass(frozen=True)
class DrawnChart:
    """A chart with its figure, which is made a file of a kind once, when that is asked for."""

    chart: PageChart
    figure: Figure

    @cached_property
    def svg(self) -> bytes:
        """As a drawing."""
        return saved(self.figure, "svg")

    @cached_property
    def png(self) -> bytes:
        """As dots."""
        return saved(self.figure, "png")


def drawn(found: Material, *, across: bool = False) -> Iterator[DrawnChart]:
    """Yield the charts of cases; ``across``: only those that need no raw samples."""
    for chart in PAGE_CHARTS:
        if across and not chart.across:
            continue
        figure = PLOTS[chart.name].draw(found, SCREEN)
        if figure is not None:
            yield DrawnChart(chart, figure)


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a page of so many cases the charts of each of its devices may take."""

    cases: int
    devices: int

    @property
    def device_bytes(self) -> int:
        """What the charts of a device may take together, with power to zoom into."""
        return max(_CASES_OF_SMALLEST, self.cases) * _CASE_BYTES // max(1, self.devices)

    @property
    def points(self) -> int:
        """How many points power to zoom into may have: they take a quarter of that."""
        return self.device_bytes // (4 * _POINT_BYTES)


@dataclass(frozen=True, slots=True)
class PlacedChart:
    """A chart with what draws it in the page, a data URI; empty where there was no room for it."""

    chart: PageChart
    uri: str


def placed(charts: Sequence[DrawnChart], room: Room, taken_bytes: int = 0) -> list[PlacedChart]:
    """Return how charts of a device get into the page.

    Where there is too little room the largest are drawn with fewer dots, and if that is not enough
    those that come last are left out. ``taken_bytes``: what its power to zoom into takes.
    """
    left_bytes = room.device_bytes - taken_bytes
    uris = [_fine(each, room.cases) for each in charts]
    for place in sorted(range(len(uris)), key=lambda place: -len(uris[place])):
        if sum(map(len, uris)) <= left_bytes:
            break
        coarse = _uri("image/webp", _dots(saved(charts[place].figure, "png", _COARSE)))
        uris[place] = min(uris[place], coarse, key=len)
    found = []
    for each, uri in zip(charts, uris, strict=True):
        fits = len(uri) <= left_bytes
        left_bytes -= len(uri) if fits else 0
        found.append(PlacedChart(each.chart, uri if fits else ""))
    return found


def _fine(drawn_chart: DrawnChart, cases: int) -> str:
    """Return a chart as it looks best on a page of so many cases."""
    if cases <= MOST_FINE_CASES and len(drawn_chart.svg) <= MOST_SVG_BYTES:
        return _uri("image/svg+xml", drawn_chart.svg)
    return _uri("image/webp", _dots(drawn_chart.png))


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _dots(png: bytes) -> bytes:
    """Return a chart as WebP, which takes about a third of the PNG at the same dots."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        # At most 16383 dots either way fit into a WebP.
        image.thumbnail((16383, 16383))
        # Half-transparent lines make thousands of shades that nobody tells apart.
        few = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
        few.convert("RGB").save(buffer, "WEBP", lossless=True, quality=60, method=4)
    return buffer.getvalue()

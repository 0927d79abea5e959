"""The charts of the page: one table of all, in order, and how they get into the page.

A chart lies whole in ``charts/``. In the page it stands as SVG, or as a picture of dots where its
SVG is large (a thousand samples are as good as dots) or there are many cases, so that the page
stays small.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from bench.report.canvas import SCREEN
from bench.report.material import Material
from bench.report.plots import PLOTS

MOST_ROWS = 60
"""Cases in a chart at most: more could neither be read nor drawn."""
MOST_FINE_CASES = 16
"""Cases of a page whose charts are SVG; those of more are dots."""
MOST_SVG_BYTES = 90_000
"""What an SVG may take of the page; a larger one is dots there."""


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


def drawn(found: Material, *, across: bool = False) -> Iterator[tuple[PageChart, Figure]]:
    """Yield the charts of cases; ``across``: only those that need no raw samples."""
    for chart in PAGE_CHARTS:
        if across and not chart.across:
            continue
        figure = PLOTS[chart.name].draw(found, SCREEN)
        if figure is not None:
            yield chart, figure


def data_uri(files: dict[str, bytes], cases: int) -> str:
    """Return a chart for a page of so many cases from its files (``{"svg": ..., "png": ...}``)."""
    kind, data = "image/svg+xml", files["svg"]
    if cases > MOST_FINE_CASES or len(data) > MOST_SVG_BYTES:
        kind, data = "image/webp", _dots(files["png"])
    return f"data:{kind};base64," + base64.b64encode(data).decode()


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

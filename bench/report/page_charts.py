"""The charts of the page: one table of all, in order, and how they get into the page.

A chart lies whole in ``charts/``. In the page it stands as SVG, or as a picture of dots where its
SVG is large (a thousand samples are as good as dots) or there are many cases, so that the page
stays small.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from bench.report.device_material import DeviceMaterial
from bench.report.energy_charts import energy_chart, power_chart
from bench.report.latency_charts import distribution_chart, latency_chart
from bench.report.sustain_chart import sustain_chart

MOST_ROWS = 60
"""Cases in a chart at most: more could neither be read nor drawn."""
MOST_FINE_CASES = 16
"""Cases of a page whose charts are SVG; those of more are dots."""
MOST_SVG_BYTES = 90_000
"""What an SVG may take of the page; a larger one is dots there."""


@dataclass(frozen=True, slots=True)
class PageChart:
    """A chart of the page. ``name``: of its file; ``heading``: the section it stands in (equal ones
    in a row make one); ``text``: for those who cannot see it. ``draw`` returns ``None`` where there
    is nothing to draw. ``across``: it needs no raw samples, so that it can also show several runs.
    """

    name: str
    heading: str
    text: str
    draw: Callable[[DeviceMaterial], Figure | None]
    across: bool = False


def _distribution(found: DeviceMaterial) -> Figure | None:
    if not found.samples_s:
        return None
    return distribution_chart(found.rows, found.samples_s, found.where)


PAGE_CHARTS: tuple[PageChart, ...] = (
    PageChart(
        "latency",
        "Latency",
        "median latency per case with its interval; figures in the table",
        lambda found: latency_chart(found.rows, found.where),
        across=True,
    ),
    PageChart(
        "latency-distribution",
        "Latency",
        "how the latencies of each case are spread",
        _distribution,
    ),
    PageChart(
        "energy",
        "Energy",
        "gross and net energy per inference with its uncertainty; figures in the table",
        lambda found: energy_chart(found.rows, found.where),
        across=True,
    ),
    PageChart(
        "power",
        "Power over time",
        "power around the energy windows of each case, and at idle",
        lambda found: power_chart(found.rows, found.segments, found.where),
    ),
    PageChart(
        "sustain",
        "Sustained load",
        "latency, power and temperature of each case under lasting load",
        lambda found: sustain_chart(found.rows, found.where),
        across=True,
    ),
)
"""All charts in the order of the page. A new one is a line here."""


def drawn(found: DeviceMaterial, *, across: bool = False) -> Iterator[tuple[PageChart, Figure]]:
    """Yield the charts of a device's cases; ``across``: only those that need no raw samples."""
    for chart in PAGE_CHARTS:
        if across and not chart.across:
            continue
        figure = chart.draw(found)
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

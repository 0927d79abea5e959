"""What the page says of each device: charts, findings in words, details and facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bench.analysis.accuracy import training_mismatch
from bench.records.manifest import Manifest
from bench.records.status import Status, Verdict
from bench.records.trial import Trial
from bench.report.details import Detail, details
from bench.report.page_charts import MOST_ROWS, PlacedChart
from bench.report.rows import Row
from bench.report.status_text import in_words, verdicts_of
from bench.report.timeline import Timeline

MOST_DETAILS = 200
"""Cases whose details are on the page; those of a thousand would make it too large to open."""


@dataclass(frozen=True, slots=True)
class ChartImage:
    """A chart of the page, with a text for those who cannot see it."""

    text: str
    uri: str


@dataclass(frozen=True, slots=True)
class ChartGroup:
    """The charts below one heading; ``anchor`` is unique on the page."""

    heading: str
    anchor: str
    charts: tuple[ChartImage, ...]
    timeline: Timeline | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Why figures of cases are not valid: ``words`` says of which quantities and for which reasons,
    ``detail`` more."""

    status: str
    words: str
    detail: str
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One device of the page. ``left_out``: what is too much for it, in words."""

    title: str
    anchor: str
    groups: tuple[ChartGroup, ...]
    findings: tuple[Finding, ...]
    details: tuple[tuple[str, list[Detail]], ...]
    facts: tuple[Detail, ...]
    left_out: tuple[str, ...]


def section(
    anchor: str,
    title: str,
    rows: Sequence[Row],
    charts: Sequence[PlacedChart],
    power: Timeline | None,
    manifest: Manifest | None,
) -> Section:
    """Return what the page says of a device.

    Without a ``manifest``, which is for several runs, the newest first, details and facts are left
    to the pages of the runs.
    """
    measured = [row for row in rows if row.trial is not None]
    left_out = []
    if len(rows) > MOST_ROWS:
        which = "first" if manifest is not None else "newest"
        left_out.append(
            f"The charts show the {which} {MOST_ROWS} of {len(rows)} cases; the table has all."
        )
    absent = [image.chart.name for image in charts if not image.uri]
    if absent:
        left_out.append(
            f"Left out so that this page stays small: {', '.join(absent)}. `bench plot NAME RUN` "
            "draws each."
        )
    if manifest is not None and len(measured) > MOST_DETAILS:
        left_out.append(
            f"Details of the first {MOST_DETAILS} of {len(measured)} cases are here; "
            f"`bench results show {manifest.run_id} --json` has all."
        )
    return Section(
        title=title,
        anchor=anchor,
        groups=tuple(_groups(anchor, title, [image for image in charts if image.uri], power)),
        findings=tuple(_findings(measured)),
        details=()
        if manifest is None
        else tuple((row.short, details(row.trial)) for row in measured[:MOST_DETAILS] if row.trial),
        facts=()
        if manifest is None
        else tuple(flattened(manifest.probes.get(rows[0].case.device, {}))),
        left_out=tuple(left_out),
    )


def flattened(facts: Mapping[str, Any], prefix: str = "") -> Iterator[Detail]:
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


def _groups(
    anchor: str, title: str, charts: Sequence[PlacedChart], power: Timeline | None
) -> Iterator[ChartGroup]:
    for number, (heading, found) in enumerate(groupby(charts, lambda image: image.chart.heading)):
        images = list(found)
        holds_power = any(image.chart.name == "power" for image in images)
        yield ChartGroup(
            heading=heading,
            anchor=f"{anchor}-{number + 1}",
            charts=tuple(ChartImage(f"{title}: {image.chart.text}", image.uri) for image in images),
            timeline=power if holds_power else None,
        )


def _findings(rows: Sequence[Row]) -> Iterator[Finding]:
    """Yield why figures are not valid, equal reasons once with all cases that they hold for."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        assert row.trial is not None
        verdicts = verdicts_of(row.trial)
        quantities: dict[Verdict, list[str]] = {}
        for quantity, verdict in verdicts.items():
            if verdict.status is not Status.VALID:
                quantities.setdefault(verdict, []).append(quantity)
        for verdict, names in quantities.items():
            subject = "" if len(names) == len(verdicts) else f"{' and '.join(names)} "
            key = (verdict.status.value, f"{subject}{in_words(verdict)}", verdict.detail)
            found.setdefault(key, []).append(row.short)
        mismatch = _training_mismatch(row.trial)
        if mismatch:
            key = (
                Status.INCONCLUSIVE.value,
                "accuracy inconclusive (not the training's)",
                mismatch,
            )
            found.setdefault(key, []).append(row.short)
    for (status, words, detail), cases in found.items():
        yield Finding(status, words, detail, tuple(cases))


def _training_mismatch(trial: Trial) -> str:
    """As :func:`training_mismatch`; int8 may well cost accuracy."""
    if trial.artifact is None or trial.case.precision == "int8":
        return ""
    return training_mismatch(trial.accuracy, trial.artifact.training)

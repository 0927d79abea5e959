"""A comparison as a table for a terminal, as Markdown, as JSON and as JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from bench.analysis.batches import MIN_LOADS_AS_BATCHES
from bench.analysis.compare import CaseComparison, Outcome, QuantityComparison
from bench.report import format as fmt

_STYLES = {
    Outcome.BETTER: "green",
    Outcome.SAME: "green",
    Outcome.WORSE: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.UNMEASURED: "cyan",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What ``bench compare`` found.

    ``margin`` is relative, and so is ``between_runs``, what is allowed for what shifts between
    runs; ``decisive``: the quantities that decide on ``outcome``; ``only_a`` and ``only_b``: cases
    without a partner.
    """

    margin: float
    between_runs: float
    decisive: tuple[str, ...]
    outcome: Outcome
    cases: tuple[CaseComparison, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def as_document(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data for JSON."""
    return asdict(comparison)


def as_table(comparison: Comparison) -> Table:
    """Return one line per case and quantity."""
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        caption=Text("\n".join(remarks(comparison))),
        caption_justify="left",
    )
    table.add_column("case", overflow="fold")
    table.add_column("quantity")
    for name in ("A", "B", "change B/A − 1", "95 % interval"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for case in comparison.cases:
        for number, item in enumerate(case.quantities):
            cells = [fmt.plain(case.label) if number == 0 else "", *_cells(item)]
            verdict = Text(item.word, style=_STYLES[item.outcome])
            table.add_row(*map(Text, cells), verdict)
        table.add_section()
    return table


def as_markdown(comparison: Comparison) -> str:
    """Return a Markdown table with the remarks below it."""
    lines = [
        f"**{comparison.outcome.value}** (margin {100 * comparison.margin:.3g} %, decided by "
        f"{', '.join(comparison.decisive)})",
        "",
        "| case | quantity | A | B | change | 95 % interval | verdict |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for case in comparison.cases:
        for item in case.quantities:
            cells = [case.label, *_cells(item), item.word]
            lines.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
    lines += ["", *(f"- {_escaped(remark)}" for remark in remarks(comparison))]
    return "\n".join(lines) + "\n"


def as_junit(comparison: Comparison) -> str:
    """Return a JUnit report: one test per case and quantity.

    A decisive quantity that got worse is a failure, one that is inconclusive an error, so that a
    CI server and the exit code agree; quantities that do not decide are never more than skipped.
    """
    suite = ET.Element("testsuite", name="bench compare")
    counts = {"failure": 0, "error": 0, "skipped": 0}
    tests = 0
    for case in comparison.cases:
        for item in case.quantities:
            tests += 1
            test = ET.SubElement(
                suite, "testcase", classname=fmt.plain(case.label), name=item.quantity
            )
            kind = _junit_kind(item, comparison.decisive)
            if kind:
                counts[kind] += 1
                ET.SubElement(test, kind, message=fmt.plain(f"{item.word}: {item.why}"))
            ET.SubElement(test, "system-out").text = " · ".join(_cells(item)[1:])
    suite.set("tests", str(tests))
    suite.set("failures", str(counts["failure"]))
    suite.set("errors", str(counts["error"]))
    suite.set("skipped", str(counts["skipped"]))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def explanation(comparison: Comparison) -> list[str]:
    """Return in words why each outcome is what it is, a line each."""
    lines = []
    for case in comparison.cases:
        how = "round by round" if case.paired else "by their intervals"
        lines.append(f"{case.label}: {case.a} against {case.b}, compared {how}")
        lines += _limits(case, comparison.between_runs)
        lines += [f"  differs: {item.name}: {item.a} → {item.b}" for item in case.differences]
        for item in case.quantities:
            method = f" ({item.method})" if item.method else ""
            lines.append(f"  {item.quantity}: {item.word}{method}: {item.why or 'no figure'}")
    return [fmt.plain(line) for line in lines]


def _limits(case: CaseComparison, between_runs: float) -> list[str]:
    """Return what the intervals do not show, or show only by an allowance."""
    boards = _boards_allowed(case)
    if boards:
        return [f"  {text}" for text in boards]
    allowed = any(item.between_runs is not None for item in case.quantities)
    if allowed:
        return [
            f"  what shifts a whole run (state of the machine, fresh loads) is allowed for by "
            f"±{100 * between_runs:.3g} % (95 %), combined in quadrature with both intervals"
        ]
    if not case.paired:
        return ["  what shifts a whole run is not in the intervals (--between-runs 0)"]
    if case.loads is not None and case.loads < MIN_LOADS_AS_BATCHES:
        return [
            f"  one process per case and load, {case.loads} of them: what a fresh load shifts is "
            f"not in the interval (bench run --loads {MIN_LOADS_AS_BATCHES} or more takes it in)"
        ]
    return []


def _boards_allowed(case: CaseComparison) -> list[str]:
    """Return what is allowed for because two boards of one kind are compared, by quantity."""
    return [
        f"{item.quantity}: ±{100 * item.between_boards:.3g} % allowed for what two boards of one "
        "kind differ by (--between-boards)"
        for item in case.quantities
        if item.between_boards is not None
    ]


def remarks(comparison: Comparison) -> list[str]:
    """Return what a reader of the figures must know besides them."""
    found = []
    if any(item.between_runs is not None for case in comparison.cases for item in case.quantities):
        found.append(
            f"intervals across runs allow ±{100 * comparison.between_runs:.3g} % for what shifts "
            "between runs (--between-runs); a smaller change shows between cases of one run"
        )
    for case in comparison.cases:
        found += [f"{case.label}, {text}" for text in _boards_allowed(case)]
        if case.one_kind and not _boards_allowed(case):
            found.append(f"{case.label}: two boards of one kind, and nothing is allowed for that")
        if case.differences:
            words = ", ".join(f"{item.name} {item.a} → {item.b}" for item in case.differences)
            found.append(f"{case.label} differs in: {words}")
        found += [
            f"{case.label}, {item.quantity}: {item.why}"
            for item in case.quantities
            if item.outcome is Outcome.INCONCLUSIVE and item.quantity in comparison.decisive
        ]
    for side, labels in (("A", comparison.only_a), ("B", comparison.only_b)):
        if labels:
            found.append(f"only in {side}: {', '.join(labels)}")
    return [fmt.plain(text) for text in dict.fromkeys(found)]


def _cells(item: QuantityComparison) -> list[str]:
    """Return quantity, A, B, change and interval as text."""
    change = fmt.NONE if item.ratio is None else _percent(item.ratio)
    interval = fmt.NONE
    if item.low is not None and item.high is not None:
        interval = f"{_percent(item.low)} … {_percent(item.high)}"
    return [
        item.quantity,
        _value(item, item.a),
        _value(item, item.b),
        change,
        interval,
    ]


def _value(item: QuantityComparison, value: float | None) -> str:
    if value is None:
        return fmt.NONE
    text = {"s": fmt.seconds, "J": fmt.joules}.get(item.unit)
    words = fmt.size(round(value)) if text is None else text(value, 4)
    return f"est. {words}" if item.estimated else words


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.2f} %".replace("-", "\N{MINUS SIGN}")


def _junit_kind(item: QuantityComparison, decisive: Sequence[str]) -> str:
    if item.outcome in (Outcome.BETTER, Outcome.SAME):
        return ""
    if item.quantity not in decisive or item.outcome is Outcome.UNMEASURED:
        return "skipped"
    return "failure" if item.outcome is Outcome.WORSE else "error"


def _escaped(text: str) -> str:
    """Return text that cannot break a Markdown table or become markup."""
    plain = fmt.plain(text).replace("\\", "\\\\").replace("|", "\\|")
    return plain.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")

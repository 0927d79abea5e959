"""A comparison as a table for a terminal, as Markdown, as JSON and as JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
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
    """Return a JUnit report: a test per case and quantity, and one per case without a partner.

    A decisive quantity that got worse is a failure; one that a side lacks, although it was to be
    measured (a case that failed, a sensor that is gone), is an error. What is inconclusive, was
    measured on neither side or has no partner is skipped, with words. Quantities that do not decide
    are never more than skipped.
    """
    suite = ET.Element("testsuite", name="bench compare")
    kinds: Counter[str] = Counter()
    names = [fmt.plain(case.label) for case in comparison.cases]
    for case, name in zip(comparison.cases, names, strict=True):
        # The same case on two devices has one label.
        classname = name if names.count(name) == 1 else f"{name} ({fmt.plain(case.b)})"
        for item in case.quantities:
            kind = _junit_kind(item, comparison.decisive)
            why = f"{item.word}: {item.why}" if item.why else item.word
            kinds[kind] += 1
            _add_test(suite, classname, item.quantity, kind, why, " · ".join(_cells(item)[1:]))
    for side, labels in (("A", comparison.only_a), ("B", comparison.only_b)):
        for label in labels:
            kinds["skipped"] += 1
            why = f"only in {side}: nothing to compare it with"
            _add_test(suite, fmt.plain(label), "case", "skipped", why, "")
    suite.set("tests", str(kinds.total()))
    suite.set("failures", str(kinds["failure"]))
    suite.set("errors", str(kinds["error"]))
    suite.set("skipped", str(kinds["skipped"]))
    suite.set("time", "0")
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add_test(
    suite: ET.Element, classname: str, name: str, kind: str, why: str, figures: str
) -> None:
    test = ET.SubElement(suite, "testcase", classname=classname, name=name, time="0")
    if kind:
        verdict = ET.SubElement(test, kind, message=fmt.plain(why))
        if kind != "skipped":
            verdict.set("type", kind)
    if figures:
        ET.SubElement(test, "system-out").text = figures


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
    if item.outcome is Outcome.WORSE:
        return "failure"
    return "error" if item.a is None or item.b is None else "skipped"


def _escaped(text: str) -> str:
    """Return text that cannot break a Markdown table, become markup or call somebody's name."""
    plain = fmt.plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for letter in "\\`*_~|[]":
        plain = plain.replace(letter, f"\\{letter}")
    # A power mode is written @MAXN, which code hosts take for a person.
    return plain.replace("@", "@&#8203;")

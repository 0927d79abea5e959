"""``bench selftest``: known waveforms and known mistakes through the measuring code."""

from __future__ import annotations

from typing import Any

import click

from bench.cli import EXIT_FAILED_CASE, options
from bench.cli.output import emit_json
from bench.selftest import CHECKS, Coverage, Finding, Row

HEAD = (
    f"{'':4} {'check':9} {'waveform':27} {'sensor, window':28} "
    f"{'reported':>10} {'true':>10} {'error':>8} {'budget':>6} {'stated ±':>8}  covers"
)


@click.command()
@click.option("--only", type=click.Choice(list(CHECKS)), help="One half of it.")
@options.as_json
def selftest(only: str | None, as_json: bool) -> int:
    """Prove the measuring code on known truths: no board, under two minutes.

    Prints what is reported against what is true. Estimators that are known to be wrong run beside
    it and must miss a budget. Exit code 1 when a budget is missed, stated intervals hold the truth
    too rarely, or a wrong estimator misses no budget.
    """
    findings: list[Finding] = []
    if not as_json:
        click.echo(HEAD)
    for check in [only] if only else list(CHECKS):
        for finding in CHECKS[check]():
            findings.append(finding)
            if not as_json:
                click.echo(_line(finding))
    failed = sum(not finding.passed for finding in findings)
    if as_json:
        emit_json({"passed": failed == 0, "findings": [_document(item) for item in findings]})
    else:
        click.echo(_summary(findings, failed))
    return EXIT_FAILED_CASE if failed else 0


def _line(finding: Finding) -> str:
    mark = "ok  " if finding.passed else "FAIL"
    if isinstance(finding, Row):
        return f"{mark} {_row_text(finding)}"
    if isinstance(finding, Coverage):
        return (
            f"{mark} coverage  {finding.name}: 95 % intervals hold the truth in "
            f"{finding.share:.1%} of {finding.trials} (at least {finding.least:.0%})"
        )
    caught = "caught" if finding.passed else "NOT CAUGHT"
    return (
        f"{mark} mistake   {finding.name}: {caught}, misses {finding.missed} of {finding.tried} "
        f"budgets; {finding.worst}"
    )


def _row_text(row: Row) -> str:
    reported = "—" if row.reported is None else f"{row.reported:.3f}"
    error = "—" if row.error is None else f"{row.error:+.2%}"
    stated = "—" if row.half_width is None else f"{row.half_width:.2%}"
    covers = {True: "yes", False: "no", None: "—"}[row.covers]
    flags = f"  {', '.join(row.flags)}" if row.flags else ""
    return (
        f"{row.check:9} {row.name:27} {row.setting:28} {reported:>10} "
        f"{row.true:>7.3f} {row.unit} {error:>8} {row.budget:>6.1%} {stated:>8}  {covers:6}{flags}"
    )


def _summary(findings: list[Finding], failed: int) -> str:
    rows = [finding for finding in findings if isinstance(finding, Row)]
    stated = [row for row in rows if row.covers is not None]
    excused = sum(row.excused for row in rows)
    text = f"{len(findings) - failed} of {len(findings)} checks passed"
    if excused:
        text += f" ({excused} rows only because the code itself says that it cannot see them)"
    return f"{text}; the stated interval holds the truth in {_share(stated)} rows"


def _share(rows: list[Row]) -> str:
    return f"{sum(row.covers is True for row in rows)} of {len(rows)}"


def _document(finding: Finding) -> dict[str, Any]:
    kind = {"Row": "row", "Coverage": "coverage", "WrongEstimator": "mistake"}
    fields = {name: getattr(finding, name) for name in finding.__dataclass_fields__}
    document = {"kind": kind[type(finding).__name__], **fields, "passed": finding.passed}
    if isinstance(finding, Row):
        document.update(error=finding.error, covers=finding.covers)
    return document

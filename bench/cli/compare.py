"""``bench compare``: is B better or worse than A, and how sure is that?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from bench.analysis.allowances import BETWEEN_RUNS
from bench.analysis.board_spread import BETWEEN_BOARDS, pool_spread
from bench.analysis.compare import Outcome, compare, overall
from bench.analysis.conditions import Subject, match, subject
from bench.analysis.figures import QUANTITIES
from bench.cli import options
from bench.cli.output import json_document, people, tables
from bench.cli.value_types import CommaList
from bench.errors import ConfigError
from bench.fleet.evaluation import completed
from bench.report.compare_text import (
    Comparison,
    as_document,
    as_junit,
    as_markdown,
    as_table,
    explanation,
)
from bench.store.files import explained, write_atomic
from bench.store.reader import open_run

EXIT_CODES = {
    Outcome.BETTER: 0,
    Outcome.SAME: 0,
    Outcome.WORSE: 1,
    Outcome.INCONCLUSIVE: 3,
}

_NAMES = tuple(quantity.name for quantity in QUANTITIES)


class Percent(click.ParamType[float]):
    """``1%`` or ``0.01`` → 0.01."""

    name = "percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse a share that is at least 0 and below 1."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            share = float(text.rstrip("% ")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share < 1:
            self.fail(f"{value!r}: write it as 1% or 0.01, at least 0 and below 100%", param, ctx)
        return share


@click.command("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--margin",
    type=Percent(),
    default="1%",
    show_default=True,
    help="A change within it counts as none.",
)
@click.option(
    "--between-runs",
    type=Percent(),
    default=f"{BETWEEN_RUNS:.0%}",
    show_default=True,
    help="Allowed for what shifts latency and energy between runs; 0 declines it.",
)
@click.option(
    "--between-boards",
    type=Percent(),
    help="Allowed for what two boards of one kind differ by; left out: what their pool has shown "
    f"(bench run --spread), else {BETWEEN_BOARDS:.0%}; 0 declines it.",
)
@click.option(
    "--fail-on",
    type=CommaList(),
    default="latency,energy",
    show_default=True,
    help=f"Quantities that decide on the exit code, of {', '.join(_NAMES)}.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "markdown", "junit"]),
    default="table",
    show_default=True,
    help="How to write it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write json, markdown or junit into this file instead of stdout.",
)
@click.option("--explain", is_flag=True, help="Say in words why each verdict is what it is.")
@options.results_dir
@options.as_json
def compare_command(
    a: str,
    b: str,
    margin: float,
    between_runs: float,
    between_boards: float | None,
    fail_on: tuple[str, ...],
    style: str,
    output: Path | None,
    explain: bool,
    results_dir: Path,
    as_json: bool,
) -> int:
    """Compare run A with run B, or two cases.

    A and B are runs (an id or a folder), or single cases of runs: RUN#t001, or RUN#TEXT where TEXT
    is a part of the name of just one case. #TEXT alone as B means a case of A's run.

    Cases of one run are compared round by round. Two runs also differ by what lasts for a whole run
    (temperature, other users, where a process lies in memory), which neither of them shows:
    --between-runs allows for it. Two boards of one kind differ as well: --between-boards.

    In JUnit a regression is a failure, a figure that one side lacks an error, and what is
    inconclusive or has no partner is skipped.

    Exit code: 0 same or better, 1 worse, 2 wrong usage, 3 inconclusive.
    """
    style = "json" if as_json else style
    if output is not None:
        _require_writable(output, style)
    unknown = [name for name in fail_on if name not in _NAMES]
    if unknown:
        raise ConfigError(f"--fail-on: no quantity {unknown[0]!r}; there is {', '.join(_NAMES)}")
    if b.startswith("#"):
        b = a.rpartition("#")[0] + b if "#" in a else a + b
    found = _compared(a, b, margin, between_runs, between_boards, fail_on, results_dir)
    if output is None:
        _print(found, style)
    else:
        with explained("write", output):
            write_atomic(output, _document(found, style).encode())
        _say_outcome(found)
    if explain:
        for line in explanation(found):
            people().print(line, markup=False)
    return EXIT_CODES[found.outcome]


def _compared(
    a: str,
    b: str,
    margin: float,
    between_runs: float,
    between_boards: float | None,
    fail_on: tuple[str, ...],
    results_dir: Path,
) -> Comparison:
    """Pair the cases of both sides and compare each pair."""
    left, right = _subjects(a, results_dir), _subjects(b, results_dir)
    only_a: list[Subject] = []
    only_b: list[Subject] = []
    if len(left) == len(right) == 1 and ("#" in a or "#" in b):
        if left[0].name == right[0].name:
            raise ConfigError(f"A and B are the same trial, {left[0].name}")
        pairs = [(left[0], right[0])]
    else:
        if {item.trial.run_id for item in left} == {item.trial.run_id for item in right}:
            raise ConfigError(
                f"A and B are the same run; name two of its cases, for example {a}#t001 {a}#t002"
            )
        pairs, only_a, only_b = match(left, right)
    if not pairs:
        names = " and ".join(
            f"{side} has {', '.join(item.trial.case.key for item in items)}"
            for side, items in (("A", left), ("B", right))
        )
        raise ConfigError(
            f"A and B have no case in common: {names}; name one case of each as RUN#CASE"
        )
    cases = tuple(compare(one, two, margin, between_runs, between_boards) for one, two in pairs)
    return Comparison(
        margin=margin,
        between_runs=between_runs,
        decisive=fail_on,
        outcome=overall(cases, fail_on),
        cases=cases,
        only_a=tuple(item.trial.case.label for item in only_a),
        only_b=tuple(item.trial.case.label for item in only_b),
    )


def _subjects(name: str, results_dir: Path) -> list[Subject]:
    """Return the trials that a run or a single case names."""
    run_name, separator, wanted = name.rpartition("#")
    run = completed(open_run(run_name if separator else name, results_dir))
    for problem in run.problems:
        people().print(f"{run.manifest.run_id}: {problem}", markup=False, soft_wrap=True)
    if not run.trials:
        raise ConfigError(f"{run.manifest.run_id} has no trials to compare")
    spreads = {
        device: pool_spread(pool, run.trials)
        for pool in run.manifest.pools
        for device in pool.devices
    }
    subjects = [
        replace(subject(trial, run.manifest), spread=spreads.get(trial.case.device, {}))
        for trial in run.trials
    ]
    if not separator:
        return subjects
    chosen = next(
        (named for rule in _NAMING if (named := [x for x in subjects if rule(x, wanted)])), []
    )
    if len(chosen) != 1:
        what = "several cases" if chosen else "no case"
        listed = ", ".join(
            f"{item.trial.trial_id} {_full_name(item)}" for item in chosen or subjects
        )
        raise ConfigError(f"{name} names {what}; there is {listed}")
    return chosen


_NAMING: tuple[Callable[[Subject, str], bool], ...] = (
    lambda item, text: text in (item.trial.trial_id, item.trial.case.key),
    lambda item, text: text in item.trial.case.key.split("/"),
    lambda item, text: text in _full_name(item),
)
"""What a case may be named by; the first that finds any counts ("runtime" is a weight mode before
it is a part of "onnxruntime")."""


def _full_name(item: Subject) -> str:
    return f"{item.trial.case.device}:{item.trial.case.key}"


def _require_writable(output: Path, style: str) -> None:
    if style == "table":
        raise ConfigError(f"-o {output}: say as what: --format json, markdown or junit")
    if not output.parent.is_dir():
        raise ConfigError(f"-o {output}: there is no folder {output.parent}; make it first")


def _document(found: Comparison, style: str) -> str:
    if style == "json":
        return json_document(as_document(found)) + "\n"
    return as_markdown(found) if style == "markdown" else as_junit(found)


def _print(found: Comparison, style: str) -> None:
    if style == "table":
        tables().print(as_table(found))
        _say_outcome(found)
    else:
        click.echo(_document(found, style), nl=False)


def _say_outcome(found: Comparison) -> None:
    words = f"{found.outcome.value}: margin {100 * found.margin:.3g} %, decided by "
    people().print(words + ", ".join(found.decisive), markup=False)

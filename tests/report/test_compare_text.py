"""A comparison in each of its formats, from stored runs."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from bench.analysis.compare import Outcome, compare, overall
from bench.analysis.conditions import subject
from bench.records.case import Case
from bench.report.compare_text import (
    Comparison,
    as_document,
    as_junit,
    as_markdown,
    as_table,
    explanation,
)

DECISIVE = ("latency", "energy")
EVIL = "a|b`c`\n<script>*x* [l](u) @MAXN &lt; ~~"


@pytest.fixture
def comparison(synthetic) -> Comparison:
    """The dense network against one that computes its weights: a third slower."""
    run = synthetic.write(synthetic.cases(), power=synthetic.ina3221)
    sides = [subject(trial, run.manifest) for trial in run.trials]
    cases = (compare(sides[0], sides[2], 0.01), compare(sides[0], sides[1], 0.01))
    return Comparison(0.01, 0.06, DECISIVE, overall(cases, DECISIVE), cases, ("left over",), ())


def test_the_table_shows_each_quantity_with_its_verdict(comparison):
    console = Console(width=160, file=io.StringIO(), color_system=None)
    console.print(as_table(comparison))
    text = console.file.getvalue()
    for words in ("dense → basis:0.25 runtime", "slower", "only in A: left over"):
        assert words in text
    assert text.count("latency") >= 2


def test_json_holds_everything_as_plain_data(comparison):
    document = json.loads(json.dumps(as_document(comparison), allow_nan=False))
    assert document["outcome"] == "worse"
    first = document["cases"][0]
    assert first["paired"] is True
    assert first["quantities"][0]["ratio"] == pytest.approx(8.4 / 6.1, rel=0.02)
    assert {item["name"] for item in first["differences"]} == {"scheme", "weights"}


def test_markdown_is_a_table_that_names_cannot_break(comparison):
    evil = dataclasses.replace(
        comparison.cases[0], label="a|b`c`\n<script>*x* [l](u) @MAXN &lt; ~~"
    )
    text = as_markdown(dataclasses.replace(comparison, cases=(evil,)))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(evil.quantities)
    assert all(line.replace("\\|", "").count("|") == 8 for line in rows)
    assert "<script>" not in text
    assert not re.search(r"(?<!\\)[`\[\]~]|@M|&lt; ", text)
    assert text.startswith("**worse**")


def junit(comparison: Comparison) -> ET.Element:
    """A report that has the structure which readers of JUnit's XML agree on."""
    suite = ET.fromstring(as_junit(comparison))
    assert suite.tag == "testsuite"
    assert set(suite.keys()) == {"name", "tests", "failures", "errors", "skipped", "time"}
    tests = list(suite)
    assert {test.tag for test in tests} == {"testcase"}
    assert int(suite.get("tests")) == len(tests)
    for kinds, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(kinds)) == len(suite.findall(f"testcase/{kind}"))
    for test in tests:
        assert set(test.keys()) == {"classname", "name", "time"}
        order = [child.tag for child in test]
        assert order in (
            [*verdict, *output]
            for verdict in ([], ["skipped"], ["error"], ["failure"])
            for output in ([], ["system-out"])
        )
        for child in test:
            allowed = {"skipped": {"message"}, "system-out": set()}
            assert set(child.keys()) == allowed.get(child.tag, {"message", "type"})
    names = [(test.get("classname"), test.get("name")) for test in tests]
    assert len(set(names)) == len(names)
    return suite


def by_name(suite: ET.Element) -> dict[tuple[str, str], ET.Element]:
    return {(test.get("classname"), test.get("name")): test for test in suite}


def changed(comparison: Comparison, **changes) -> Comparison:
    """The comparison with another latency in its first case."""
    first, *others = comparison.cases
    latency = dataclasses.replace(first.quantities[0], **changes)
    case = dataclasses.replace(first, quantities=(latency, *first.quantities[1:]))
    return dataclasses.replace(comparison, cases=(case, *others))


def test_junit_agrees_with_the_exit_code(comparison):
    suite = junit(comparison)
    found = by_name(suite)
    slow = found[comparison.cases[0].label, "latency"]
    assert "slower" in slow.find("failure").get("message")
    for (_, name), case in found.items():
        if name not in DECISIVE:
            assert case.find("failure") is None
            assert case.find("error") is None
    assert "only in A" in found["left over", "case"].find("skipped").get("message")


def test_in_junit_inconclusive_is_skipped_and_a_lost_figure_an_error(comparison):
    why = "A: inconclusive: window short"
    inconclusive = changed(comparison, outcome=Outcome.INCONCLUSIVE, word="inconclusive", why=why)
    test = by_name(junit(inconclusive))[comparison.cases[0].label, "latency"]
    assert test.find("skipped").get("message") == f"inconclusive: {why}"
    lost = changed(
        comparison,
        outcome=Outcome.INCONCLUSIVE,
        word="inconclusive",
        b=None,
        why="B has no figure (failed: crash)",
    )
    test = by_name(junit(lost))[comparison.cases[0].label, "latency"]
    assert "failed: crash" in test.find("error").get("message")


def test_junit_is_legal_whatever_cases_are_called(comparison):
    evil = dataclasses.replace(
        comparison.cases[0], label='a\x00\x1b[2J\ud800\ufffe<>&"', b="run\x07#t001"
    )
    twin = dataclasses.replace(evil, b="run#t002")
    suite = junit(dataclasses.replace(comparison, cases=(evil, twin), only_b=("x\x01y",)))
    assert len({test.get("classname") for test in suite}) == 4


def test_the_explanation_gives_reasons_in_words(comparison):
    text = "\n".join(explanation(comparison))
    assert "compared round by round" in text
    assert "differs: scheme: dense → basis:0.25" in text
    assert "beyond the margin of 1 %" in text


def across_runs(run, between_runs: float) -> Comparison:
    one = run.trials[0]
    sides = [
        subject(trial, run.manifest) for trial in (one, one.model_copy(update={"run_id": "later"}))
    ]
    cases = (compare(*sides, 0.01, between_runs),)
    return Comparison(0.01, between_runs, DECISIVE, overall(cases, DECISIVE), cases, (), ())


def test_what_is_allowed_between_runs_is_told_in_every_format(synthetic):
    run = synthetic.write(synthetic.cases(), power=synthetic.ina3221)
    found = across_runs(run, 0.03)
    document = as_document(found)
    assert document["between_runs"] == 0.03
    assert document["cases"][0]["quantities"][0]["between_runs"] == 0.03
    assert "allow ±3 % for what shifts between runs" in as_markdown(found)
    assert "±3 %" in "\n".join(explanation(found))
    declined = across_runs(run, 0.0)
    assert as_document(declined)["cases"][0]["quantities"][0]["between_runs"] is None
    assert "between runs" not in as_markdown(declined)
    assert "not in the intervals" in "\n".join(explanation(declined))


def test_unmeasured_energy_is_a_dash_and_decides_nothing(synthetic):
    run = synthetic.write(synthetic.cases()[:2], power=None)
    sides = [subject(trial, run.manifest) for trial in run.trials]
    cases = (compare(sides[0], sides[1], 0.05),)
    found = Comparison(0.05, 0.06, DECISIVE, overall(cases, DECISIVE), cases, (), ())
    energy = cases[0].quantities[1]
    assert energy.outcome is Outcome.UNMEASURED
    assert found.outcome is Outcome.SAME
    console = Console(width=160, file=io.StringIO(), color_system=None)
    console.print(as_table(found))
    line = next(row for row in console.file.getvalue().splitlines() if "energy" in row)
    assert line.count("—") == 4
    assert "unmeasured" in line


def test_conditions_come_from_the_manifest_and_the_trial(synthetic):
    case = Case(device="local", model="net", batch=8, power_mode="10W")
    run = synthetic.write([case])
    conditions = subject(run.trials[0], run.manifest).conditions
    assert conditions["board"] == "generic Linux"
    assert conditions["runtime version"] == "1.32.0"
    assert conditions["batch"] == "8"
    assert conditions["power mode"] == "10W"
    assert conditions["procedure"] == "quick"

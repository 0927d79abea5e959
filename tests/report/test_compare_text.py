"""A comparison in each of its formats, from stored runs."""

from __future__ import annotations

import dataclasses
import io
import json
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from bench.analysis.compare import Outcome, compare, overall
from bench.analysis.conditions import subject
from bench.records import Case
from bench.report.compare_text import (
    Comparison,
    as_document,
    as_junit,
    as_markdown,
    as_table,
    explanation,
)

DECISIVE = ("latency", "energy")


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
    evil = dataclasses.replace(comparison.cases[0], label="a|b\n<script>*x*")
    text = as_markdown(dataclasses.replace(comparison, cases=(evil,)))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(evil.quantities)
    assert all(line.replace("\\|", "").count("|") == 8 for line in rows)
    assert "<script>" not in text
    assert text.startswith("**worse**")


def test_junit_agrees_with_the_exit_code(comparison):
    suite = ET.fromstring(as_junit(comparison))
    assert int(suite.get("tests")) == len(suite.findall("testcase")) == 10
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) >= 1
    by_name = {
        (case.get("classname"), case.get("name")): case for case in suite.findall("testcase")
    }
    slow = by_name[comparison.cases[0].label, "latency"]
    assert "slower" in slow.find("failure").get("message")
    for (_, name), case in by_name.items():
        if name not in DECISIVE:
            assert case.find("failure") is None
            assert case.find("error") is None


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

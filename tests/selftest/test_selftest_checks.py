"""The self-test tells right from wrong, and its exit code says so."""

import json
from collections.abc import Iterator

import pytest

import bench.cli.selftest as command
from bench.cli import main
from bench.selftest.energy import LAG_S, Measured, coverage_of, measured_rows
from bench.selftest.fake_board import LAYOUTS
from bench.selftest.latency import latency_findings
from bench.selftest.mistakes import MISTAKES, Tally
from bench.selftest.outcome import Coverage, Finding, Row, WrongEstimator
from bench.selftest.real_time import real_time_row
from bench.selftest.replay import Sensor
from bench.selftest.waveforms import KINDS

STEP = next(kind for kind in KINDS if kind.name == "step at load onset")


@pytest.fixture(scope="module")
def measured() -> list[Measured]:
    """A waveform raw, behind a low-pass and with failing reads, in both layouts."""
    return [
        row
        for layout in LAYOUTS
        for sensor in (Sensor(), Sensor(lag_s=LAG_S), Sensor(failing=0.03))
        for row in measured_rows(STEP, layout, sensor, (0.5, 2.0, 10.0), seed=5)
    ]


def test_a_load_step_is_within_its_budgets(measured: list[Measured]) -> None:
    assert [item.row for item in measured if not item.row.passed] == []


def test_its_net_energy_is_within_its_budgets_and_intervals(measured: list[Measured]) -> None:
    assert [item.net for item in measured if not item.net.passed] == []
    assert [item.net for item in measured if not item.net.covers] == []


def test_every_mistake_is_caught(measured: list[Measured]) -> None:
    for mistake in MISTAKES:
        tally = Tally(mistake)
        for item in measured:
            tally.add(item)
        result = tally.result()
        assert result.passed, result


def test_the_sampler_process_measures_in_real_time() -> None:
    row = real_time_row(STEP, LAYOUTS[1], Sensor(lag_s=LAG_S), seed=1)
    assert row.reported == pytest.approx(row.true, rel=0.05)


def test_latency_intervals_hold_and_the_naive_one_does_not() -> None:
    findings = list(latency_findings())
    assert [finding for finding in findings if not finding.passed] == []
    (naive,) = [finding for finding in findings if isinstance(finding, WrongEstimator)]
    assert naive.missed >= 1


def row(reported: float | None, **changes: object) -> Row:
    fields: dict[str, object] = {
        "check": "energy",
        "name": "w",
        "setting": "s",
        "reported": reported,
        "true": 100.0,
        "unit": "mJ",
        "budget": 0.01,
        "interval": (99.0, 101.0),
    }
    return Row(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outside", "passed"),
    [(0, True), (7, True), (40, False)],
)
def test_coverage_may_fall_short_by_chance_only(outside: int, passed: bool) -> None:
    rows = [row(100.0)] * (100 - outside) + [row(120.0, interval=(119.0, 121.0))] * outside
    found = coverage_of([*rows, row(100.0, interval=None)], "rows")
    assert (found.trials, found.share) == (100, (100 - outside) / 100)
    assert 0.8 < found.least < 0.9
    assert found.passed is passed


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (row(100.5), 0),
        (row(102.0), 1),
        (row(102.0, excused=True, flags=("aliasing",)), 0),
        (row(None, interval=None), 1),
        (Coverage("c", 0.95, 300, 0.91), 0),
        (Coverage("c", 0.80, 300, 0.91), 1),
        (WrongEstimator("m", 5, 2, "+9 %"), 0),
        (WrongEstimator("m", 5, 0, "no error at all"), 1),
    ],
)
def test_exit_1_for_a_missed_budget_or_a_mistake_that_passes(
    finding: Finding,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def found() -> Iterator[Finding]:
        yield finding

    monkeypatch.setattr(command, "CHECKS", {"energy": found})
    assert main(["selftest"]) == code
    assert ("FAIL" in capsys.readouterr().out) == (code == 1)
    assert main(["selftest", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] == (code == 0)
    assert document["findings"][0]["passed"] == (code == 0)

"""Verdicts between two trials: what is told apart, what is not, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from trial_figures import energy_stats, latency_stats

from bench.analysis.allowances import BETWEEN_RUNS
from bench.analysis.compare import (
    Outcome,
    compare,
    decide,
    overall,
    paired_log_ratio,
)
from bench.analysis.conditions import Subject, differences, match, subject
from bench.plan.procedures import find_procedure
from bench.records.artifact import ArtifactFacts
from bench.records.case import Case
from bench.records.figures import MemoryStats, RoundFigure
from bench.records.manifest import Manifest
from bench.records.power import PowerCalibration
from bench.records.status import Reason, Source, Status, Verdict
from bench.records.trial import Trial

VALID = Verdict(status=Status.VALID)


def trial(
    number=1,
    p50_s=0.01,
    gross_j=0.05,
    *,
    seed=0,
    spread=0.02,
    rounds=40,
    drift=None,
    run_id="run",
    half_width=0.01,
    **changes,
) -> Trial:
    rng = np.random.default_rng(1000 * seed + number)
    common = np.zeros(rounds) if drift is None else drift
    figures = [
        RoundFigure(
            kind="latency",
            index=i,
            load=0,
            p50_s=p50_s * float(np.exp(common[i] + rng.normal(0, spread / np.sqrt(2)))),
        )
        for i in range(rounds)
    ]
    figures += [
        RoundFigure(kind="energy", index=i, load=0, p50_s=p50_s, gross_j=gross_j * level)
        for i, level in enumerate(np.exp(rng.normal(0, 0.005, 8)))
    ]
    fields = {
        "trial_id": f"t{number:03d}",
        "run_id": run_id,
        "case": Case(device="nano", model="net", scheme=f"s{number}"),
        "latency_status": VALID,
        "energy_status": VALID,
        "memory_status": VALID,
        "latency": latency_stats(p50_s, half_width),
        "energy": energy_stats(gross_j),
        "memory": MemoryStats(
            imported_bytes=30 << 20,
            load_rise_bytes=90 << 20,
            steady_rise_bytes=100 << 20,
            peak_bytes=140 << 20,
        ),
        "artifact": ArtifactFacts(
            graph_sha256="0" * 64, weights_sha256=None, file_bytes=1000, opset=17, ir_version=8
        ),
        "rounds": tuple(figures),
    }
    return Trial(**{**fields, **changes})


def side(a_trial, **conditions) -> Subject:
    return Subject(a_trial, {"device": "nano", "board": "Nano", **conditions})


def found(a, b, quantity="latency", margin=0.01):
    result = compare(side(a), side(b), margin)
    return next(item for item in result.quantities if item.quantity == quantity)


def test_drift_that_hits_both_drops_out_of_paired_rounds():
    drift = np.cumsum(np.random.default_rng(1).normal(0, 0.02, 40))
    a, b = trial(1, drift=drift), trial(2, p50_s=0.0103, drift=drift)
    item = found(a, b)
    assert item.method == "40 paired rounds"
    assert item.outcome is Outcome.WORSE
    assert item.word == "slower"
    assert item.low < 1.03 < item.high
    back = found(b, a)
    assert (back.outcome, back.word) == (Outcome.BETTER, "faster")
    assert back.ratio == pytest.approx(1 / item.ratio)


def test_bars_identical_is_seldom_called_different_and_3_percent_is_found():
    """Paired log-ratios with sd 2 % over 40 rounds: at margin 0 at most 6 % false alarms, at the
    default margin 3 % is found in at least 90 % (2,000 simulated comparisons each)."""
    rng = np.random.default_rng(3)
    loads = np.zeros(40, dtype=np.int64)
    false = hits = 0
    for _ in range(2000):
        logs = rng.normal(0, 0.02 / np.sqrt(2), (2, 40))
        for shift, margin in ((0.0, 0.0), (np.log(1.03), 0.01)):
            centre, half = paired_log_ratio(logs[0], logs[1] + shift, loads)
            outcome = decide(np.exp(centre - half), np.exp(centre + half), margin)
            false += not shift and outcome is not Outcome.INCONCLUSIVE
            hits += bool(shift) and outcome is Outcome.WORSE
    assert false <= 0.06 * 2000
    assert hits >= 0.9 * 2000


@pytest.mark.parametrize(
    ("low", "high", "margin", "outcome"),
    [
        (1.02, 1.04, 0.01, Outcome.WORSE),
        (0.96, 0.98, 0.01, Outcome.BETTER),
        (0.995, 1.005, 0.01, Outcome.SAME),
        (1.002, 1.015, 0.01, Outcome.INCONCLUSIVE),
        (0.9, 1.1, 0.01, Outcome.INCONCLUSIVE),
        (1.0, 1.0, 0.0, Outcome.SAME),
        (1.001, 1.002, 0.0, Outcome.WORSE),
    ],
)
def test_the_interval_and_the_margin_decide(low, high, margin, outcome):
    assert decide(low, high, margin) is outcome


def across(between_runs, quantity="latency", **changes):
    a, b = trial(1, half_width=0.03), trial(1, run_id="later", half_width=0.04, **changes)
    result = compare(side(a), side(b), 0.01, between_runs)
    return next(item for item in result.quantities if item.quantity == quantity)


def test_across_runs_two_intervals_are_combined_with_what_shifts_between_runs():
    declined = across(0.0)
    assert declined.method == "two intervals"
    assert np.log(declined.high / declined.low) / 2 == pytest.approx(0.05, rel=0.01)
    assert declined.between_runs is None
    allowed = across(0.12)
    assert np.log(allowed.high / allowed.low) / 2 == pytest.approx(
        np.hypot(0.05, np.log(1.12)), rel=0.01
    )
    assert allowed.between_runs == 0.12
    assert "±12 % between runs allowed" in allowed.why


def test_a_run_that_is_shifted_as_a_whole_is_not_called_different():
    assert across(0.0, p50_s=0.0107).outcome is Outcome.WORSE
    assert across(BETWEEN_RUNS, p50_s=0.0107).outcome is Outcome.INCONCLUSIVE
    assert across(BETWEEN_RUNS, p50_s=0.012).outcome is Outcome.WORSE


def test_only_what_a_run_can_shift_gets_the_allowance():
    assert across(0.05, "energy").between_runs == 0.05
    for name in ("memory", "peak-memory", "size"):
        assert across(0.05, name).between_runs is None
        assert across(0.05, name).high == across(0.0, name).high
    assert found(trial(1), trial(2)).between_runs is None


def test_cases_of_different_groups_were_not_side_by_side():
    a = trial(1, facts={"group": ["net/s1/onnxruntime/fp32/b1/t1"]})
    assert found(a, trial(2)).method == "two intervals"
    together = trial(1, facts={"group": [trial(2).case.key]})
    assert "paired" in found(together, trial(2)).method


def test_attempts_at_a_resumed_run_were_not_side_by_side():
    assert compare(side(trial(1)), side(trial(2)), 0.01).paired
    assert not compare(side(trial(1)), side(trial(2, attempt=1)), 0.01).paired


def test_a_status_blocks_a_verdict_but_a_wide_interval_alone_does_not():
    def judged(*reasons):
        verdict = Verdict(status=Status.INCONCLUSIVE, reasons=reasons)
        return found(trial(1), trial(2, p50_s=0.02, latency_status=verdict))

    assert judged(Reason.CI_WIDE).outcome is Outcome.WORSE
    throttled = judged(Reason.CI_WIDE, Reason.THROTTLED)
    assert throttled.outcome is Outcome.INCONCLUSIVE
    assert "throttled" in throttled.why
    assert throttled.ratio == pytest.approx(2, rel=0.02)


def test_a_failed_side_is_inconclusive_with_its_reason():
    crash = Verdict(status=Status.FAILED, reasons=(Reason.CRASH,))
    broken = trial(2, latency=None, latency_status=crash, rounds=0)
    item = found(trial(1), broken)
    assert item.outcome is Outcome.INCONCLUSIVE
    assert "failed: crash" in item.why
    assert item.ratio is None


def test_energy_is_compared_without_the_gain_on_one_board_only():
    item = found(trial(1), trial(2, gross_j=0.06), "energy")
    assert (item.outcome, item.word) == (Outcome.WORSE, "higher")
    assert item.high / item.low - 1 < 0.03
    other = compare(side(trial(1)), side(trial(1, run_id="x"), device="orin"), 0.01)
    energies = next(q for q in other.quantities if q.quantity == "energy")
    # Two gains of 5 % each, in quadrature 7 %.
    assert energies.high > 1.07


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": Source.ESTIMATED}, "estimate"),
        ({"scope": "5 V input"}, "A covers module, B covers 5 V input"),
    ],
)
def test_energies_of_another_kind_are_refused(changes, words):
    item = found(trial(1), trial(2, energy=energy_stats(0.1, **changes)), "energy")
    assert item.outcome is Outcome.INCONCLUSIVE
    assert item.ratio is None
    assert item.why.startswith("refused")
    assert words in item.why


def calibrated(run, gain_error=0.01):
    return energy_stats(
        0.05,
        gain_error=gain_error,
        calibration=PowerCalibration(
            gain=0.97,
            offset_w=0.1,
            gain_half_width=0.01,
            offset_half_width_w=0.05,
            low_w=2.0,
            high_w=6.0,
            sensor="ina3221",
            total=("VDD_IN",),
            meter="joulescope",
            run=run,
        ),
    )


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (
            energy_stats(0.05),
            calibrated("x"),
            "the sensor of A is not calibrated, that of B is calibr",
        ),
        (
            calibrated("x"),
            energy_stats(0.05),
            "is calibrated against joulescope in x, the sensor of B",
        ),
        (calibrated("x"), calibrated("y"), "in x, that of B is calibrated against joulescope in y"),
    ],
)
def test_energies_by_other_calibrations_are_refused(a, b, words):
    one, two = trial(1, energy=a), trial(1, run_id="later", energy=b)
    item = found(one, two, "energy")
    assert (item.outcome, item.ratio) == (Outcome.INCONCLUSIVE, None)
    assert item.why.startswith("refused")
    assert words in item.why
    # What has nothing to do with it is compared as ever.
    assert found(one, two, "latency").ratio is not None
    manifest = Manifest(
        run_id="r",
        started_at="",
        command=(),
        git_revision=None,
        versions={},
        procedure=find_procedure("quick"),
        devices={},
        cases=(),
    )
    differing = differences(subject(one, manifest), subject(two, manifest))
    assert [item.name for item in differing] == ["power sensor"]


def test_one_calibration_is_compared_and_two_boards_have_one_each():
    same = found(
        trial(1, energy=calibrated("x")),
        trial(1, run_id="later", energy=calibrated("x")),
        "energy",
    )
    assert same.ratio == pytest.approx(1)
    one = trial(1, energy=calibrated("x", 0.03))
    two = trial(1, run_id="later", energy=calibrated("y", 0.04))
    other = compare(side(one), side(two, device="orin"), 0.01, between_runs=0)
    energies = next(q for q in other.quantities if q.quantity == "energy")
    # Their errors, in quadrature, take the place of the data sheets'.
    assert 1.05 < energies.high < 1.06


def test_two_estimates_of_one_scope_are_compared_as_such():
    estimates = [
        trial(n, gross_j=j, energy=energy_stats(j, source=Source.ESTIMATED))
        for n, j in ((1, 0.05), (2, 0.1))
    ]
    item = found(*estimates, "energy")
    assert item.outcome is Outcome.WORSE
    assert item.estimated


def memory(rise_mib, *half_widths_mib) -> MemoryStats:
    """Of a single pass, or of several with a half-width."""
    (half_width,) = half_widths_mib or (None,)
    return MemoryStats(
        imported_bytes=30 << 20,
        load_rise_bytes=20 << 20,
        steady_rise_bytes=int(rise_mib * 2**20),
        peak_bytes=int((rise_mib + 50) * 2**20),
        passes=6 if half_widths_mib else 1,
        steady_rise_half_width_bytes=half_width and half_width * 2**20,
        peak_half_width_bytes=half_width and half_width * 2**20,
    )


def test_size_is_exact():
    assert found(trial(1), trial(2), "size").outcome is Outcome.SAME


def test_one_load_of_a_model_does_not_call_equal_memory_different():
    """Two loads of the very same network, as they were seen."""
    one, two = trial(1, memory=memory(29.63)), trial(2, memory=memory(27.77))
    for quantity in ("memory", "peak-memory"):
        assert found(one, two, quantity).outcome is Outcome.INCONCLUSIVE
    half = trial(2, memory=memory(15))
    assert found(one, half, "memory").outcome is Outcome.BETTER


def test_several_loads_tell_a_small_difference_in_memory():
    one, two = trial(1, memory=memory(28, 0.3)), trial(2, memory=memory(26, 0.1))
    item = found(one, two, "memory")
    assert item.outcome is Outcome.BETTER
    expected = np.hypot(np.hypot(0.3, 0.5) / 28, np.hypot(0.1, 0.5) / 26)
    assert np.log(item.high / item.ratio) == pytest.approx(expected, rel=0.01)


def test_what_neither_side_measured_decides_nothing():
    unmeasured = Verdict(status=Status.UNMEASURED, reasons=(Reason.NO_SENSOR,))
    rng = {"energy": None, "energy_status": unmeasured}
    a, b = trial(1, spread=1e-4, **rng), trial(2, spread=1e-4, **rng)
    result = compare(side(a), side(b), 0.01)
    assert overall([result], ("latency", "energy")) is Outcome.SAME
    assert overall([result], ("energy",)) is Outcome.INCONCLUSIVE
    one_sided = compare(side(trial(1)), side(b), 0.01)
    assert overall([one_sided], ("energy",)) is Outcome.INCONCLUSIVE


def test_a_regression_outweighs_everything():
    same = compare(side(trial(1, spread=1e-4)), side(trial(2, spread=1e-4)), 0.01)
    worse = compare(side(trial(1)), side(trial(2, p50_s=0.02)), 0.01)
    wide = compare(side(trial(1, half_width=0.5)), side(trial(1, run_id="x")), 0.01)
    assert overall([same, worse, wide], ("latency",)) is Outcome.WORSE
    assert overall([same, wide], ("latency",)) is Outcome.INCONCLUSIVE
    assert overall([same], ("latency",)) is Outcome.SAME


def test_what_differs_is_listed():
    result = compare(
        side(trial(1), runtime="1.10", threads="1"),
        side(trial(1, run_id="x"), runtime="1.32", threads="1"),
        0.01,
    )
    assert [(d.name, d.a, d.b) for d in result.differences] == [("runtime", "1.10", "1.32")]


def test_cases_are_matched_strictly_first_and_laxly_only_where_unambiguous():
    def of(device, power_mode=None, scheme="dense", run_id="a"):
        case = Case(device=device, model="net", scheme=scheme, power_mode=power_mode)
        return side(trial(1, case=case, run_id=run_id))

    a = [of("nano"), of("nano", "10W"), of("nano", scheme="basis:0.5")]
    b = [of("nano", "10W", run_id="b"), of("nano", run_id="b"), of("tx2", scheme="basis:0.5")]
    pairs, only_a, only_b = match(a, b)
    assert [(one.trial.case.power_mode, two.trial.case.power_mode) for one, two in pairs] == [
        (None, None),
        ("10W", "10W"),
        (None, None),
    ]
    assert pairs[2][1].trial.case.device == "tx2"
    assert (only_a, only_b) == ([], [])
    # Two candidates in other modes: no guess.
    pairs, only_a, only_b = match([of("nano")], [of("nano", "5W"), of("nano", "10W")])
    assert pairs == []
    assert (len(only_a), len(only_b)) == (1, 2)

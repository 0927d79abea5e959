"""One test per reason: what was recorded decides the status, and the words say it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from bench.analysis.validity import blank_trial, evaluate
from bench.records.recordings import PowerTrace
from bench.records.status import Reason, Source, Status, Verdict
from bench.records.trial import Trial

VALID = Verdict(status=Status.VALID)


@pytest.fixture
def judge(make):
    def run(recording=None, power="default", procedure=None, **more) -> Trial:
        return evaluate(
            make.recording() if recording is None else recording,
            make.case(),
            procedure or make.procedure(),
            make.source() if power == "default" else power,
            run_id="r",
            trial_id="t",
            **more,
        )

    return run


def test_a_clean_recording_is_valid_throughout(judge):
    trial = judge()
    assert trial.latency_status == VALID
    assert trial.energy_status == VALID
    assert trial.memory_status == VALID
    assert trial.memory.peak_bytes == 50_000_000
    assert trial.load.load_s == 0.1
    assert trial.parity.passed
    assert trial.facts["power_source"]["total"] == ["VDD_IN"]
    assert trial.facts["sampler_effect"] == pytest.approx(1, rel=0.05)
    assert not trial.failed
    assert Trial.model_validate(json.loads(trial.model_dump_json())) == trial


def test_memory_is_the_mean_of_all_loads_with_their_spread(judge, make):
    seen = (12_000_000, 12_600_000, 11_400_000)
    loads = tuple({"steady_rise_bytes": rise, "peak_bytes": rise + 38_000_000} for rise in seen[1:])
    memory = judge(make.recording(loads=loads)).memory
    assert (memory.passes, memory.steady_rise_bytes) == (3, 12_000_000)
    assert memory.peak_bytes == 50_000_000
    # Student's t for 2 degrees of freedom.
    assert memory.steady_rise_half_width_bytes == pytest.approx(
        4.3027 * 600_000 / np.sqrt(3), rel=1e-4
    )
    assert judge(make.recording(loads=loads[:1])).memory.steady_rise_half_width_bytes is None


def test_a_journal_of_an_older_agent_has_the_memory_of_one_pass(judge, make):
    older = ({"steady": True, "took_s": 1.2, "runs": 100},)
    memory = judge(make.recording(loads=older)).memory
    assert (memory.passes, memory.steady_rise_bytes) == (1, 12_000_000)


def test_a_latency_of_an_emulated_board_is_never_valid(judge):
    trial = judge(emulated=True)
    assert trial.latency_status.status is Status.INCONCLUSIVE
    assert trial.latency_status.reasons == (Reason.EMULATED,)
    assert trial.latency.p50_s > 0
    assert trial.energy_status == VALID


def test_a_parity_failure_has_no_numbers(judge, make):
    recording = make.recording()
    solo = {**recording.solo, "parity": {"passed": False, "detail": "cosine 0.4"}}
    trial = judge(dataclasses.replace(recording, solo=solo))
    assert trial.failed
    assert trial.latency_status.reasons == (Reason.PARITY,)
    assert "cosine 0.4" in trial.latency_status.detail
    assert trial.latency is trial.energy is trial.memory is None
    assert trial.parity.passed is False


def test_a_crash_keeps_what_was_measured_before(judge, make):
    crash = {"reason": "crash", "text": "worker ended by SIGSEGV", "detail": "..."}
    trial = judge(make.recording(failure=crash))
    assert trial.latency_status.status is Status.FAILED
    assert trial.latency_status.reasons == (Reason.CRASH,)
    assert trial.latency_status.detail == "worker ended by SIGSEGV"
    assert trial.latency.rounds == 5
    assert trial.energy.gross_j > 0
    assert trial.memory_status.status is Status.VALID
    assert trial.facts["failure"]["detail"] == "..."


def test_a_failure_to_load_has_nothing(judge, make):
    failure = {"reason": "load", "text": "opset 21 is not supported"}
    trial = judge(make.recording(failure=failure, solo=None, rounds=(), idle=()))
    for verdict in (trial.latency_status, trial.energy_status, trial.memory_status):
        assert verdict.status is Status.FAILED
        assert verdict.reasons == (Reason.LOAD,)
    assert trial.latency is None


def test_a_reason_from_a_newer_agent_is_still_a_failure(judge, make):
    trial = judge(make.recording(failure={"reason": "melted", "text": "smoke"}))
    assert trial.failed
    assert trial.latency_status.detail == "smoke"


def test_interrupted_before_anything(judge, make):
    trial = judge(make.recording(finished=False, solo=None, rounds=(), idle=(), warmup=None))
    for verdict in (trial.latency_status, trial.energy_status, trial.memory_status):
        assert verdict.status is Status.INCONCLUSIVE
        assert verdict.reasons == (Reason.INTERRUPTED,)
    assert trial.latency is trial.energy is trial.memory is None
    assert not trial.failed


def test_interrupted_keeps_the_finished_rounds(judge, make):
    whole = make.recording()
    trial = judge(dataclasses.replace(whole, rounds=whole.rounds[:4], finished=False))
    assert Reason.INTERRUPTED in trial.latency_status.reasons
    assert "4 of 5 latency rounds" in trial.latency_status.detail
    assert trial.latency.rounds == 4
    assert trial.energy is None
    assert "0 of 2 energy rounds" in trial.energy_status.detail
    assert trial.memory_status.status is Status.VALID


def test_not_steady(judge, make):
    trial = judge(make.recording(warmup={"steady": False, "took_s": 5.0, "runs": 3}))
    assert trial.latency_status.reasons == (Reason.NOT_STEADY,)
    assert trial.energy_status.reasons == (Reason.NOT_STEADY,)
    assert "5.0 s" in trial.latency_status.detail


def test_latency_interval_wide_or_unknown(judge, make):
    recording = make.recording()
    energy = [item for item in recording.rounds if item.kind == "energy"]
    noisy = [
        make.round(i, "latency", 10 + i, np.full(20, s), background=0.0)
        for i, s in enumerate((0.01, 0.012, 0.009, 0.011, 0.013))
    ]
    trial = judge(dataclasses.replace(recording, rounds=(*noisy, *energy)))
    assert trial.latency_status.reasons == (Reason.CI_WIDE,)
    assert "wanted ±2.0%" in trial.latency_status.detail
    assert trial.energy_status == VALID
    two = judge(
        dataclasses.replace(recording, rounds=(*noisy[:2], *energy)),
        procedure=make.procedure(latency_rounds=2),
    )
    assert two.latency_status.reasons == (Reason.CI_WIDE,)
    assert "too few" in two.latency_status.detail


def test_background_load_per_kind_of_round(judge, make):
    recording = make.recording()
    rounds = tuple(
        dataclasses.replace(item, background=0.3) if item.kind == "latency" else item
        for item in recording.rounds
    )
    trial = judge(dataclasses.replace(recording, rounds=rounds))
    assert trial.latency_status.reasons == (Reason.BACKGROUND_LOAD,)
    assert "30%" in trial.latency_status.detail
    assert trial.energy_status == VALID


@pytest.mark.parametrize("key", ["governor", "frequency_max_khz"])
def test_clock_changed(judge, make, key):
    health = ({"where": "before", key: {"cpu0": "a"}}, {"where": "after", key: {"cpu0": "b"}})
    trial = judge(make.recording(health=health))
    assert trial.latency_status.reasons == (Reason.CLOCK_CHANGED,)
    assert trial.energy_status.reasons == (Reason.CLOCK_CHANGED,)
    assert "cpu0" in trial.latency_status.detail


def energy_rounds(make, *power_w):
    rounds = [make.energy_round(i, 20 + 5 * i, w) for i, w in enumerate(power_w)]
    kept = [item for item in make.recording().rounds if item.kind == "latency"]
    return make.recording(rounds=(*kept, *rounds))


def test_window_short_for_a_slow_sensor_still_rising(judge, make):
    def rising(t):
        return 0.1 + 9 * (1 - np.exp(-((t - 20) % 5) / 4.0))

    trial = judge(energy_rounds(make, rising, rising), make.source(lag_s=4.0))
    assert trial.energy_status.reasons == (Reason.WINDOW_SHORT,)
    assert trial.energy is not None


def test_window_short_for_a_coarse_sensor(judge, make):
    trial = judge(power=make.source(resolution_w=1.0))
    assert trial.energy_status.reasons == (Reason.WINDOW_SHORT,)


def test_energy_rounds_that_disagree(judge, make):
    trial = judge(
        energy_rounds(
            make, lambda t: 4.5 + 1e-3 * np.sin(t * 99), lambda t: 5 + 1e-3 * np.sin(t * 99)
        )
    )
    assert trial.energy_status.reasons == (Reason.CI_WIDE,)
    assert "few rounds" in trial.energy_status.detail


def test_sensor_gaps_short_and_long(judge, make):
    recording = make.recording()

    def with_gap(start, stop):
        rounds = []
        for item in recording.rounds:
            if item.kind == "energy":
                values = item.trace.values.copy()
                values[start:stop] = np.nan
                item = dataclasses.replace(
                    item, trace=dataclasses.replace(item.trace, values=values)
                )
            rounds.append(item)
        return dataclasses.replace(recording, rounds=tuple(rounds))

    assert judge(with_gap(300, 301)).energy_status == VALID
    long = judge(with_gap(300, 400))
    assert long.energy_status.reasons == (Reason.SENSOR_GAPS,)
    assert "2 of 2 energy rounds" in long.energy_status.detail
    assert long.energy is None
    short = judge(with_gaps(recording))
    assert short.energy_status.reasons == (Reason.SENSOR_GAPS,)
    assert short.energy.gross_j == pytest.approx(0.05, rel=0.01)


def with_gaps(recording):
    """Every twentieth to twenty-second read fails: 15 % of the window, none of it long."""
    rounds = []
    for item in recording.rounds:
        if item.kind == "energy":
            values = item.trace.values.copy()
            for offset in range(3):
                values[offset::20] = np.nan
            item = dataclasses.replace(item, trace=dataclasses.replace(item.trace, values=values))
        rounds.append(item)
    return dataclasses.replace(recording, rounds=tuple(rounds))


def test_a_lost_rail_is_not_zero_watts(judge, make):
    trial = judge(power=make.source(total=("VIN",)))
    assert trial.energy is None
    assert trial.energy_status.reasons == (Reason.SENSOR_GAPS,)


def test_sensor_stale(judge, make):
    frozen = energy_rounds(make, lambda t: np.full(t.size, 5.0), lambda t: np.full(t.size, 5.0))
    idle = (make.idle("before", 5, lambda t: np.full(t.size, 5.0)),)
    trial = judge(dataclasses.replace(frozen, idle=idle))
    assert trial.energy_status.reasons == (Reason.SENSOR_STALE,)


def test_lag_unknown_is_uncorrected(judge, make):
    trial = judge(power=make.source(lag_s=None))
    assert trial.energy_status.reasons == (Reason.LAG_UNKNOWN,)
    assert trial.energy.gross_j == trial.energy.uncorrected_j


def test_idle_drift(judge, make):
    idle = (
        make.idle("before", 5, lambda t: np.full(t.size, 2.0)),
        make.idle("after", 40, lambda t: np.full(t.size, 3.0)),
    )
    recording = make.recording(idle=idle)
    assert judge(recording).energy_status.reasons == (Reason.IDLE_DRIFT,)
    # A model of CPU time has no drift of its own: it saw other processes.
    estimate = make.source(sensor="estimate", source=Source.ESTIMATED, resolution_w=None)
    assert judge(recording, estimate).energy_status.reasons == (Reason.BACKGROUND_LOAD,)


def test_no_sensor_and_estimates_declined(judge):
    trial = judge(power=None)
    assert trial.energy is None
    assert trial.energy_status.status is Status.UNMEASURED
    assert trial.energy_status.reasons == (Reason.NO_SENSOR,)
    assert not trial.failed
    declined = Verdict(status=Status.UNMEASURED, reasons=(Reason.DECLINED,), detail="--no-estimate")
    assert judge(power=None, energy_reason=declined).energy_status == declined


def test_what_the_journal_lost_is_kept_as_a_fact(judge, make):
    trial = judge(make.recording(lost=("journal line 9 is cut short",)))
    assert trial.facts["lost"] == ["journal line 9 is cut short"]


def test_several_reasons_are_all_said(judge, make):
    recording = make.recording(warmup={"steady": False, "took_s": 5.0}, finished=False)
    verdict = judge(recording, make.source(lag_s=None)).energy_status
    assert set(verdict.reasons) == {Reason.INTERRUPTED, Reason.NOT_STEADY, Reason.LAG_UNKNOWN}
    assert verdict.detail.count(";") == 2


def test_a_case_that_was_never_measured(make):
    verdict = Verdict(status=Status.SKIPPED, reasons=(Reason.UNSUPPORTED,), detail="fp16")
    trial = blank_trial(make.case(), verdict, run_id="r", trial_id="t")
    assert trial.latency_status == trial.energy_status == trial.memory_status == verdict
    assert not trial.failed


def test_traces_of_another_shape_do_not_crash(judge, make):
    empty = PowerTrace(
        ("VDD_IN",), "W", np.array([], np.int64), np.array([], np.int64), np.zeros((0, 1))
    )
    recording = make.recording()
    rounds = tuple(
        dataclasses.replace(item, trace=empty) if item.kind == "energy" else item
        for item in recording.rounds
    )
    assert judge(dataclasses.replace(recording, rounds=rounds)).energy is None


def test_a_lost_sensor_is_a_gap_and_not_an_interrupted_run(judge, make):
    recording = make.recording()
    latency_only = tuple(item for item in recording.rounds if item.kind == "latency")
    lost = dataclasses.replace(recording, rounds=latency_only, sensor_lost="read failed: EIO")
    trial = judge(lost)
    assert trial.latency_status == VALID
    assert trial.energy is None
    assert trial.energy_status.reasons == (Reason.SENSOR_GAPS,)
    assert "EIO" in trial.energy_status.detail

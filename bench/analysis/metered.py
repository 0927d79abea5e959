"""What an external meter says of a case: its readings on the board's clock, through the same
analysis of energy as a sensor's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis.alignment import Alignment, align
from bench.analysis.board_findings import Finding
from bench.analysis.energy import ENERGY_KINDS, energy_result
from bench.analysis.findings import common_findings, energy_findings
from bench.analysis.lag import Lag
from bench.analysis.marker_search import Misaligned
from bench.analysis.sustain import steady_rounds
from bench.analysis.times import load_end_ns
from bench.analysis.validity import verdict
from bench.records.case import Case
from bench.records.power import AlignmentStats, Metered, MeterFacts, PowerSource, SensorCalibration
from bench.records.procedure import Procedure
from bench.records.recordings import Marker, MeterReadings, PowerTrace, Recording
from bench.records.status import Reason, Source, Status, Verdict

CHANNEL = "meter"
MIN_READINGS = 5
"""Fewest readings of a window: their trapezoids are cut at its edges."""

_MARGIN_PERIODS = 3.0
_MARGIN_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class MeterTrace:
    """A meter's readings on the board's clock, all of a job's."""

    facts: MeterFacts
    alignment: Alignment
    trace: PowerTrace
    lost: str = ""

    @property
    def power(self) -> PowerSource:
        """The meter as a source of power."""
        return PowerSource(
            sensor=self.facts.kind,
            source=Source.MEASURED,
            scope=self.facts.scope,
            total=(CHANNEL,),
            channels=(CHANNEL,),
            unit="W",
            lag_s=0.0,
            resolution_w=None,
            gain_error=self.facts.gain_error,
        )

    def during(self, window_ns: tuple[int, int]) -> PowerTrace | None:
        """Return the readings of a window and some around it, ``None`` where there are none."""
        margin_ns = int(_MARGIN_PERIODS * self.alignment.period_s * 1e9) + _MARGIN_NS
        low, high = np.searchsorted(
            self.trace.t_before_ns, [window_ns[0] - margin_ns, window_ns[1] + margin_ns]
        )
        if high - low < 2:
            return None
        t_ns = self.trace.t_before_ns[low:high]
        return PowerTrace((CHANNEL,), "W", t_ns, t_ns, self.trace.values[low:high])


def place(
    readings: MeterReadings, markers: Sequence[Marker], facts: MeterFacts, lost: str = ""
) -> MeterTrace:
    """Return a meter's readings on the board's clock.

    ``lost``: why the meter gave no more readings, empty where it held out.

    Raises:
        Misaligned: they have no place there.
    """
    try:
        alignment = align(readings, markers, facts.reading)
    except Misaligned as error:
        raise Misaligned(f"{error}; the meter was lost: {lost}" if lost else str(error)) from None
    t_ns = alignment.on_board(readings.t_ns)
    # A clock that is stretched by some ppm may bring two readings onto one nanosecond.
    t_ns = np.maximum.accumulate(t_ns)
    trace = PowerTrace((CHANNEL,), "W", t_ns, t_ns, readings.power_w.reshape(-1, 1))
    return MeterTrace(facts, alignment, trace, lost)


def seen_by(recording: Recording, meter: MeterTrace) -> Recording:
    """Return a recording with the meter's readings in place of the sensor's."""
    rounds = []
    for item in recording.rounds:
        if item.kind not in ENERGY_KINDS:
            rounds.append(item)
            continue
        window_ns = item.window_ns or (item.start_ns, load_end_ns(item))
        rounds.append(replace(item, window_ns=window_ns, trace=meter.during(window_ns)))
    idle = tuple(replace(line, trace=meter.during(line.window_ns)) for line in recording.idle)
    return replace(recording, rounds=tuple(rounds), idle=idle, steps=(), sensor_lost="")


def unaligned(why: str, alignment: AlignmentStats | None = None) -> Metered:
    """Return that a meter's readings say nothing, and why."""
    return Metered(
        status=Verdict(status=Status.INCONCLUSIVE, reasons=(Reason.UNALIGNED,), detail=why),
        alignment=alignment,
    )


def metered(
    seen: Recording,
    case: Case,
    procedure: Procedure,
    meter: MeterTrace,
    failure: Verdict | None,
    calibration: SensorCalibration | None = None,
) -> Metered:
    """Return the energy of a case by a meter.

    Args:
        seen: from :func:`seen_by`.
        case: the case.
        procedure: how it was measured.
        meter: the meter.
        failure: the verdict of a case that failed, which then is the meter's as well.
        calibration: of the board's sensor by this meter.
    """
    sustained = procedure.sustain_s is not None
    rounds = steady_rounds(seen) if sustained else seen.rounds
    alignment = meter.alignment
    if failure is not None and failure.reasons == (Reason.PARITY,):
        return Metered(status=failure, alignment=_stats(alignment))
    result = energy_result(
        rounds,
        seen.idle,
        meter.power,
        case.batch,
        # A window that lies off by δ has an error of δ·(P(t₁) − P(t₀)), as a lag has.
        lag=Lag(0.0, alignment.uncertainty_s, "none"),
    )
    if alignment.reading == "mean":
        # A mean holds all phases of the inferences that it covers.
        result = replace(result, aliasing_share=0.0)
    status = failure
    if status is None:
        findings = [*common_findings(seen), *energy_findings(seen, result, meter.power, procedure)]
        findings += _few_readings(seen, meter) + _open_end(alignment)
        status = verdict(findings, result.stats is not None)
    return Metered(
        status=status,
        energy=result.stats,
        alignment=_stats(alignment),
        rounds_j=result.gross_j,
        calibration=calibration,
    )


def _stats(alignment: Alignment) -> AlignmentStats:
    return AlignmentStats(
        uncertainty_s=alignment.uncertainty_s,
        drift_ppm=alignment.drift_ppm,
        drift_uncertainty_ppm=alignment.drift_uncertainty_ppm,
        reading=alignment.reading,
        period_s=alignment.period_s,
        rise_w=alignment.rise_w,
        is_closed=alignment.is_closed,
    )


def _open_end(alignment: Alignment) -> list[Finding]:
    """Return that the closing markers are missing, so that nothing confirms the times."""
    if alignment.is_closed:
        return []
    words = (
        "the load markers after the rounds were not played (Ctrl-C, or they failed): by those "
        f"before alone the meter's times are known within {alignment.uncertainty_s:.2g} s, if no "
        "clock was set meanwhile"
    )
    return [(Reason.UNALIGNED, words)]


def _few_readings(seen: Recording, meter: MeterTrace) -> list[Finding]:
    """Return that the meter is too slow for the windows, or was gone during some."""
    taken = [item for item in seen.rounds if item.window_ns is not None]
    found: list[Finding] = []
    missing = sum(item.trace is None for item in taken)
    if missing:
        why = f": the meter was lost: {meter.lost}" if meter.lost else ""
        words = f"{missing} of {len(taken)} energy rounds without a reading of the meter{why}"
        found.append((Reason.SENSOR_GAPS, words))
    windows_s = [(item.window_ns[1] - item.window_ns[0]) * 1e-9 for item in taken if item.window_ns]
    period_s = meter.alignment.period_s
    if windows_s and min(windows_s) < MIN_READINGS * period_s:
        words = (
            f"the meter gives a reading every {period_s:.2g} s: fewer than {MIN_READINGS} in a "
            f"window of {min(windows_s):.1f} s; take a longer one (--window)"
        )
        found.append((Reason.WINDOW_SHORT, words))
    return found

"""From what a run's meter says of a board's sensor to what corrects the board's later runs."""

from __future__ import annotations

from dataclasses import dataclass

from bench.analysis.calibration import combined
from bench.errors import ConfigError
from bench.records.power import PowerCalibration, SensorCalibration
from bench.records.status import Source, Status
from bench.records.trial import Trial
from bench.store.reader import Run

DIGITS = 6


@dataclass(frozen=True, slots=True)
class Calibrated:
    """``jobs``: how many lines, each over all windows of a job, were combined."""

    calibration: PowerCalibration
    jobs: int


def calibration_of(run: Run, device: str, *, scope_differs: bool = False) -> Calibrated:
    """Return what a run says of a device's sensor.

    A line counts if it comes with a trial whose energy is valid by sensor and meter alike.
    ``scope_differs``: also where they do not cover the same.

    Raises:
        ConfigError: the run has none, or one that must not be used.
    """
    run_id = run.manifest.run_id
    trials = [trial for trial in run.trials if trial.case.device == device]
    if not trials:
        raise ConfigError(f"{run_id} has no trial of {device}; name a run that measured it")
    if all(trial.meter is None for trial in trials):
        raise ConfigError(
            f"{run_id}: no external meter was attached to {device}; state one in devices.yaml "
            "(meter) and measure again"
        )
    if any(trial.energy and trial.energy.source is Source.ESTIMATED for trial in trials):
        raise ConfigError(f"{run_id}: the energy of {device} is an estimate; there is no sensor")
    good = [trial for trial in trials if not _doubts(trial)]
    if not good:
        trial = next((trial for trial in trials if trial.meter is not None), trials[0])
        raise ConfigError(f"{run_id}: no trial of {device} will do: {_doubts(trial)}")
    # All trials of a job have the same line.
    lines = list(dict.fromkeys(line for trial in good if (line := _line(trial)) is not None))
    used = {(line.sensor, line.meter, line.sensor_scope, line.meter_scope) for line in lines}
    totals = {_total(trial) for trial in good}
    if len(used) > 1 or len(totals) > 1:
        raise ConfigError(f"{run_id}: its jobs on {device} have different sensors, rails or meters")
    (first, *_), (total,) = lines, totals
    if first.sensor_scope != first.meter_scope and not scope_differs:
        raise ConfigError(
            f"{run_id}: {first.sensor} covers {first.sensor_scope} and {first.meter} "
            f"{first.meter_scope}, so that the line holds what is lost in between and is no error "
            "of the sensor; --scope-differs takes it nevertheless"
        )
    found = combined(lines)
    if found.gain <= found.gain_half:
        raise ConfigError(
            f"{run_id}: the gain of {first.sensor} is not known well enough "
            f"({found.gain:.3g} ± {found.gain_half:.2g}); measure longer, with power that varies"
        )
    errors = {trial.meter.energy.gain_error for trial in good if trial.meter and trial.meter.energy}
    calibration = PowerCalibration(
        gain=_rounded(found.gain),
        offset_w=_rounded(found.offset),
        gain_half_width=_rounded(found.gain_half),
        offset_half_width_w=_rounded(found.offset_half),
        middle_w=_rounded(found.middle),
        low_w=_rounded(min(line.low_w for line in lines)),
        high_w=_rounded(max(line.high_w for line in lines)),
        sensor=first.sensor,
        total=total,
        meter=first.meter,
        meter_gain_error=None if None in errors else max(e for e in errors if e is not None),
        run=run_id,
    )
    return Calibrated(calibration, len(lines))


def _line(trial: Trial) -> SensorCalibration | None:
    return None if trial.meter is None else trial.meter.calibration


def _total(trial: Trial) -> tuple[str, ...]:
    return tuple(trial.facts.get("power_source", {"total": []})["total"])


def _doubts(trial: Trial) -> str:
    """Return why a trial does not count, empty where it does."""
    meter = trial.meter
    verdicts = {"the sensor's": trial.energy_status}
    if meter is not None:
        verdicts["the meter's"] = meter.status
    said = [
        f"{whose} energy is {verdict.status.value} ({verdict.detail or 'no reason is told'})"
        for whose, verdict in verdicts.items()
        if verdict.status is not Status.VALID
    ]
    if not said and (meter is None or meter.calibration is None):
        said = ["its windows show no line between sensor and meter (four of different power do)"]
    return "; ".join(said)


def _rounded(number: float) -> float:
    """Return a number with as many digits as a person wants to see in a file."""
    return float(f"{number:.{DIGITS}g}")

"""What there is to say of an external meter beside the board's own figures."""

from __future__ import annotations

from collections.abc import Iterator

from bench.records.power import AlignmentStats, SensorCalibration
from bench.records.status import Status
from bench.records.trial import Trial
from bench.report import format as fmt


def meter_energy(trial: Trial) -> str:
    """Return the gross energy by the meter; marked where something speaks against it."""
    if trial.meter is None:
        return fmt.NONE
    if trial.meter.energy is None:
        return trial.meter.status.status.value
    text = fmt.energy(trial.meter.energy)
    valid = trial.meter.status.status is Status.VALID
    return text if valid else f"{text} ({trial.meter.status.status.value})"


def meter_details(trial: Trial) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the meter's figures, its alignment and the sensor against it."""
    meter = trial.meter
    if meter is None:
        return
    stats = meter.energy
    if stats is not None:
        yield "energy by the meter", f"{fmt.energy(stats)} ({fmt.source(stats)})"
        yield "net energy by the meter", fmt.net_energy(stats)
        yield "mean power by the meter", fmt.power(stats)
    if meter.alignment is not None:
        yield "meter's readings on the board's clock", _alignment(meter.alignment)
    if meter.calibration is not None:
        yield "board's sensor against the meter", _calibration(meter.calibration)


def _alignment(found: AlignmentStats) -> str:
    kind = {"mean": "means over", "instant": "moments every"}.get(found.reading, found.reading)
    drift = f"drift {found.drift_ppm:.0f} ± {found.drift_uncertainty_ppm:.0f} ppm"
    if not found.is_closed:
        drift = f"drift not known, taken within ± {found.drift_uncertainty_ppm:.0f} ppm"
    return (
        f"within {fmt.seconds(found.uncertainty_s, 2)} by load markers "
        f"{'' if found.is_closed else 'before the rounds alone, '}of "
        f"{fmt.watts(found.rise_w)}; {drift}; readings are {kind} {fmt.seconds(found.period_s)}"
    )


def _calibration(found: SensorCalibration) -> str:
    words = (
        f"{found.sensor} = {found.offset_w:.3g} W + {found.gain:.4g} · {found.meter} (95 %: gain "
        f"{found.gain_low:.4g} to {found.gain_high:.4g}, offset {found.offset_low_w:.3g} to "
        f"{found.offset_high_w:.3g} W; {found.windows} windows from {fmt.watts(found.low_w)} to "
        f"{fmt.watts(found.high_w)}, which scatter by {fmt.watts(found.scatter_w)})"
    )
    if found.sensor_scope == found.meter_scope:
        return words
    return (
        f"{words}; the sensor covers {found.sensor_scope} and the meter {found.meter_scope}, so "
        "this is no error of the sensor alone"
    )

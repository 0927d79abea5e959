"""The external meter of a device while a job of its is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.analysis.marker_pattern import LONGEST_PERIOD_S
from bench.config.power_settings import MeterSettings
from bench.errors import MeterError, SensorError
from bench.fleet.observer import Observer
from bench.meters import meters
from bench.meters.recorder import Recorder
from bench.records.power import MeterFacts
from bench.store.meters import meter_log_path, meter_path
from bench.store.writer import RunWriter


@contextmanager
def metering(
    name: str, settings: MeterSettings | None, job_id: str, writer: RunWriter, observer: Observer
) -> Iterator[MeterFacts | None]:
    """Record a device's meter into the run while the block lasts; ``None`` where it has none.

    A meter that is lost in between is told to ``observer``, and the block goes on.

    Raises:
        MeterError: the meter gives no readings to begin with.
    """
    if settings is None:
        yield None
        return
    observer.phase(name, f"waiting for readings of the meter ({settings.kind})")
    recorder = Recorder(
        meter_path(writer.path, job_id),
        meter_log_path(writer.path, job_id),
        partial(observer.note, name),
    )
    try:
        period_s = begin(recorder, settings)
    except SensorError as error:
        raise MeterError(
            f"no meter: {error}; without 'meter' in devices.yaml the device is measured without it"
        ) from error
    try:
        yield MeterFacts(
            kind=settings.kind,
            scope=settings.scope,
            reading=settings.reading,
            period_s=period_s,
            gain_error=settings.gain_error,
        )
    finally:
        recorder.stop()


def begin(recorder: Recorder, settings: MeterSettings) -> float:
    """Begin to record a meter; return the seconds between two of its readings.

    Raises:
        SensorError: it cannot be used, and is closed again.
    """
    period_s = recorder.start(meters()[settings.kind], settings.options)
    if period_s > LONGEST_PERIOD_S:
        recorder.stop()
        raise SensorError(
            f"a reading comes every {period_s:.3g} s, and load markers work up to "
            f"{LONGEST_PERIOD_S:g} s"
        )
    return period_s

"""Whether a device's external meter gives readings, by reading it for a moment."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.config.power_settings import MeterSettings
from bench.errors import SensorError
from bench.fleet.metering import begin
from bench.meters.recorder import Recorder
from bench.onboarding.checks import Check, does_not_apply, failed, passed


def meter_check(name: str, settings: MeterSettings | None) -> Check:
    """Return the check of a device's meter, by the code that records it in a run."""
    if settings is None:
        return does_not_apply("meter", "devices.yaml names none")
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bench-meter-") as folder:
        recorder = Recorder(Path(folder, "meter.csv"), Path(folder, "meter.jsonl"), notes.append)
        try:
            period_s = begin(recorder, settings)
        except SensorError as error:
            fix = f"correct or take out `meter` of {name}; docs/meters.md says what meters need"
            return failed("meter", f"{settings.kind}: {error}", fix, prevents=True)
        finally:
            recorder.stop()  # also after Ctrl-C: else a meter's program would live on
    found = f"{settings.kind}; scope {settings.scope}; a reading every {period_s:.3g} s"
    return passed("meter", "; ".join([found, *notes]))

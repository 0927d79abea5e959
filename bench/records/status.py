"""What may be done with a quantity, and why."""

from __future__ import annotations

from enum import StrEnum

from bench.records.base import Record


class Status(StrEnum):
    """What may be done with a quantity of a trial."""

    VALID = "valid"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNMEASURED = "unmeasured"


class Reason(StrEnum):
    """Why a quantity is not simply valid. The group fixes the status it leads to."""

    # inconclusive
    NOT_STEADY = "not-steady"
    CI_WIDE = "ci-wide"
    WINDOW_SHORT = "window-short"
    SENSOR_GAPS = "sensor-gaps"
    SENSOR_STALE = "sensor-stale"
    LAG_UNKNOWN = "lag-unknown"
    ALIASING = "aliasing"
    THROTTLED = "throttled"
    CLOCK_CHANGED = "clock-changed"
    MODE_CHANGED = "mode-changed"
    TEMPERATURE = "temperature"
    IDLE_DRIFT = "idle-drift"
    BACKGROUND_LOAD = "background-load"
    INTERRUPTED = "interrupted"
    EMULATED = "emulated"
    UNALIGNED = "unaligned"
    MISCALIBRATED = "miscalibrated"
    # failed
    PARITY = "parity"
    EXPORT = "export"
    LOAD = "load"
    CRASH = "crash"
    HANG = "hang"
    OUT_OF_MEMORY = "out-of-memory"
    TIMEOUT = "timeout"
    LINK = "link"
    POWER_LOSS = "power-loss"
    # skipped
    UNSUPPORTED = "unsupported"
    # unmeasured
    NO_SENSOR = "no-sensor"
    DECLINED = "declined"
    NOT_ASKED = "not-asked"

    @property
    def words(self) -> str:
        """The reason for people: ``window short``."""
        return _REASON_WORDS.get(self, self.value.replace("-", " "))


_REASON_WORDS = {
    Reason.CI_WIDE: "wide interval",
    Reason.NO_SENSOR: "no sensor",
    Reason.DECLINED: "estimate declined",
    Reason.NOT_ASKED: "not asked for",
}
"""Reasons whose code is not already plain words."""


class Source(StrEnum):
    """Where an energy figure comes from. Estimates are never compared with the others."""

    MEASURED = "measured"
    COUNTER = "counter"
    ESTIMATED = "estimated"


class Verdict(Record):
    """Status of one quantity with its reasons; ``detail`` says it in words."""

    status: Status
    reasons: tuple[Reason, ...] = ()
    detail: str = ""

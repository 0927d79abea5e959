"""What columns of the table of trials are made with: see :mod:`bench.analysis.columns`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bench.records.manifest import Manifest
from bench.records.trial import Trial

Kind = Literal["text", "integer", "real", "flag", "time"]
Value = str | int | float | bool | datetime | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table. ``of`` makes its value from the parts of a trial (:func:`row`)."""

    name: str
    kind: Kind
    meaning: str
    of: Callable[[Parts], Value]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the values of a row are taken from."""

    trial: Trial
    manifest: Manifest
    conditions: Mapping[str, str]


def of_trial(path: str) -> Callable[[Parts], Value]:
    """Return what follows attributes, ending in ``None`` at the first that is ``None``.

    Members of enumerations become plain texts, several reasons a comma-separated one.
    """
    steps = path.split(".")

    def value(parts: Parts) -> Value:
        found: Any = parts.trial
        for step in steps:
            if found is None:
                return None
            found = found.get(step) if isinstance(found, Mapping) else getattr(found, step)
        if isinstance(found, tuple):
            return ",".join(found)
        return str(found) if isinstance(found, str) else found

    return value


def condition(name: str) -> Callable[[Parts], Value]:
    """Return what :func:`bench.analysis.conditions.subject` has under a name."""
    return lambda parts: parts.conditions.get(name)


def of_manifest(value: Callable[[Manifest], Value]) -> Callable[[Parts], Value]:
    """Return something of the run."""
    return lambda parts: value(parts.manifest)


def extreme(
    name: str, prefix: str, choose: Callable[[Iterable[float]], float]
) -> Callable[[Parts], Value]:
    """Return the lowest or highest (``choose``) of what was read after the rounds of the case."""

    def value(parts: Parts) -> Value:
        ranges: Mapping[str, Any] = parts.trial.facts.get(name) or {}  # type: ignore[assignment]
        ends = [
            float(end) for key, both in ranges.items() if key.startswith(prefix) for end in both
        ]
        return choose(ends) if ends else None

    return value


def verdict_columns(quantity: str, path: str) -> tuple[Column, ...]:
    """Return the columns of a quantity's status. ``path``: where in a trial that is."""
    words = "valid, inconclusive, failed, skipped or unmeasured"
    why = "why it is not simply valid, comma-separated"
    return (
        at(f"{quantity}_status", "text", f"{path}.status", words),
        at(f"{quantity}_reasons", "text", f"{path}.reasons", why),
        at(f"{quantity}_detail", "text", f"{path}.detail", "the same in words"),
    )


def percentile_columns(name: str) -> tuple[Column, ...]:
    """Return the columns of a percentile (``p99``) of latency."""
    path, interval = f"latency.{name}_s", f"latency.{name}_ci"
    low, high = "lower end of its 95 % interval", "upper end of its 95 % interval"
    return (
        at(f"latency_{name}_s", "real", path, f"{name[1:]}th percentile"),
        at(f"latency_{name}_low_s", "real", f"{interval}.low", low),
        at(f"latency_{name}_high_s", "real", f"{interval}.high", high),
    )


def energy_columns(prefix: str, what: str, path: str) -> tuple[Column, ...]:
    """Return the columns of an energy figure. ``path``: where in a trial it is."""

    def column(name: str, kind: Kind, meaning: str, attribute: str) -> Column:
        return at(f"{prefix}_{name}", kind, f"{path}.{attribute}", meaning)

    per = f"joules per inference of one input, by {what}"
    return (
        column("source", "text", "where it comes from: measured, counter or estimated", "source"),
        column("sensor", "text", "what was read", "sensor"),
        column("scope", "text", "what the energy covers (module, board input, ...)", "scope"),
        column("gross_j", "real", f"{per}: all of the scope", "gross_j"),
        column(
            "gross_uncertainty_j",
            "real",
            "its 95 % half-width without the gain error",
            "uncertainty_j",
        ),
        column("net_j", "real", f"{per}: above idle", "net_j"),
        column(
            "net_uncertainty_j",
            "real",
            "its 95 % half-width without the gain error",
            "net_uncertainty_j",
        ),
        column(
            "gain_error",
            "real",
            "relative error of the sensor, the same for all cases",
            "gain_error",
        ),
        column(
            "uncorrected_j",
            "real",
            "gross without the correction for the sensor's lag",
            "uncorrected_j",
        ),
        column("power_w", "real", "mean power in the windows", "power_w"),
        column("idle_w", "real", "mean power at idle", "idle_w"),
        column("lag_s", "real", "time constant of the sensor", "lag_s"),
        column("lag_from", "text", "where that is known from: step, settings or none", "lag_from"),
        column("rounds", "integer", "energy rounds", "rounds"),
        column("window_s", "real", "length of a window", "window_s"),
        column(
            "calibration_run", "text", "run of the calibration that corrected it", "calibration.run"
        ),
        column("note", "text", "what else there is to say of it", "note"),
    )


def at(name: str, kind: Kind, path: str, meaning: str) -> Column:
    """Return a column of what is at a path in a trial."""
    return Column(name, kind, meaning, of_trial(path))


def of_case(name: str, kind: Kind, meaning: str) -> Column:
    """Return a column of a field of the case that has the same name."""
    return at(name, kind, f"case.{name}", meaning)

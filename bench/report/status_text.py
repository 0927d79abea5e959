"""The status of a case in words that stand alone: what it is for each quantity, and why."""

from __future__ import annotations

from bench.records.status import Status, Verdict
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report.rows import Row


def status_lines(row: Row) -> tuple[str, ...]:
    """Return the status of a row, a line per verdict; what has no trial says why."""
    if row.trial is None:
        return (row.absence,)
    return status_lines_of(row.trial)


def status_lines_of(trial: Trial) -> tuple[str, ...]:
    """Return the status of a trial, a line per verdict: ``inconclusive: latency (wide interval)``.

    What is valid is left out beside anything else; all valid is ``valid``.
    """
    verdicts = verdicts_of(trial)
    for final in (Status.FAILED, Status.SKIPPED):
        judged = next((v for v in verdicts.values() if v.status is final), None)
        if judged is not None:
            return (fmt.judgement(judged),)
    groups: dict[Verdict, list[str]] = {}
    for quantity, judged in verdicts.items():
        if judged.status is not Status.VALID:
            # Two quantities may have the same reasons and say them in different words.
            key = judged.model_copy(update={"detail": ""})
            groups.setdefault(key, []).append(quantity)
    lines = [
        f"{fmt.status_word(judged.status)}: {', '.join(quantities)}{_why(judged)}"
        for judged, quantities in groups.items()
    ]
    return tuple(lines) or ("valid",)


def verdicts_of(trial: Trial) -> dict[str, Verdict]:
    """Return the verdicts of a trial by the name of the quantity."""
    found = {
        "latency": trial.latency_status,
        "energy": trial.energy_status,
        "memory": trial.memory_status,
    }
    if trial.meter is not None:
        found["energy by the meter"] = trial.meter.status
    return found


def absent(verdict: Verdict) -> str:
    """Return why a quantity has no figure: ``not measured: no sensor``, ``failed: crash``."""
    return fmt.judgement(verdict) or fmt.status_word(Status.UNMEASURED)


def in_words(verdict: Verdict) -> str:
    """Return a verdict in words: ``inconclusive (wide interval)``."""
    return f"{fmt.status_word(verdict.status)}{_why(verdict)}"


def _why(verdict: Verdict) -> str:
    return f" ({fmt.reason_words(verdict)})" if verdict.reasons else ""

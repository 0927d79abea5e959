"""From a recording to a trial: the numbers, and what may be done with each of them.

Nothing is deleted: a number that is not to be trusted keeps its place with a status, the reasons
and the reasons in words. Only a case that fails parity has no numbers, since it computes something
else than the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis.accuracy import accuracy_stats
from bench.analysis.board_findings import Finding
from bench.analysis.energy import EnergyResult, energy_result
from bench.analysis.facts import board_facts
from bench.analysis.findings import (
    common_findings,
    energy_findings,
    latency_findings,
)
from bench.analysis.solo import load_stats, memory_stats, parity
from bench.analysis.stats import latency_stats
from bench.analysis.sustain import steady_rounds, sustain_stats
from bench.records.artifact import ArtifactFacts, LabelledFacts
from bench.records.case import Case
from bench.records.figures import RoundFigure
from bench.records.power import PowerSource
from bench.records.procedure import Procedure
from bench.records.recordings import Recording
from bench.records.status import Reason, Status, Verdict
from bench.records.trial import Trial

NO_SENSOR = Verdict(
    status=Status.UNMEASURED,
    reasons=(Reason.NO_SENSOR,),
    detail="the device has no power sensor that can be read",
)


def blank_trial(
    case: Case,
    verdict: Verdict,
    *,
    run_id: str,
    trial_id: str,
    attempt: int = 0,
    artifact: ArtifactFacts | None = None,
) -> Trial:
    """Return the trial of a case that was never measured: one verdict for all quantities."""
    return Trial(
        trial_id=trial_id,
        run_id=run_id,
        case=case,
        attempt=attempt,
        latency_status=verdict,
        energy_status=verdict,
        memory_status=verdict,
        artifact=artifact,
    )


def evaluate(
    recording: Recording,
    case: Case,
    procedure: Procedure,
    power: PowerSource | None,
    *,
    run_id: str,
    trial_id: str,
    attempt: int = 0,
    artifact: ArtifactFacts | None = None,
    labelled: LabelledFacts | None = None,
    emulated: bool = False,
    energy_reason: Verdict = NO_SENSOR,
) -> Trial:
    """Return the trial of a case from what was recorded of it.

    ``energy_reason`` is the energy's verdict when ``power`` is ``None``: there is no sensor, or
    estimates were declined.
    """
    failure = _failure(recording)
    parity_failed = failure is not None and failure.reasons == (Reason.PARITY,)
    common = common_findings(recording)
    sustained = procedure.sustain_s is not None
    rounds = steady_rounds(recording) if sustained else recording.rounds
    latency = result = None
    if not parity_failed:
        latency = latency_stats(rounds, case.batch, "sustain" if sustained else "latency")
    if power is not None and not parity_failed:
        result = energy_result(rounds, recording.idle, power, case.batch, recording.steps)
    memory = None if parity_failed else memory_stats(recording.solo, recording.loads)

    if failure is not None:
        latency_status = energy_status = memory_status = failure
        if memory is not None:
            memory_status = Verdict(status=Status.VALID)
    else:
        timed = [*common, *latency_findings(recording, latency, procedure)]
        if emulated:
            timed.append((Reason.EMULATED, "the board is emulated: its times say nothing"))
        latency_status = verdict(timed, latency is not None)
        energy_status = energy_reason
        if result is not None and power is not None:
            findings = [*common, *energy_findings(recording, result, power, procedure)]
            energy_status = verdict(findings, result.stats is not None)
        memory_status = verdict(
            [] if memory else [(Reason.INTERRUPTED, "the solo pass was not finished")],
            memory is not None,
        )
    return Trial(
        trial_id=trial_id,
        run_id=run_id,
        case=case,
        attempt=attempt,
        latency_status=latency_status,
        energy_status=energy_status,
        memory_status=memory_status,
        latency=latency,
        energy=None if result is None else result.stats,
        memory=memory,
        load=load_stats(recording.solo),
        parity=parity(recording.solo),
        accuracy=None if failure is not None else accuracy_stats(recording.accuracy, labelled),
        artifact=artifact,
        sustain=None
        if parity_failed
        else sustain_stats(recording, power, None if result is None else result.lag.lag_s),
        rounds=() if parity_failed else _figures(recording, result),
        facts=board_facts(recording, power, None if result is None else result.lag),
    )


def _figures(recording: Recording, result: EnergyResult | None) -> tuple[RoundFigure, ...]:
    """Return what each round gave, for comparing cases round by round."""
    gross_j = {} if result is None else result.gross_j
    return tuple(
        RoundFigure(
            kind=item.kind,
            index=item.index,
            load=item.load,
            p50_s=float(np.median(item.durations_ns)) * 1e-9,
            gross_j=None if item.kind == "latency" else gross_j.get(item.index),
        )
        for item in recording.rounds
        if item.kind != "sustain"
    )


def verdict(findings: Sequence[Finding], has_number: bool) -> Verdict:
    """Return what may be done with a quantity, from what speaks against it."""
    if not findings and has_number:
        return Verdict(status=Status.VALID)
    reasons = tuple(dict.fromkeys(reason for reason, _ in findings)) or (Reason.INTERRUPTED,)
    return Verdict(
        status=Status.INCONCLUSIVE,
        reasons=reasons,
        detail="; ".join(words for _, words in findings) or "nothing was recorded",
    )


def _failure(recording: Recording) -> Verdict | None:
    record = recording.failure
    if record is None:
        outcome = parity(recording.solo)
        if outcome is None or outcome.passed:
            return None
        record = {"reason": Reason.PARITY, "text": f"outputs differ: {outcome.detail}"}
    try:
        reason = Reason(record.get("reason", ""))
    except ValueError:
        reason = Reason.CRASH
    text = str(record.get("text") or "the worker failed")
    return Verdict(status=Status.FAILED, reasons=(reason,), detail=text)

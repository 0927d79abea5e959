"""A device's cases → artifacts, each exported once in a run → files on the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.analysis.validity import blank_trial
from bench.board_runtimes import runtime_problem
from bench.device.deploy import Pushed, push_artifacts
from bench.device.job import Deployed
from bench.errors import ExportError, UnsupportedCase
from bench.export.cases import export_case
from bench.export.trained import training_facts
from bench.fleet.contact import Contact
from bench.plan.engine_options import needs_calibration, rounding
from bench.plan.own_models import take_in
from bench.plan.plan import checkpoint, refusal
from bench.records.case import Case
from bench.records.recordings import Artifact
from bench.records.status import Reason, Status, Verdict
from bench.run.context import RunContext
from bench.runtimes import graph_limits


def artifact_of(case: Case, probe: Mapping[str, Any], run: RunContext) -> Artifact | None:
    """Export a case; one that cannot be is stored as skipped or failed, and ``None``."""
    try:
        artifact = _export(case, probe, run)
    except UnsupportedCase as error:
        verdict = Verdict(status=Status.SKIPPED, reasons=(Reason.UNSUPPORTED,), detail=str(error))
    except ExportError as error:
        verdict = Verdict(status=Status.FAILED, reasons=(Reason.EXPORT,), detail=str(error))
    else:
        if not artifact.fresh:
            run.observer.phase(case.device, f"taken from the cache: {case.label}")
        return artifact
    run.observer.note(case.device, f"{case.label}: {verdict.status}: {verdict.detail}")
    trial = blank_trial(
        case,
        verdict,
        run_id=run.writer.manifest.run_id,
        trial_id=run.writer.trial_id(case, run.attempt),
        attempt=run.attempt,
    )
    run.writer.append(trial, None)
    run.observer.trial(trial)
    return None


def _export(case: Case, probe: Mapping[str, Any], run: RunContext) -> Artifact:
    def exporting() -> None:
        run.observer.phase(case.device, f"exporting {case.label}")

    plan = run.plan
    reason = refusal(plan, case) or runtime_problem(case.runtime, probe, case.device)
    if reason is not None:
        raise UnsupportedCase(reason)
    limits = graph_limits(case.runtime, probe["runtimes"][case.runtime]["version"])
    rounded = rounding(case, limits, run.calibration.get(case.model))
    own = case.model in plan.own
    weights = checkpoint(plan, case)

    def export() -> Artifact:
        if own:
            batch = case.batch if plan.batches else None
            return take_in(plan, case.model, batch, limits, run.cache, exporting, rounded)
        return export_case(
            case.model,
            case.scheme,
            case.weights,
            case.batch,
            limits,
            run.cache,
            exporting,
            weights,
            rounded,
        )

    which = (case.model, case.scheme, case.weights, case.batch, limits, rounded)
    artifact, mine = run.artifacts(which, export)
    if weights is not None:
        # Not in the cache: two trainings may come to the same weights.
        facts = artifact.facts.model_copy(update={"training": training_facts(weights)})
        artifact = replace(artifact, facts=facts)
    return artifact if mine else replace(artifact, fresh=False)


def deploy(
    board: Contact, artifacts: Sequence[tuple[Case, Artifact]], run: RunContext
) -> list[Deployed]:
    """Put what cases need on a board, and return where it lies there; nothing after Ctrl-C.

    Raises:
        DeviceError: the board cannot be reached or written to.
    """
    counted = _counted(board.name, [case.model for case, _ in artifacts], run)
    parts = run.labelled.parts if run.labelled is not None and counted else ()
    files = [artifact for _, artifact in artifacts]
    calibrated = dict.fromkeys(case.model for case, _ in artifacts if case.model in run.calibration)
    others = [part.path for part in parts] + [run.calibration[model] for model in calibrated]

    def waiting() -> None:
        run.observer.phase(board.name, "waiting: other boards are being sent files")

    with run.uploads.slot(run.cancel, waiting):
        if run.cancel.is_set():
            # Else all that waited for a slot would send at once what nobody measures any more.
            return []
        run.observer.phase(board.name, "sending")
        pushed = push_artifacts(board.transport, board.settings.work_dir, files, others)
    exported = sum(artifact.fresh for _, artifact in artifacts)
    run.observer.note(
        board.name, f"{exported} of {len(artifacts)} artifacts exported, {pushed.sent} files sent"
    )
    on_board = tuple((pushed.path(part.path), part.images) for part in parts)
    return [
        Deployed(
            case,
            artifact,
            *pushed.of(artifact),
            labelled=on_board if case.model in counted else (),
            options=_engine_options(case, artifact, pushed, run),
        )
        for case, artifact in artifacts
    ]


def _engine_options(
    case: Case, artifact: Artifact, pushed: Pushed, run: RunContext
) -> dict[str, Any]:
    """Return the options of a case's engine, with the paths of their files on the board."""
    plan, inputs = run.plan, run.calibration.get(case.model)
    if inputs is not None and not needs_calibration(case, plan.files.get(case.model)):
        inputs = None
    return {
        "cuda_graph": plan.engine.cuda_graph,
        "layer_profile": plan.engine.layer_profile,
        "calibration": None if inputs is None else pushed.path(inputs),
        "bound": None if artifact.bound is None else pushed.path(artifact.bound),
    }


def _counted(name: str, models: Sequence[str], run: RunContext) -> set[str]:
    """Return the models whose accuracy can be counted; it is said why not of the others."""
    if run.labelled is None:
        return set()
    misfits = {model: run.labelled.misfit(model) for model in models}
    for problem in filter(None, misfits.values()):
        run.observer.note(name, problem)
    return {model for model, problem in misfits.items() if problem is None}

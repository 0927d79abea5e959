"""What may be said of a case against its dense baseline, and what must not."""

from __future__ import annotations

import numpy as np
import pytest
from trial_figures import energy_stats, latency_stats

from bench.analysis.answers import Answer, Answers, Change, answers
from bench.analysis.conditions import subject
from bench.plan.procedures import PROCEDURES
from bench.records.artifact import ArtifactFacts
from bench.records.case import Case
from bench.records.figures import MemoryStats, RoundFigure
from bench.records.manifest import Manifest
from bench.records.status import Reason, Source, Status, Verdict
from bench.records.trial import Trial
from bench.report.answer_text import paragraph

VALID = Verdict(status=Status.VALID)
WIDE = Verdict(status=Status.INCONCLUSIVE, reasons=(Reason.CI_WIDE,))
CRASH = Verdict(status=Status.FAILED, reasons=(Reason.CRASH,))
MIB = 2**20
MANIFEST = Manifest(
    run_id="run",
    started_at="2026-11-24T03:50:12+00:00",
    command=("bench",),
    git_revision=None,
    versions={},
    procedure=PROCEDURES["quick"],
    devices={"nano": {}},
    cases=(),
)


def trial(
    number: int, scheme: str, weights: str | None, p50_s: float, gross_j: float, **more
) -> Trial:
    """A trial with 20 latency rounds and 8 energy rounds that scatter by a tenth of a percent."""
    rng = np.random.default_rng(number)
    scatter = np.exp(rng.normal(0, 1e-3, 28))
    rounds = [
        RoundFigure(kind="latency", index=i, load=0, p50_s=p50_s * scatter[i]) for i in range(20)
    ] + [
        RoundFigure(
            kind="energy", index=i, load=0, p50_s=p50_s * scatter[i], gross_j=gross_j * scatter[i]
        )
        for i in range(20, 28)
    ]
    fields = {
        "trial_id": f"t{number:03d}",
        "run_id": "run",
        "case": Case(device="nano", model="net", scheme=scheme, weights=weights),
        "latency_status": VALID,
        "energy_status": VALID,
        "memory_status": VALID,
        "latency": latency_stats(p50_s, 0.001),
        "energy": energy_stats(gross_j),
        "memory": memory(100 * MIB),
        "artifact": artifact(1000),
        "rounds": tuple(rounds),
        **more,
    }
    return Trial(**fields)


def memory(peak_bytes: int) -> MemoryStats:
    return MemoryStats(
        imported_bytes=MIB,
        load_rise_bytes=MIB,
        steady_rise_bytes=20 * MIB,
        peak_bytes=peak_bytes,
        passes=3,
        steady_rise_half_width_bytes=0.0,
        peak_half_width_bytes=0.0,
    )


def artifact(size: int) -> ArtifactFacts:
    return ArtifactFacts(
        graph_sha256="0" * 64, weights_sha256=None, file_bytes=size, opset=17, ir_version=8
    )


def answered(*trials: Trial) -> tuple[Answers, ...]:
    return answers(subject(item, MANIFEST) for item in trials)


def only(*trials: Trial) -> Answer:
    (group,) = answered(*trials)
    (answer,) = group.answers
    return answer


def said(answer: Answer) -> dict[str, Change | None]:
    return {claim.compared.quantity: claim.change for claim in answer.claims}


def words(*trials: Trial) -> dict[str, str]:
    (group,) = answered(*trials)
    (sentence,) = paragraph(group).sentences
    return {phrase.name: phrase.text for phrase in sentence.phrases}


DENSE = trial(1, "dense", None, 0.010, 0.050)


def test_a_case_is_compared_with_the_dense_one_round_by_round() -> None:
    other = trial(
        2, "basis:0.25", "runtime", 0.012, 0.065, memory=memory(90 * MIB), artifact=artifact(740)
    )
    answer = only(DENSE, other)
    assert answer.paired
    assert said(answer) == {
        "size": Change.LESS,
        "peak-memory": Change.LESS,
        "latency": Change.MORE,
        "energy": Change.MORE,
    }
    found = words(DENSE, other)
    assert found["file"] == "−26.0 %"
    assert found["peak memory"].startswith("−10.0 MiB, −10.00 % [")
    assert found["latency"].startswith(("+19.9", "+20.0"))
    assert found["energy"].startswith(("+29.9", "+30.0"))
    assert found["energy"].endswith(" %]")


def test_an_interval_around_no_change_shows_no_difference() -> None:
    answer = only(DENSE, trial(2, "basis:0.25", "load", 0.010, 0.050))
    assert said(answer)["latency"] is Change.NONE_SHOWN
    assert said(answer)["energy"] is Change.NONE_SHOWN
    found = words(DENSE, trial(2, "basis:0.25", "load", 0.010, 0.050))
    assert found["latency"].startswith("no difference shown [−")
    assert found["file"] == "the same size"


@pytest.mark.parametrize("source", [Source.ESTIMATED, Source.COUNTER])
def test_energy_that_was_not_measured_is_never_claimed(source: Source) -> None:
    dense = DENSE.model_copy(update={"energy": energy_stats(0.05, source=source)})
    other = trial(
        2, "basis:0.25", "runtime", 0.012, 0.065, energy=energy_stats(0.065, source=source)
    )
    assert said(only(dense, other))["energy"] is None
    assert said(only(dense, other))["latency"] is Change.MORE
    text = words(dense, other)["energy"]
    assert "%" not in text
    assert {Source.ESTIMATED: "estimated", Source.COUNTER: "counter"}[source] in text


@pytest.mark.parametrize("quantity", ["latency", "energy", "memory"])
@pytest.mark.parametrize("side", [0, 1])
def test_nothing_is_claimed_of_what_is_inconclusive_on_either_side(
    quantity: str, side: int
) -> None:
    pair = [DENSE, trial(2, "basis:0.25", "runtime", 0.012, 0.065)]
    pair[side] = pair[side].model_copy(update={f"{quantity}_status": WIDE})
    name = "peak-memory" if quantity == "memory" else quantity
    found = said(only(*pair))
    assert found.pop(name) is None
    assert None not in found.values()
    text = words(*pair)["peak memory" if quantity == "memory" else quantity]
    assert text == f"inconclusive: wide interval ({['dense', 'runtime'][side]})"


def test_a_failed_case_has_a_reason_and_no_figure() -> None:
    other = trial(2, "basis:0.25", "runtime", 0.012, 0.065, latency_status=CRASH)
    answer = only(DENSE, other)
    assert answer.claims == ()
    assert words(DENSE, other) == {"no figures": "failed: crash"}


def test_a_group_without_an_answer_says_why() -> None:
    other = trial(2, "basis:0.25", "runtime", 0.012, 0.065)
    failed = DENSE.model_copy(update={"latency_status": CRASH})
    cases = {
        "no-baseline": ((other,), "the dense network was not measured"),
        "baseline-failed": ((failed, other), "the dense case gave no figures (failed: crash)"),
        "alone": ((DENSE,), "only the dense network was measured"),
    }
    for missing, (trials, text) in cases.items():
        (group,) = answered(*trials)
        assert (group.answers, group.missing) == ((), missing)
        assert text in paragraph(group).silence


def test_the_baseline_has_the_same_runtime_precision_batch_and_power_mode() -> None:
    other = trial(2, "basis:0.25", "runtime", 0.012, 0.065)
    for change in (
        {"runtime": "tensorrt"},
        {"precision": "fp16"},
        {"batch": 8},
        {"threads": 2},
        {"power_mode": "5W"},
        {"device": "orin"},
        {"model": "another"},
    ):
        case = other.case.model_copy(update=change)
        groups = answered(DENSE, other.model_copy(update={"case": case}))
        assert [group.missing for group in groups] == ["alone", "no-baseline"], change


def test_what_else_differs_is_said() -> None:
    other = trial(2, "basis:0.25", "runtime", 0.012, 0.065, facts={"runtime_version": "1.31.0"})
    (group,) = answered(DENSE, other)
    (sentence,) = paragraph(group).sentences
    assert sentence.remark == "also differs from the baseline in runtime version — → 1.31.0"


def test_cases_that_were_not_measured_side_by_side_say_so() -> None:
    other = trial(2, "basis:0.25", "runtime", 0.02, 0.1, attempt=1)
    (group,) = answered(DENSE, other)
    assert not group.answers[0].paired
    assert "not measured side by side" in paragraph(group).sentences[0].remark

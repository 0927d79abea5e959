"""The answers of a run as sentences: what each case changes against its dense baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.analysis.answers import Answer, Answers, Change, Claim, Obstacle
from bench.analysis.compare import QuantityComparison
from bench.records.case import Case
from bench.records.status import Source
from bench.report import format as fmt

_NAMES = {
    "size": "file",
    "peak-memory": "peak memory",
    "latency": "latency",
    "energy": "energy",
    "meter-energy": "energy by the meter",
}
_GENERATED = {
    "load": "weights generated when the model is loaded",
    "runtime": "weights generated in every inference",
    "factored": "weights never generated",
}
_MARKS = {Change.LESS: "better", Change.MORE: "worse", Change.NONE_SHOWN: "none"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """One quantity of a sentence. ``mark``: ``better``, ``worse``, ``none`` (no difference shown)
    or ``unsaid``; ``how``: how the figure came about."""

    name: str
    text: str
    mark: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one case changes: ``case`` with where its ``weights`` are generated (may be empty), a
    phrase per quantity, and what else differs."""

    case: str
    weights: str
    phrases: tuple[Phrase, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """The sentences of the cases that share a baseline; ``silence`` says why there are none."""

    title: str
    baseline: str
    sentences: tuple[Sentence, ...]
    silence: str = ""


def paragraph(found: Answers) -> Paragraph:
    """Return the answers of a group in words."""
    case = found.group
    return Paragraph(
        title=f"{case.device} · {case.model}",
        baseline=_conditions(case),
        sentences=tuple(_sentence(item) for item in found.answers),
        silence=_silence(found),
    )


def _conditions(case: Case) -> str:
    """Return what a case and its baseline have in common."""
    threads = "1 thread" if case.threads == 1 else f"{case.threads} threads"
    words = [case.runtime, case.precision, f"batch {case.batch}", threads]
    if case.power_mode is not None:
        words.append(f"power mode {case.power_mode}")
    return ", ".join(words)


def _silence(found: Answers) -> str:
    if found.missing == "no-baseline":
        return (
            "No comparison: the dense network was not measured with "
            f"{_conditions(found.group)}, so there is nothing to compare with."
        )
    if found.missing == "baseline-failed":
        assert found.failure is not None
        return f"No comparison: the dense case gave no figures ({fmt.judgement(found.failure)})."
    if found.missing == "alone":
        if found.failure is not None:
            return (
                f"Nothing to say: the only case gave no figures ({fmt.judgement(found.failure)})."
            )
        return "No comparison: only the dense network was measured."
    return ""


def _sentence(answer: Answer) -> Sentence:
    case = answer.case
    name = case.scheme if case.weights is None else f"{case.scheme} {case.weights}"
    weights = _GENERATED.get(case.weights or "", "")
    if answer.failure is not None:
        return Sentence(
            name, weights, (Phrase("no figures", fmt.judgement(answer.failure), "unsaid"),)
        )
    remarks = []
    if answer.differences:
        differing = (f"{item.name} {item.a} → {item.b}" for item in answer.differences)
        remarks.append(f"also differs from the baseline in {', '.join(differing)}")
    if not answer.paired:
        remarks.append("not measured side by side, which the intervals allow for")
    phrases = tuple(_phrase(claim) for claim in answer.claims if not _nothing_there(claim))
    return Sentence(name, weights, phrases, "; ".join(remarks))


def _nothing_there(claim: Claim) -> bool:
    """Whether a quantity of which most runs have nothing was not measured here either."""
    sides = (claim.compared.a, claim.compared.b)
    return claim.compared.quantity == "meter-energy" and sides == (None, None)


def _phrase(claim: Claim) -> Phrase:
    compared = claim.compared
    name = _NAMES[compared.quantity]
    if claim.change is None:
        return Phrase(name, _unsaid(claim), "unsaid")
    mark = _MARKS[claim.change]
    if compared.quantity == "size":
        text = "the same size" if claim.change is Change.NONE_SHOWN else _change(compared)
        return Phrase(name, text, mark, "exact")
    text = f"{_change(compared)} {_interval(compared)}"
    if claim.change is Change.NONE_SHOWN:
        text = f"no difference shown {_interval(compared)}"
    return Phrase(name, text, mark, _how(compared))


def _how(compared: QuantityComparison) -> str:
    allowed = ""
    if compared.between_runs is not None:
        allowed = f", ±{100 * compared.between_runs:.3g} % allowed for what shifts between runs"
    return f"95 % interval from {compared.method}{allowed}"


def _change(compared: QuantityComparison) -> str:
    assert compared.ratio is not None
    percent = _percent(compared.ratio, _decimals(compared))
    if compared.quantity != "peak-memory" or compared.a is None or compared.b is None:
        return percent
    change = f"{(compared.b - compared.a) / 2**20:+.1f} MiB".replace("-", "\N{MINUS SIGN}")
    return f"{change}, {percent}"


def _interval(compared: QuantityComparison) -> str:
    assert compared.low is not None and compared.high is not None
    decimals = _decimals(compared)
    low, high = _percent(compared.low, decimals), _percent(compared.high, decimals)
    return f"[{low.removesuffix(' %')} … {high}]"


def _percent(ratio: float, decimals: int) -> str:
    percent = round(100 * (ratio - 1), decimals)
    # A change that rounds to nothing has no sign.
    sign = "+" if percent > 0 else ""
    return f"{sign}{percent:.{decimals}f} %".replace("-", "\N{MINUS SIGN}")


def _decimals(compared: QuantityComparison) -> int:
    """Return as many decimals of a percentage as its interval bears: two digits of the width."""
    if compared.low is None or compared.high is None or compared.low == compared.high:
        return 1
    half_percent = 50 * (compared.high - compared.low)
    return min(2, max(0, 1 - math.floor(math.log10(half_percent))))


def _unsaid(claim: Claim) -> str:
    """Return why nothing is said of a quantity."""
    if not claim.obstacles:
        return f"not known ({claim.compared.why or 'no interval'})"
    by_words: dict[str, list[str]] = {}
    for obstacle in claim.obstacles:
        by_words.setdefault(_obstacle(obstacle), []).append(
            obstacle.case.scheme if obstacle.case.weights is None else obstacle.case.weights
        )
    if len(by_words) == 1 and len(claim.obstacles) > 1:
        return next(iter(by_words))
    return "; ".join(f"{words} ({', '.join(who)})" for words, who in by_words.items())


def _obstacle(obstacle: Obstacle) -> str:
    if obstacle.source is Source.ESTIMATED:
        return "only estimated, so nothing is claimed"
    if obstacle.source is Source.COUNTER:
        return "from a counter, not from a sensor: see the table"
    return fmt.judgement(obstacle.verdict)

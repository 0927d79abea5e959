"""The outcome of the experiment as Markdown. Every figure comes from a stored result."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from compared_networks import (
    BASIS_FROM_DENSE,
    DENSE,
    DENSE_AGAIN,
    PRUNED,
    PRUNED_BY_SENSITIVITY,
    REDUCTIONS,
    REPEATED,
)
from outcomes import Trained, dense_of, differences

from bench.analysis.batches import mean_half_width
from bench.records.power import EnergyStats
from bench.records.status import Source
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.store.reader import Run
from models import MODELS

GOOD_ENOUGH = 0.85
"""Top-1 on the test set that the dense network must reach for differences to mean anything."""

RIVALS = {
    "basis": ("soft", "recursive"),
    "blocks": ("soft", "recursive"),
    BASIS_FROM_DENSE: (PRUNED, PRUNED_BY_SENSITIVITY),
}
"""What forms of the method are compared with: rivals at the same wanted reduction that were trained
for as long from the same start."""

HEADER = (
    "scheme", "parameters", "saved", "top-1 (seeds)", "against dense", "weights", "top-1 on board",
    "file", "p50 (95 %)", "energy per inference", "status",
)  # fmt: skip


def as_markdown(trained: Sequence[Trained], run: Run | None, chart: str) -> str:
    """Return the whole page: what was done, a table per model, the comparison, the chart."""
    lines = ["# Fashion-MNIST: accuracy, size, latency and energy", ""]
    lines += [f"Made by `{_command(trained, run)}`; nothing in it is typed by hand.", ""]
    lines += [*_facts(trained, run), ""]
    for model in REDUCTIONS:
        lines += [f"## {MODELS[model].summary}", "", *_verdict(model, trained), ""]
        rows = [each for each in trained if each.network.model == model]
        lines += [*_table(rows), ""]
    lines += ["## The method against its rivals", "", *_comparison(trained), ""]
    lines += ["## Pareto chart", "", f"![accuracy against energy and latency]({chart})", ""]
    return "\n".join(lines)


def _command(trained: Sequence[Trained], run: Run | None) -> str:
    """The command that leads to what is stored, with what decides the outcome."""
    results = [result for each in trained for result in each.results.values()]
    words = ["scripts/experiments/fashion-mnist"]
    for key in ("train_images", "epochs"):
        for value in sorted({result[key] for result in results}):
            words += [f"--{key.replace('_', '-')}", str(value)]
    words += ["--seeds", str(len({result["seed"] for result in results}))]
    if run is not None:
        words += ["--device", *run.manifest.devices, "--procedure", run.manifest.procedure.name]
    return shlex.join(words)


def _facts(trained: Sequence[Trained], run: Run | None) -> Iterator[str]:
    results = [result for each in trained for result in each.results.values()]
    if not results:
        yield "Nothing has been trained yet."
        return
    for words, key in (
        ("images trained on", "train_images"),
        ("held out for selecting the epoch", "selection_images"),
        ("test images", "test_images"),
        ("epochs", "epochs"),
        ("torch", "torch"),
        ("trained on", "device"),
        ("threads per training", "threads"),
    ):
        yield f"- {words}: {', '.join(sorted({str(result[key]) for result in results}))}"
    yield f"- seeds: {', '.join(map(str, sorted({result['seed'] for result in results})))}"
    hours = sum(result["wall_s"] for result in results) / 3600
    yield f"- trainings: {len(results)}, {hours:.1f} hours one after the other"
    yield (
        "- All are trained from the start for those epochs, but the pruned ones and *basis from "
        "the trained dense one* (by its best approximation): they start from the trained dense "
        "network of the same seed and are trained for as many epochs again, by the same recipe. "
        "The channels of *by sensitivity* are chosen per seed on the held-out images."
    )
    yield (
        "- top-1: mean ± standard deviation over seeds on the test set; *against dense*: mean "
        "difference to the dense network of the same seed that was trained for as long, in points, "
        "± standard deviation."
    )
    if run is None:
        yield "- Nothing has been measured on a board yet."
        return
    manifest = run.manifest
    yield (
        f"- On board: run `{manifest.run_id}`, device {', '.join(manifest.devices)}, procedure "
        f"{manifest.procedure.name}, {_weights_on_board(results, run)}."
    )
    yield from dict.fromkeys(
        f"- energy: {fmt.source(trial.energy)}" for trial in run.trials if trial.energy
    )


def _weights_on_board(results: Sequence[dict[str, Any]], run: Run) -> str:
    weights = run.manifest.plan.trained
    if weights is None:
        return (
            "with pseudo-random weights in place of trained ones, which are not kept; of what was "
            "measured only the accuracy would depend on them"
        )
    digests = {file.sha256 for file in weights.values()}
    seeds = {result["seed"] for result in results if result.get("checkpoint_sha256") in digests}
    return f"with the trained weights of seed {', '.join(map(str, sorted(seeds)))}"


def _verdict(model: str, trained: Sequence[Trained]) -> Iterator[str]:
    why = _inconclusive(model, trained)
    if why:
        yield f"***Inconclusive***: {why}."


def _inconclusive(model: str, trained: Sequence[Trained]) -> str:
    """Why differences between networks of a model say nothing, empty when they do."""
    top1 = list(dense_of(model, trained).top1.values())
    if not top1:
        return "the dense network is not trained"
    if np.mean(top1) >= GOOD_ENOUGH:
        return ""
    return (
        f"the dense network reaches {100 * np.mean(top1):.2f} % on the test set, below "
        f"{100 * GOOD_ENOUGH:g} %, so that it was not trained well enough for differences between "
        "schemes to say anything"
    )


def _table(rows: Sequence[Trained]) -> Iterator[str]:
    yield _line(HEADER)
    yield _line(["---"] * len(HEADER))
    for each in rows:
        if each.network.problem:
            yield _line([each.network.title, each.network.problem, *[""] * (len(HEADER) - 2)])
            continue
        begin = [each.network.title, *_size(each), _top1(each), _drop(each, rows)]
        if each.network.method in REPEATED:
            yield _line(
                [*begin, *[fmt.NONE] * 5, f"costs what {REPEATED[each.network.method]} does"]
            )
            continue
        for trial in each.trials or (None,):
            yield _line([*begin, *_on_board(trial)])
            begin = [""] * len(begin)


def _size(each: Trained) -> list[str]:
    counts = sorted({result["parameters"] for result in each.results.values()})
    if not counts:
        return [fmt.NONE, fmt.NONE]
    whole = MODELS[each.network.model].parameters
    saved = sorted({f"{100 * (1 - count / whole):.1f}" for count in counts})
    return ["–".join(f"{count:,}" for count in _ends(counts)), "–".join(_ends(saved)) + " %"]


def _ends(values: Sequence[Any]) -> Sequence[Any]:
    return values if len(values) < 2 else (values[0], values[-1])


def _top1(each: Trained) -> str:
    values = 100 * np.array(list(each.top1.values()))
    if not values.size:
        return "not trained"
    return f"{_mean_and_deviation(values)} % ({values.size})"


def _drop(each: Trained, rows: Sequence[Trained]) -> str:
    """Against the dense network that was trained for as long."""
    method = each.network.method
    if method == DENSE:
        return ""
    is_longer = each.network.starts_dense and method != DENSE_AGAIN
    wanted = DENSE_AGAIN if is_longer else DENSE
    (dense,) = (other for other in rows if other.network.method == wanted)
    values = differences(each, dense)
    return _mean_and_deviation(values, sign="+") if values.size else fmt.NONE


def _mean_and_deviation(values: np.ndarray[Any, np.dtype[np.float64]], sign: str = "") -> str:
    text = f"{values.mean():{sign}.2f}"
    return text if values.size < 2 else f"{text} ± {values.std(ddof=1):.2f}"


def _on_board(trial: Trial | None) -> list[str]:
    if trial is None:
        return [*[fmt.NONE] * 5, "not measured"]
    interval = fmt.median_interval(trial.latency)
    median = fmt.median(trial.latency) + (f" ({interval})" if interval else "")
    return [
        trial.case.weights or "",
        fmt.accuracy(trial.accuracy),
        fmt.size(trial.artifact.file_bytes if trial.artifact else None),
        median,
        _energy(trial.energy),
        fmt.status(trial),
    ]


def _energy(stats: EnergyStats | None) -> str:
    text = fmt.energy(stats)
    if stats is None or stats.source is Source.ESTIMATED:
        return text  # which says so itself
    return f"{text} ({stats.source.value})"


def _comparison(trained: Sequence[Trained]) -> Iterator[str]:
    yield (
        "Top-1 of the method minus that of a rival at the same wanted reduction, seed by seed: "
        "mean in points with Student's 95 % interval. Each interval stands for itself; of twenty, "
        "one misses by chance. Layer reuse has a size of its own and cannot be compared so."
    )
    yield ""
    yield _line(["model", "reduction", "method", "rival", "points", "95 % interval", "says"])
    yield _line(["---"] * 7)
    by_key = {
        (each.network.model, each.network.method, each.network.reduction): each for each in trained
    }
    for model, reductions in REDUCTIONS.items():
        conclusive = not _inconclusive(model, trained)
        for reduction in reductions:
            for method, rivals in RIVALS.items():
                for rival in rivals:
                    pair = [by_key[model, name, reduction] for name in (method, rival)]
                    if not any(each.network.problem for each in pair):
                        words = [model, f"{100 * reduction:g} %", method, rival]
                        judged = _judged(differences(*pair), conclusive=conclusive)
                        yield _line([*words, *judged])


def _judged(values: np.ndarray[Any, np.dtype[np.float64]], *, conclusive: bool) -> list[str]:
    if values.size < 2:
        return [_mean_and_deviation(values, "+") if values.size else fmt.NONE, fmt.NONE, fmt.NONE]
    mean, half_width = float(values.mean()), mean_half_width(values)
    says = "not told apart"
    if abs(mean) > half_width:
        says = "method better" if mean > 0 else "rival better"
    if not conclusive:
        says = "inconclusive"
    interval = f"{mean - half_width:+.2f} to {mean + half_width:+.2f}"
    return [f"{mean:+.2f}", interval, says]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""What part of a labelled set a case classified right on the board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.records.artifact import AccuracyStats, LabelledFacts, TrainingFacts


def accuracy_stats(
    records: Sequence[dict[str, Any]], labelled: LabelledFacts | None
) -> AccuracyStats | None:
    """Return top-1 and top-5 from the journal's ``accuracy`` records, ``None`` if none was asked
    for.

    A set that was not gone through to its end has no figures: what is left out may be of other
    classes. The intervals are Wilson's for a binomial share (95 %): they tell how well so many
    images can tell the accuracy, not how much it varies between trainings.
    """
    if labelled is None:
        return None
    problem = next((record["problem"] for record in records if record.get("problem")), None)
    parts = {record["part"]: record for record in records if record.get("part") is not None}
    images = sum(part["images"] for part in parts.values())
    if problem is None and images != labelled.images:
        problem = f"{images} of {labelled.images} images were classified before the job ended"
    if problem is not None:
        return AccuracyStats(dataset=labelled, problem=problem)
    right = {name: sum(part[name] for part in parts.values()) for name in ("top1", "top5")}
    if not images or not right["top1"] <= right["top5"] <= images:
        return AccuracyStats(dataset=labelled, problem="the counts contradict each other")
    from scipy.stats import binomtest  # late: it takes most of a second, and few runs count images

    spread = binomtest(right["top1"], images).proportion_ci(method="wilson")
    return AccuracyStats(
        dataset=labelled,
        top1=right["top1"] / images,
        top1_low=float(spread.low),
        top1_high=float(spread.high),
        top5=right["top5"] / images if labelled.classes > TOP else None,
    )


def training_mismatch(accuracy: AccuracyStats | None, training: TrainingFacts | None) -> str:
    """Return that a top-1 on the board is not what the training had on the same test set.

    Empty where it is, or where nothing can be said: another set, a part of it, or no figure.
    """
    if accuracy is None or training is None or accuracy.top1 is None or training.test_top1 is None:
        return ""
    images = accuracy.dataset.images
    if (accuracy.dataset.name, images) != (training.data, training.test_images):
        return ""
    if abs(accuracy.top1 - training.test_top1) <= max(ROUNDING, ROUNDED_IMAGES / images):
        return ""
    return (
        f"{100 * accuracy.top1:.2f} % top-1 on the board, {100 * training.test_top1:.2f} % after "
        f"the training, on the same {images} images of {training.data}: more than rounding "
        "explains; were the files of the data set the same?"
    )


ROUNDING = 0.005
ROUNDED_IMAGES = 1.5
"""What rounding may change of a top-1: this share of the images, or more where they are few."""

TOP = 5
"""With no more classes than this, top-5 is always right and says nothing."""

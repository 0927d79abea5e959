"""Top-1 and top-5 from the counts of the board."""

from __future__ import annotations

import pytest

from bench.analysis.accuracy import accuracy_stats
from bench.records.artifact import LabelledFacts

SET = LabelledFacts(name="digits", images=100, classes=10, sha256="0" * 64)
PARTS = (
    {"part": 0, "images": 60, "top1": 50, "top5": 59, "problem": None},
    {"part": 1, "images": 40, "top1": 40, "top5": 40, "problem": None},
)


def test_parts_add_up_and_have_an_interval():
    stats = accuracy_stats(PARTS, SET)
    assert (stats.top1, stats.top5, stats.problem) == (0.9, 0.99, "")
    # Wilson's interval of 90 in 100.
    assert stats.top1_low == pytest.approx(0.8256, abs=1e-4)
    assert stats.top1_high == pytest.approx(0.9448, abs=1e-4)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (PARTS[:1], "60 of 100 images"),
        ((*PARTS[:1], {"problem": "the worker crashed"}), "the worker crashed"),
        ((), "0 of 100 images"),
        (({**PARTS[0], "images": 100, "top1": 101},), "contradict"),
    ],
)
def test_a_set_without_its_end_has_no_figure(records, words):
    stats = accuracy_stats(records, SET)
    assert stats.top1 is stats.top5 is stats.top1_low is None
    assert words in stats.problem


def test_what_was_not_asked_for_is_not_there():
    assert accuracy_stats((), None) is None


def test_top5_of_five_classes_says_nothing():
    few = SET.model_copy(update={"classes": 5})
    assert accuracy_stats(PARTS, few).top5 is None

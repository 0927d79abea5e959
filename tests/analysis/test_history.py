"""A case over time: which trials belong to it, and what changed in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stored_runs import ESTIMATE, Recipe, store

from bench.analysis.history import Trend, trends
from bench.records.case import Case
from bench.records.status import Source, Status

CASE = Case(device="orin", model="net")


def over_time(folder: Path, *recipes: dict[str, Any]) -> tuple[Trend, ...]:
    """Runs of a day each, written in reverse."""
    runs = [
        store(
            folder,
            Recipe(
                **{
                    "run_id": f"run-{day}",
                    "started_at": f"2026-11-{day:02d}T00:00:00+00:00",
                    "cases": (CASE,),
                    **recipe,
                }
            ),
        )
        for day, recipe in enumerate(recipes, 1)
    ]
    return trends((trial, run.manifest) for run in reversed(runs) for trial in run.trials)


def test_points_are_in_order_of_time_with_their_intervals(tmp_path: Path) -> None:
    (trend,) = over_time(tmp_path, {"p50_ms": 5.0}, {"p50_ms": 6.0})
    assert trend.case == CASE
    assert [point.run_id for point in trend.points] == ["run-1", "run-2"]
    one, two = trend.points
    assert one.p50_s.value == pytest.approx(0.005, rel=0.01)
    assert two.p50_s.value == pytest.approx(0.006, rel=0.01)
    for value in (one.p50_s, one.p99_s, one.energy_j):
        assert value.low is not None and value.high is not None and value.value is not None
        assert value.low <= value.value <= value.high
        assert value.status is Status.VALID and value.reasons == () and not value.estimated
    assert one.energy_source is Source.MEASURED
    assert one.changes == two.changes == ()


def test_what_changed_is_marked_at_the_point_where_it_did(tmp_path: Path) -> None:
    (trend,) = over_time(
        tmp_path,
        {},
        {"engine_version": "1.24.0", "power_mode": "5W"},
        {"engine_version": "1.24.0", "power_mode": "5W"},
        {"manifest": {"versions": {"bench-on-device": "0.2.0"}}, "power": ESTIMATE},
    )
    changes = [{item.name: (item.a, item.b) for item in point.changes} for point in trend.points]
    assert changes[0] == changes[2] == {}
    assert changes[1] == {
        "runtime version": ("1.23.0", "1.24.0"),
        "power mode": ("MAXN", "5W"),
    }
    assert changes[3]["bench"] == ("0.1.0", "0.2.0")
    assert changes[3]["energy source"] == ("measured (ina3221)", "estimated (estimate)")
    assert trend.points[3].energy_j.estimated and not trend.points[2].energy_j.estimated


@pytest.mark.parametrize(
    "other",
    [
        {"device": "nano"},
        {"model": "other"},
        {"scheme": "basis:0.25", "weights": "load"},
        {"runtime": "tensorrt"},
        {"precision": "fp16"},
        {"batch": 8},
        {"threads": 2},
        {"power_mode": "5W"},
    ],
    ids=lambda value: ",".join(value),
)
def test_another_case_is_another_trend(tmp_path: Path, other: dict[str, Any]) -> None:
    found = over_time(tmp_path, {}, {"cases": (CASE.model_copy(update=other),)}, {})
    assert [len(trend.points) for trend in found] == [2, 1]


def test_what_has_no_figure_keeps_its_place_and_its_reason(tmp_path: Path) -> None:
    (trend,) = over_time(tmp_path, {}, {"failed": (0,)}, {"power": None})
    failed, unmeasured = trend.points[1:]
    assert failed.p50_s.value is None and failed.p50_s.status is Status.FAILED
    assert failed.p50_s.reasons == ("crash",)
    assert unmeasured.energy_j.value is None and unmeasured.energy_source is None
    assert unmeasured.energy_j.status is Status.UNMEASURED
    assert unmeasured.p50_s.value is not None

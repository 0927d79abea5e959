"""Percentiles per case over many runs, against the same computed by numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored_runs import Recipe, store

from bench.plan.procedures import PROCEDURES
from bench.records.procedure import Scenario
from bench.store.gathering import gather
from bench.store.listing import Selection
from bench.store.percentiles import CasePercentiles, case_percentiles
from bench.store.raw import decode_latency


def found(results: Path, *names: str) -> tuple[list[CasePercentiles], list[str]]:
    said: list[str] = []
    measured = gather(results, Selection(), said.append, lambda run: run, names)
    return case_percentiles(measured, said.append), said


def test_they_are_exact_over_all_runs(tmp_path: Path) -> None:
    runs = [store(tmp_path, Recipe(f"run-{n}", p50_ms=5 + n / 10)) for n in range(3)]
    (first, second), said = found(tmp_path)
    assert said == []
    durations_ns = np.concatenate(
        [
            samples.duration_ns[samples.kind == "latency"]
            for run in runs
            if (samples := decode_latency(run.path / "raw" / "t001.latency.parquet")) is not None
        ]
    )
    assert (first.runs, first.samples, first.not_valid) == (3, durations_ns.size, 0)
    for share in (0.5, 0.9, 0.95):
        expected = np.quantile(durations_ns, share) * 1e-9
        assert first.percentiles_s[share] == pytest.approx(expected, rel=1e-12)
    assert first.min_s == durations_ns.min() * 1e-9 and first.max_s == durations_ns.max() * 1e-9
    assert second.case.scheme == "basis:0.25"


def test_a_percentile_needs_ten_inferences_beyond_it(tmp_path: Path) -> None:
    store(tmp_path)
    (first, second), _ = found(tmp_path)
    assert (first.samples, second.samples) == (400, 200)
    assert first.percentiles_s[0.95] is not None and first.percentiles_s[0.99] is None
    assert second.percentiles_s[0.95] is not None and second.percentiles_s[0.999] is None


def test_samples_that_are_gone_are_told_of(tmp_path: Path) -> None:
    store(tmp_path, Recipe("whole"))
    emptied = store(tmp_path, Recipe("emptied")).path
    for file in (emptied / "raw").glob("*.latency.parquet"):
        file.unlink()
    (first, second), said = found(tmp_path)
    assert [item.runs for item in (first, second)] == [1, 1]
    assert said == ["emptied: the single inferences of 2 cases are gone from its folder raw/"]


@pytest.mark.parametrize(
    "content",
    [
        b"PAR1 no more",
        pa.table({"round": [1], "kind": ["latency"], "t_ns": [1], "duration_ns": ["x"]}),
        pa.table({"round": [1], "kind": ["latency"], "t_ns": [1], "duration_ns": [-5]}),
        pa.table(
            {"round": [1, 1], "kind": ["latency"] * 2, "t_ns": [1, 2], "duration_ns": [1, None]}
        ),
        pa.table({"x": [1]}),
    ],
    ids=["torn", "text", "negative", "empty-cell", "other"],
)
def test_a_damaged_file_is_named_and_left_out(tmp_path: Path, content: bytes | pa.Table) -> None:
    good = store(tmp_path, Recipe("good"))
    bad = store(tmp_path, Recipe("bad")).path / "raw" / "t001.latency.parquet"
    if isinstance(content, bytes):
        bad.write_bytes(content)
    else:
        pq.write_table(content, bad)
    (first, second), said = found(tmp_path)
    assert [item.runs for item in (first, second)] == [1, 2]
    assert first.samples == 400
    (problem,) = said
    assert str(bad) in problem and str(good.path) not in problem


def test_a_case_that_the_database_cannot_read_is_told(tmp_path: Path) -> None:
    """Times as texts of digits: other readers take them for numbers."""
    path = store(tmp_path).path / "raw" / "t001.latency.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("duration_ns")
    texts = table["duration_ns"].cast("string")
    pq.write_table(table.set_column(place, "duration_ns", texts), path)
    (second,), said = found(tmp_path)
    assert second.case.scheme == "basis:0.25"
    (problem,) = said
    assert problem.startswith("orin: net/dense/onnxruntime/fp32/b1/t1 has no percentiles: ")
    assert "\n" not in problem


def test_files_with_and_without_copies_go_together(tmp_path: Path) -> None:
    store(tmp_path, Recipe("a"))
    path = store(tmp_path, Recipe("b")).path / "raw" / "t001.latency.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("copy_ns", table["duration_ns"]), path)
    (first, _), said = found(tmp_path)
    assert first.samples == 800 and said == []


def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    results = tmp_path / "kind=x [1] *?'; DROP"
    store(results)
    (first, _), said = found(results)
    assert first.samples == 400 and said == []


def test_scenarios_are_kept_apart(tmp_path: Path) -> None:
    quick = PROCEDURES["quick"]
    served = quick.model_copy(update={"scenario": Scenario.SERVER, "rate_per_s": 50.0})
    store(tmp_path, Recipe("a"))
    store(tmp_path, Recipe("b", manifest={"procedure": served}))
    percentiles, _ = found(tmp_path)
    assert [item.scenario for item in percentiles[::2]] == ["single-stream", "server 50/s"]


def test_trials_without_inferences_are_left_out(tmp_path: Path) -> None:
    store(tmp_path, Recipe(failed=(0, 1)))
    assert found(tmp_path) == ([], [])

"""The tidy data set: its columns, types and values, in all three formats."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored_runs import ESTIMATE, Recipe, store

from bench.analysis.columns import COLUMNS
from bench.cli import main
from bench.errors import ConfigError
from bench.records.case import Case
from bench.store.exporting import SAMPLE_SCHEMA, TRIAL_SCHEMA, check_target

DOCUMENT = Path(__file__).parents[2] / "docs" / "results-data.md"


def export(results: Path, target: Path, *more: str) -> int:
    return main(["results", "export", "--results", str(results), "-o", str(target), *more])


def rows(results: Path, folder: Path, *more: str) -> list[dict[str, Any]]:
    target = folder / "trials.parquet"
    assert export(results, target, *more) == 0
    found: list[dict[str, Any]] = pq.read_table(target).to_pylist()
    return found


@pytest.fixture
def results(tmp_path: Path) -> Path:
    store(tmp_path / "results", Recipe(failed=(1,)))
    return tmp_path / "results"


def test_the_documented_columns_are_those_of_the_code() -> None:
    of_trials, of_samples = DOCUMENT.read_text().split("## A row per inference")
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", of_trials, re.M)
    assert documented == [(item.name, item.kind, item.meaning) for item in COLUMNS]
    repeated = re.findall(r"`(\w+)`", of_samples.partition("as above")[0])
    own = re.findall(r"^\| `(\w+)` \|", of_samples, re.M)
    assert repeated + own == SAMPLE_SCHEMA.names


def test_every_quantity_has_its_unit_in_its_name() -> None:
    plain = ("_status", "_reasons", "_detail", "_method", "_sha256", "_version", "_revision")
    without_unit = {
        "latency_autocorrelation",
        "latency_effective_samples",
        "energy_gain_error",
        "meter_gain_error",
        "parity_max_abs_error",
        "parity_max_rel_error",
        "parity_cosine",
        "parity_top1_agreement",
        "accuracy_top1",
        "accuracy_top1_low",
        "accuracy_top1_high",
        "accuracy_top5",
    }
    for column in COLUMNS:
        if column.kind == "real" and not column.name.endswith(plain):
            unit = re.search(r"_(s|j|w|c|khz|bytes|per_s)$", column.name)
            assert unit or column.name in without_unit, column.name


GOLDEN = {
    "run_id": "20261124-035012-orin-a1b2",
    "trial_id": "t001",
    "attempt": 0,
    "device": "orin",
    "board": "Jetson Orin Nano",
    "model": "net",
    "scheme": "dense",
    "weights": None,
    "runtime": "onnxruntime",
    "runtime_version": "1.23.0",
    "precision": "fp32",
    "batch": 1,
    "threads": 1,
    "power_mode_asked": None,
    "power_mode": "MAXN",
    "clocks": "as found",
    "governor": None,
    "procedure": "quick",
    "scenario": "single-stream",
    "rate_per_s": None,
    "latency_status": "valid",
    "latency_reasons": None,
    "latency_detail": None,
    "latency_samples": 400,
    "latency_rounds": 20,
    "latency_p50_method": "rounds",
    "energy_status": "valid",
    "energy_source": "measured",
    "energy_sensor": "ina3221",
    "energy_scope": "module",
    "energy_gain_error": 0.05,
    "energy_lag_from": "none",
    "energy_rounds": 3,
    "energy_window_s": 2.0,
    "meter_status": None,
    "meter_gross_j": None,
    "memory_status": "valid",
    "memory_steady_rise_bytes": 52_000_000,
    "memory_peak_bytes": 120_000_000,
    "memory_passes": 1,
    "load_s": 0.08,
    "first_inference_s": 0.012,
    "engine_build_s": None,
    "parity_passed": True,
    "parity_max_abs_error": 3e-6,
    "accuracy_top1": None,
    "file_bytes": 9_000_000,
    "parameters": None,
    "temperature_low_c": 45.0,
    "temperature_high_c": 64.0,
    "cpu_frequency_low_khz": 1_510_400.0,
    "bench_version": "0.1.0",
    "git_revision": None,
    "python_version": "3.11.2",
}


def test_golden_values(results: Path, tmp_path: Path) -> None:
    first, second = rows(results, tmp_path)
    assert {name: first[name] for name in GOLDEN} == GOLDEN
    assert first["started_at"].isoformat() == "2026-11-24T03:50:12+00:00"
    assert first["latency_p50_s"] == pytest.approx(0.005, rel=0.01)
    assert first["latency_p50_low_s"] < first["latency_p50_s"] < first["latency_p50_high_s"]
    assert first["latency_p99_low_s"] <= first["latency_p99_s"] <= first["latency_p99_high_s"]
    assert first["energy_gross_j"] == pytest.approx(0.045, rel=0.01)
    assert first["energy_net_j"] == pytest.approx(0.025, rel=0.01)
    assert second["latency_status"] == "failed" and second["latency_reasons"] == "crash"
    unmeasured = ("latency_p50_s", "energy_gross_j", "energy_source", "memory_peak_bytes", "load_s")
    assert {name: second[name] for name in unmeasured} == dict.fromkeys(unmeasured)


def test_types_are_fixed_also_where_a_column_is_empty(results: Path, tmp_path: Path) -> None:
    rows(results, tmp_path, "--model", "nobody")
    empty = pq.read_table(tmp_path / "trials.parquet")
    assert empty.num_rows == 0 and empty.schema.equals(TRIAL_SCHEMA)
    rows(results, tmp_path)
    full = pq.read_table(tmp_path / "trials.parquet")
    assert full.schema.equals(TRIAL_SCHEMA)
    assert full["accuracy_top1"].null_count == full.num_rows
    assert TRIAL_SCHEMA.field("accuracy_top1").type == pa.float64()
    assert TRIAL_SCHEMA.field("started_at").type == pa.timestamp("us", tz="UTC")


def test_an_estimate_is_called_one(tmp_path: Path) -> None:
    store(tmp_path / "results", Recipe(power=ESTIMATE))
    assert {row["energy_source"] for row in rows(tmp_path / "results", tmp_path)} == {"estimated"}


def test_no_power_leaves_energy_empty(tmp_path: Path) -> None:
    store(tmp_path / "results", Recipe(power=None))
    for row in rows(tmp_path / "results", tmp_path):
        assert row["energy_status"] == "unmeasured" and row["energy_reasons"] == "no-sensor"
        energy = [name for name in row if name.startswith("energy_") and name[-2:] in ("_j", "_w")]
        assert len(energy) == 7 and {row[name] for name in energy} == {None}


def test_the_three_formats_hold_the_same(results: Path, tmp_path: Path) -> None:
    expected = rows(results, tmp_path)
    for row in expected:
        row["started_at"] = row["started_at"].isoformat()
    assert export(results, tmp_path / "trials.json") == 0
    assert json.loads((tmp_path / "trials.json").read_text()) == expected
    assert export(results, tmp_path / "trials.csv") == 0
    read = csv.DictReader(io.StringIO((tmp_path / "trials.csv").read_text()))
    for found, row in zip(read, expected, strict=True):
        assert found["device"] == row["device"] and found["weights"] == (row["weights"] or "")
        for name in ("latency_p50_s", "energy_gross_j"):
            assert (float(found[name]) if found[name] else None) == row[name]


@pytest.mark.parametrize("style", ["parquet", "csv", "json"])
def test_duckdb_reads_it(results: Path, tmp_path: Path, style: str) -> None:
    target = tmp_path / f"trials.{style}"
    assert export(results, target) == 0
    query = f"SELECT trial_id, latency_p50_s FROM '{target}' ORDER BY trial_id"
    (_, measured), (_, failed) = duckdb.sql(query).fetchall()
    assert float(measured) == pytest.approx(0.005, rel=0.01) and failed is None


def test_a_spreadsheet_runs_nothing_of_a_csv(tmp_path: Path) -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", 'quo"te, comma\nline', "plain=1"]
    cases = tuple(Case(device="nano", model=name) for name in names)
    store(tmp_path / "results", Recipe(cases=cases, power=None))
    assert export(tmp_path / "results", tmp_path / "trials.csv") == 0
    with (tmp_path / "trials.csv").open(newline="") as file:
        written = [row["model"] for row in csv.DictReader(file)]
    assert written == [f"'{name}" for name in names[:5]] + names[5:]
    assert [row["model"] for row in rows(tmp_path / "results", tmp_path)] == names


def test_samples_are_a_row_per_inference(results: Path, tmp_path: Path) -> None:
    assert export(results, tmp_path / "samples.parquet", "--samples") == 0
    table = pq.read_table(tmp_path / "samples.parquet")
    assert table.schema.equals(SAMPLE_SCHEMA)
    latency = duckdb.sql(
        f"""SELECT trial_id, count(*), median(duration_ns) FROM '{tmp_path / "samples.parquet"}'
        WHERE kind = 'latency' GROUP BY trial_id"""
    ).fetchall()
    (first,) = [row for row in rows(results, tmp_path) if row["trial_id"] == "t001"]
    assert latency == [("t001", 400, pytest.approx(first["latency_p50_s"] * 1e9))]
    assert export(results, tmp_path / "samples.csv", "--samples") == 0
    assert len((tmp_path / "samples.csv").read_text().splitlines()) == table.num_rows + 1


def test_samples_that_are_gone_are_told_of_and_the_rest_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = store(tmp_path / "results")
    (run.path / "raw" / "t002.latency.parquet").unlink()
    assert export(run.path.parent, tmp_path / "samples.parquet", "--samples") == 1
    assert "the single inferences of 1 case are gone" in capsys.readouterr().err
    assert set(pq.read_table(tmp_path / "samples.parquet")["trial_id"].to_pylist()) == {"t001"}


def test_a_damaged_file_of_samples_is_named_and_the_rest_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = store(tmp_path / "results")
    (run.path / "raw" / "t002.latency.parquet").write_bytes(b"PAR1 no more")
    assert export(run.path.parent, tmp_path / "samples.parquet", "--samples") == 1
    assert "t002.latency.parquet" in capsys.readouterr().err
    assert set(pq.read_table(tmp_path / "samples.parquet")["trial_id"].to_pylist()) == {"t001"}


def test_a_file_is_replaced_whole_and_a_folder_never(results: Path, tmp_path: Path) -> None:
    target = tmp_path / "trials.json"
    target.write_text("old")
    assert export(results, target) == 0
    assert len(json.loads(target.read_text())) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"results", "trials.json"}
    for path, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "missing" / "x.csv", "make it first"),
        (Path("/dev/null"), "no plain file"),
    ):
        with pytest.raises(ConfigError, match=said):
            check_target(path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "trials.json"
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert export(results, target) == 2
    assert target.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"results", "trials.json"}

"""`bench plot` as a person calls it: files, data, and one clear line for what cannot be drawn."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from PIL import Image

from bench.cli import main
from bench.records.case import Case
from bench.records.job import JobFacts
from bench.records.status import Status, Verdict
from bench.store.reopen import reopen

from ..report.conftest import Synthetic

RECORDED = Path(__file__).parents[1] / "security" / "recorded-journal.jsonl"
PARITY = {"reason": "parity", "text": "outputs differ: cosine 0.31"}


@pytest.fixture
def synthetic(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path / "results")


@pytest.fixture
def results(synthetic: Synthetic) -> Path:
    """Runs: ``measured`` with a sensor and a case that crashed, ``dark`` without energy."""
    crash = {3: {"reason": "crash", "text": "SIGSEGV", "detail": ""}}
    cases = [*synthetic.cases("orin"), Case(device="orin", model="late")]
    synthetic.write(
        cases,
        power=synthetic.ina3221,
        run_id="measured",
        failures=crash,
        skip=(4,),
        finished_at=None,
        interrupted=True,
    )
    synthetic.write(synthetic.cases("pi"), power=None, run_id="dark")
    return synthetic.folder


def call(results: Path, *args: str) -> int:
    return main(["plot", *args, "--results", str(results)])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_chart_of_two_runs_with_its_data(results, tmp_path, capsys):
    figure = tmp_path / "fig.pdf"
    assert call(results, "latency", "measured", "dark", "-o", str(figure)) == 0
    assert figure.read_bytes().startswith(b"%PDF")
    rows = table(tmp_path / "fig.csv")
    assert [(row["run"], row["trial"]) for row in rows[:2]] == [
        ("measured", "t001"),
        ("measured", "t002"),
    ]
    assert [row["device"] for row in rows] == ["orin"] * 5 + ["pi"] * 4
    assert math.isclose(float(rows[0]["p50_s"]), 6.2e-3, rel_tol=0.02)
    assert rows[0]["status"] == "valid"
    assert (rows[3]["status"], rows[3]["reasons"]) == ("failed", "crash")
    # What was not measured is empty, never zero.
    assert (rows[4]["p50_s"], rows[4]["status"], rows[4]["reasons"]) == (
        "",
        "unmeasured",
        "interrupted",
    )
    assert str(figure) in capsys.readouterr().err


def test_texts_of_the_data_are_no_formulas(synthetic, tmp_path):
    synthetic.write([Case(device="@pi", model="=1+1")], power=None, run_id="odd")
    assert call(synthetic.folder, "latency", "odd", "-o", str(tmp_path / "x.svg")) == 0
    (row,) = table(tmp_path / "x.csv")
    assert (row["device"], row["model"]) == ("'@pi", "'=1+1")
    assert float(row["p50_s"]) > 0


@pytest.mark.parametrize(("width", "inches"), [("1", 3.5), ("2", 7.16), ("4.25in", 4.25)])
def test_png_is_as_wide_as_was_asked(results, tmp_path, width, inches):
    path = tmp_path / "fig.png"
    assert call(results, "memory", "measured", "-o", str(path), "--width", width) == 0
    with Image.open(path) as image:
        assert image.width == pytest.approx(300 * inches, abs=1)


def test_energy_data_name_source_and_scope(results, tmp_path, capsys):
    path = tmp_path / "energy.svg"
    args = ["energy", "measured", "-o", str(path), "--style", "screen", "--json"]
    assert call(results, *args) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["figure"] == str(path)
    rows = table(Path(document["data"]))
    assert {row["source"] for row in rows[:3]} == {"measured"}
    assert {row["scope"] for row in rows[:3]} == {"module"}
    assert float(rows[0]["gross_j"]) > float(rows[0]["net_j"]) > 0
    assert rows[3]["gross_j"] == ""
    assert rows[3]["status"] == "failed"


@pytest.mark.parametrize(
    ("chart", "columns"),
    [
        ("power", {"part", "at_s", "power_w", "window_s"}),
        ("over-time", {"kind", "index", "at_s", "p50_s"}),
        ("energy-parts", {"part", "half_width_j", "gross_j"}),
        ("pareto", {"tradeoff", "on_front", "p50_s", "gross_j", "file_bytes", "top1"}),
    ],
)
def test_data_of_other_charts(results, tmp_path, chart, columns):
    assert call(results, chart, "measured", "-o", str(tmp_path / "x.svg")) == 0
    rows = table(tmp_path / "x.csv")
    assert columns <= rows[0].keys()
    assert {row["run"] for row in rows} <= {"measured", ""}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["energy", "dark", "-o", "x.pdf"],
            "no case has an energy (not measured: estimate",
        ),
        (["power", "dark", "-o", "x.pdf"], "no power was sampled"),
        (["modes", "measured", "-o", "x.pdf"], "under two power modes"),
        (["health", "measured", "-o", "x.pdf"], "neither temperatures nor clocks"),
        (["latency", "measured", "-o", "x.gif"], "one of .pdf, .png, .svg"),
        (["latency", "measured", "-o", "gone/x.pdf"], "there is no folder gone"),
        (["latency", "nowhere", "-o", "x.pdf"], "no run nowhere"),
        (["latency", "measured", "measured", "-o", "x.pdf"], "measured is given twice"),
        (["latency", "measured", "-o", "x.pdf", "--width", "0"], "write 1 or 2 (columns)"),
        (["latency", "measured", "-o", "x.pdf", "--width", "wide"], "write 1 or 2 (columns)"),
        (["pie", "measured", "-o", "x.pdf"], "'pie' is not one of"),
        (["latency", "measured"], "Missing option '-o'"),
    ],
)
def test_bad_input_is_one_line_and_no_file(results, tmp_path, monkeypatch, capsys, args, said):
    monkeypatch.chdir(tmp_path)
    assert call(results, *args) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert not list(tmp_path.glob("x.*"))


def test_only_failed_trials_and_none_at_all(synthetic, tmp_path, capsys):
    failed = dict.fromkeys(range(4), PARITY)
    synthetic.write(synthetic.cases("orin"), failures=failed, run_id="failed")
    synthetic.write(synthetic.cases("orin"), skip=(0, 1, 2, 3), run_id="cut", finished_at=None)
    path = tmp_path / "x.pdf"
    assert call(synthetic.folder, "latency", "failed", "-o", str(path)) == 2
    assert "no case has a latency (failed: parity)" in capsys.readouterr().err
    assert call(synthetic.folder, "latency", "cut", "-o", str(path)) == 2
    said = capsys.readouterr().err
    assert "cut has no trial" in said
    assert "bench run --resume cut" in said
    assert not path.exists()


def test_health_comes_from_what_the_board_recorded(synthetic, tmp_path):
    """The journal of a real job: the board is read before, after, and after each round."""
    case = Case(device="nano", model="net")
    run = synthetic.write([case], power=None, run_id="recorded")
    assert run.trials[0].artifact is not None
    writer = reopen(run.path)
    writer.save_job(
        JobFacts(
            device="nano",
            job_id="job",
            power=None,
            without_power=Verdict(status=Status.UNMEASURED),
            artifacts={case.key: run.trials[0].artifact},
        )
    )
    writer.save_journal("job", RECORDED.read_bytes())
    writer.close()
    assert call(synthetic.folder, "health", "recorded", "-o", str(tmp_path / "x.svg")) == 0
    rows = table(tmp_path / "x.csv")
    assert {row["quantity"] for row in rows} == {"temperature_c"}
    assert {row["part"] for row in rows} == {"CPU-therm"}
    assert {row["value"] for row in rows} == {"41.5"}
    times_s = [float(row["at_s"]) for row in rows]
    assert times_s == sorted(times_s)
    assert (times_s[0], len(times_s)) == (0.0, 8)


def test_lost_samples_are_told(results, tmp_path, capsys):
    for file in (results / "measured" / "raw").glob("*.latency.parquet"):
        file.write_bytes(b"nonsense")
    assert call(results, "distribution", "measured", "-o", str(tmp_path / "x.pdf")) == 2
    assert "cannot read" in capsys.readouterr().err

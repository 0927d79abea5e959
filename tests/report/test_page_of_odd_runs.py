"""Pages of runs that are not as one would wish: huge, old, cut short, without figures."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from stored_runs import Recipe, store

from bench.errors import ConfigError
from bench.records.case import Case
from bench.report.canvas import paper
from bench.report.material import Material, material_of
from bench.report.page import write_joint_report, write_report
from bench.report.page_charts import DrawnChart
from bench.report.plots import draw_plot
from bench.store.hold import hold
from bench.store.reader import Run, open_run

from .test_report import Page, table_text

MOST_BYTES = 3_000_000


def multiplied(run: Run, count: int, *, raw: bool) -> Run:
    """Return a run of ``count`` cases with the trials of another over and over, and with ``raw``
    their samples: nothing is measured for it."""
    trials = [json.loads(line) for line in (run.path / "trials.jsonl").read_text().splitlines()]
    manifest = json.loads((run.path / "manifest.json").read_text())
    manifest["cases"], lines = [], []
    for number in range(count):
        trial = dict(trials[number % len(trials)])
        source, trial["trial_id"] = trial["trial_id"], f"t{number + 1:03d}"
        trial["case"] = {**trial["case"], "model": f"network_number_{number // 4}"}
        manifest["cases"].append(trial["case"])
        lines.append(json.dumps(trial))
        for path in run.path.glob(f"raw/{source}.*") if raw else ():
            target = path.with_name(path.name.replace(source, f"copy-{trial['trial_id']}", 1))
            shutil.copy(path, target)
    for path in run.path.glob("raw/t*"):
        path.unlink()
    for path in run.path.glob("raw/copy-*"):
        path.rename(path.with_name(path.name.removeprefix("copy-")))
    (run.path / "trials.jsonl").write_text("\n".join(lines) + "\n")
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    return open_run(run.path, run.path.parent)


def page_of(run: Run, charts: bool = True) -> tuple[Page, str]:
    text = write_report(run, charts=charts).page.read_text()
    return Page(text), text


def test_fifty_cases_stay_below_three_megabytes(synthetic) -> None:
    run = synthetic.write(synthetic.cases("nano"), power=synthetic.ina3221, load_w=3.0)
    page, text = page_of(multiplied(run, 50, raw=True))
    assert len(text.encode()) < MOST_BYTES
    assert len([tag for tag, _ in page.tags if tag == "tr"]) == 51
    # 12 networks of four cases each and one of two: the first are seen at once.
    assert "9 more groups of cases" in page.text
    assert "are drawn" in page.text


def test_ten_boards_stay_below_three_megabytes_too(synthetic, tmp_path: Path) -> None:
    cases = [
        case
        for number in range(10)
        for case in (
            *synthetic.cases(f"board-{number}"),
            Case(device=f"board-{number}", model="shufflenet_v2_x1_0", scheme="basis:0.5"),
        )
    ]
    run = synthetic.write(cases, power=synthetic.ina3221, load_w=3.0)
    path = write_report(run, tmp_path / "page.html").page
    page = Page(path.read_text())
    assert path.stat().st_size < MOST_BYTES
    assert len(page.images()) == 80
    assert "Left out" not in page.text
    assert "more group" not in page.text, "one answer per board is seen"


def test_charts_that_find_no_room_are_named(synthetic, tmp_path: Path, monkeypatch) -> None:
    run = synthetic.write(synthetic.cases("nano"), power=synthetic.ina3221, load_w=3.0)
    whole = write_report(run, tmp_path / "whole.html").page
    monkeypatch.setattr("bench.report.page_charts._CASE_BYTES", 2_000)
    path = write_report(run, tmp_path / "small.html").page
    page = Page(path.read_text())
    assert path.stat().st_size < whole.stat().st_size
    pictures = [attrs["alt"] for tag, attrs in page.tags if tag == "img"]
    assert any("median latency" in text for text in pictures), "the first ones stay"
    assert not any("size against energy" in text for text in pictures)
    assert re.search(r"Left out so that this page stays small: [^.]*pareto", page.text)


def run_with_answers(synthetic, boards: int, models: int) -> Run:
    cases = [
        case
        for board in range(boards)
        for model in range(models)
        for case in synthetic.cases(f"board-{board}", f"net-{model}")[:2]
    ]
    return synthetic.write(cases, power=None)


def test_one_answer_per_board_is_seen_at_once(synthetic, tmp_path: Path) -> None:
    run = run_with_answers(synthetic, boards=6, models=2)
    text = write_report(run, charts=False).page.read_text()
    seen, _, folded = text.partition("<details>")
    for board in range(6):
        assert f"board-{board} · net-0</h3>" in seen
        assert f"board-{board} · net-1</h3>" in folded.partition("</details>")[0]
    assert "6 more groups of cases" in folded


def test_the_newest_runs_come_first(synthetic, tmp_path: Path, monkeypatch) -> None:
    for module in ("page", "sections"):
        monkeypatch.setattr(f"bench.report.{module}.MOST_ROWS", 4)
    charted: list[Material] = []

    def drawn(found: Material, **_: bool) -> list[DrawnChart]:
        charted.append(found)
        return []

    monkeypatch.setattr("bench.report.page.drawn", drawn)
    runs = [run_of_day(synthetic, day) for day in (20, 21, 22, 23, 24, 25)]
    text = write_joint_report(runs, tmp_path / "joint.html").page.read_text()
    seen, _, folded = text.partition("<details>")
    assert "shufflenet_v2_x1_0 · 20261125-nano</h3>" in seen
    assert "shufflenet_v2_x1_0 · 20261120-nano</h3>" not in seen
    assert "2 more groups of cases" in folded
    assert "The charts show the newest 4 of 24 cases; the table has all." in text
    assert [{row.trial.run_id for row in material.rows} for material in charted] == [
        {"20261125-nano"}
    ]


def test_charts_of_samples_that_are_gone_are_missed_aloud(synthetic) -> None:
    run = synthetic.write(synthetic.cases("nano"), power=synthetic.ina3221, load_w=3.0)
    shutil.rmtree(run.path / "raw")
    page, _ = page_of(run)
    gone = f"of t001, t002, t003, t004 are gone from {run.path.name}/raw: charts of them are left"
    assert f"the inferences {gone}" in page.text
    assert f"the power readings {gone}" in page.text
    assert "6.217 ms" in page.text
    pictures = [attrs["alt"] for tag, attrs in page.tags if tag == "img"]
    assert any("median latency" in text for text in pictures)
    assert not any("power around" in text or "spread" in text for text in pictures)
    with pytest.raises(ConfigError, match=f"the power readings {gone}"):
        draw_plot("power", material_of((run,)), "svg", paper(3.5))


def test_a_thousand_trials(synthetic, monkeypatch) -> None:
    # Drawing sixty is what takes long, and fifty are drawn above.
    for module in ("page", "sections"):
        monkeypatch.setattr(f"bench.report.{module}.MOST_ROWS", 6)
    run = synthetic.write(synthetic.cases("nano"), power=synthetic.ina3221, load_w=3.0)
    page, _ = page_of(multiplied(run, 1000, raw=False))
    assert len([tag for tag, _ in page.tags if tag == "tr"]) == 1001
    assert "The charts show the first 6 of 1000 cases; the table has all." in page.text
    assert "Details of the first 200 of 1000 cases are here" in page.text


def test_a_run_of_an_older_schema(synthetic) -> None:
    """Fields that later versions added are missing."""
    run = synthetic.write(synthetic.cases("nano"), power=synthetic.ina3221)
    manifest = json.loads((run.path / "manifest.json").read_text())
    for name in ("plan", "plugins", "resumptions"):
        manifest.pop(name)
    (run.path / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 0}))
    lines = []
    for line in (run.path / "trials.jsonl").read_text().splitlines():
        trial = json.loads(line)
        for name in ("attempt", "meter", "sustain", "accuracy", "rounds"):
            trial.pop(name)
        lines.append(json.dumps({**trial, "schema_version": 0}))
    (run.path / "trials.jsonl").write_text("\n".join(lines))
    page, _ = page_of(open_run(run.path, run.path.parent))
    # Without rounds there are no pairs, but there are two intervals.
    assert "latency" in page.text
    assert "6.217 ms" in page.text


def test_only_inconclusive_trials_make_no_claims(synthetic) -> None:
    run = synthetic.write(synthetic.cases("nano"), power=synthetic.ina3221, load_w=3.0)
    lines = []
    for line in (run.path / "trials.jsonl").read_text().splitlines():
        trial = json.loads(line)
        noisy = {"status": "inconclusive", "reasons": ["background-load"], "detail": "busy"}
        names = ("latency_status", "energy_status", "memory_status")
        lines.append(json.dumps({**trial, **dict.fromkeys(names, noisy)}))
    (run.path / "trials.jsonl").write_text("\n".join(lines))
    run = open_run(run.path, run.path.parent)
    page, text = page_of(run, charts=False)
    phrases = [attrs["class"] for tag, attrs in page.tags if "phrase" in (attrs.get("class") or "")]
    assert phrases == ["phrase better", *["phrase unsaid"] * 3] * 3, "only the file's size is known"
    words = "inconclusive: latency, energy, memory (background load)"
    assert text.count(f'<span class="figure">{words}</span>') == 4
    assert "basis:0.25 load, basis:0.25 runtime, basis:0.25 factored" in page.text
    assert table_text(run).count("inconclusive:") == 4


def test_a_run_that_is_still_at_work(synthetic, tmp_path) -> None:
    waiting = store(tmp_path / "results", Recipe(collected=False, manifest={"finished_at": None}))
    held = hold(waiting.path)
    try:
        page, _ = page_of(waiting)
        assert "This run is still at work: 2 of 2 cases are not measured yet." in page.text
        assert table_text(waiting).count("not measured yet") == 2
        for words in ("was interrupted", "bench attach", "have no trial", "not collected"):
            assert words not in page.text
    finally:
        held.close()
    page, _ = page_of(waiting)
    assert "This run was interrupted." in page.text
    assert "bench attach" in page.text
    assert "still at work" not in page.text
    assert "not measured: not collected from the board" in page.text


def test_a_run_cut_before_its_first_trial(synthetic) -> None:
    run = synthetic.write(
        synthetic.cases("nano"), skip=(0, 1, 2, 3), interrupted=True, finished_at=None
    )
    page, text = page_of(run)
    assert "This run was interrupted" in page.text
    assert "4 of 4 cases have no trial" in page.text
    assert "Nothing to say: no case has a trial." in page.text
    assert text.count('<span class="figure">not measured: interrupted</span>') == 4


def test_one_trial(synthetic) -> None:
    page, _ = page_of(synthetic.write(synthetic.cases()[:1]), charts=False)
    assert "No comparison: only the dense network was measured." in page.text


def test_a_percentile_that_is_not_resolved_is_not_called_unmeasured(synthetic) -> None:
    run = synthetic.write(synthetic.cases()[:1])
    trial = json.loads((run.path / "trials.jsonl").read_text())
    trial["latency"].update(
        p90_s=None, p90_ci=None, p95_s=None, p95_ci=None, p99_s=None, p99_ci=None
    )
    (run.path / "trials.jsonl").write_text(json.dumps(trial) + "\n")
    run = open_run(run.path, run.path.parent)
    _, text = page_of(run, charts=False)
    assert "p90 — not resolved" in text
    assert 'title="p90 and p99: too few inferences"' in text
    table = table_text(run)
    assert "n/r" in table
    assert "n/r: not resolved, too few inferences for that percentile" in table


def test_a_dash_in_the_terminal_says_what_it_means(synthetic) -> None:
    run = synthetic.write(synthetic.cases(), power=None)
    text = table_text(run)
    assert "—: not measured, the status says why" in text
    assert "not measured: energy (estimate declined)" in text
    assert "—: not" not in table_text(synthetic.write(synthetic.cases("pi"), run_id="other"))


def test_the_command_can_be_pasted_into_a_shell(synthetic) -> None:
    command = ("bench", "run", "--model", "my net; rm -rf $HOME", "--note", "it's")
    page, _ = page_of(synthetic.write(synthetic.cases()[:1], command=command), charts=False)
    assert "bench run --model 'my net; rm -rf $HOME' --note 'it'\"'\"'s'" in page.text


def run_of_day(synthetic, day: int, device: str = "nano", **more: Any) -> Run:
    return synthetic.write(
        synthetic.cases(device),
        power=synthetic.ina3221,
        load_w=3.0,
        run_id=f"202611{day}-{device}",
        started_at=f"2026-11-{day}T03:50:12+00:00",
        **more,
    )


def test_several_runs_and_boards_on_one_page(synthetic, tmp_path: Path) -> None:
    slower = {"speed": lambda number: 0.008 if number == 0 else 0.0062}
    runs = [
        run_of_day(synthetic, 24, **slower),
        run_of_day(synthetic, 20, git_revision="0000000"),
        run_of_day(synthetic, 22, "orin"),
    ]
    written = write_joint_report(runs, tmp_path / "joint.html")
    assert written.charts == ()
    text = written.page.read_text()
    page = Page(text)
    assert "3 runs" in page.text
    assert len([tag for tag, attrs in page.tags if attrs.get("data-search")]) == 12
    for run in runs:
        assert f"shufflenet_v2_x1_0 · {run.manifest.run_id}" in page.text
    # Over time: what two of the runs measured, oldest first.
    assert page.text.count("20261120-nano") < page.text.count("20261124-nano") + 10
    assert "nano · shufflenet_v2_x1_0 dense" in page.text
    assert "orin · shufflenet_v2_x1_0 dense over time" not in text
    assert "latency slower: +" in page.text
    assert "bench: 0000000 → ac3b5c6f0c2e4b7d9a1f" in page.text
    assert [attrs for tag, attrs in page.tags if tag == "img" and "over time" in attrs["alt"]]


def test_a_network_has_one_colour_over_all_runs(synthetic, tmp_path: Path) -> None:
    """Alone, soft:0.25 would take another colour in each of these."""
    device = {"device": "nano", "model": "net"}
    schemes = (("dense", "soft:0.25"), ("soft:0.15", "soft:0.25"), ("soft:0.15", "soft:0.20"))
    runs = [
        synthetic.write([Case(**device, scheme=name) for name in pair], run_id=f"run-{number}")
        for number, pair in enumerate(schemes)
    ]
    page = Page(write_joint_report(runs, tmp_path / "joint.html").page.read_text())
    colours: dict[str, set[str]] = {}
    case = ""
    for tag, attrs in page.tags:
        if tag == "th" and attrs.get("scope") == "row":
            case = attrs.get("data-sort", "")
        if "swatch" in (attrs.get("class") or ""):
            colours.setdefault(case, set()).add(attrs["style"])
    assert len(colours) == 4
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == 4


def test_runs_without_a_case_in_common_say_so(synthetic, tmp_path: Path) -> None:
    runs = [run_of_day(synthetic, 20, "orin"), run_of_day(synthetic, 21)]
    page = Page(write_joint_report(runs, tmp_path / "joint.html").page.read_text())
    assert "No case was measured in more than one of these runs." in page.text

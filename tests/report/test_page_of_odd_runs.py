"""Pages of runs that are not as one would wish: huge, old, cut short, without figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from bench.report.page import write_joint_report, write_report
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


def test_runs_without_a_case_in_common_say_so(synthetic, tmp_path: Path) -> None:
    runs = [run_of_day(synthetic, 20, "orin"), run_of_day(synthetic, 21)]
    page = Page(write_joint_report(runs, tmp_path / "joint.html").page.read_text())
    assert "No case was measured in more than one of these runs." in page.text

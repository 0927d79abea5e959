"""What a user finds in results/<run-id>/ after a run, a crash, or on a full disk."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.agent import wire
from bench.errors import StoreError
from bench.records.base import SCHEMA_VERSION
from bench.records.case import Case
from bench.records.job import JobEnd, JobFacts
from bench.records.manifest import Manifest
from bench.records.procedure import Procedure
from bench.records.recordings import IdleLine, PowerTrace, Recording, Round
from bench.records.status import Reason, Status, Verdict
from bench.records.trial import Trial
from bench.store.hold import is_held
from bench.store.listing import list_runs
from bench.store.reader import open_run
from bench.store.reopen import reopen
from bench.store.writer import RunWriter, new_run_id

NOW = datetime(2026, 11, 24, 3, 50, 12, tzinfo=UTC)
VALID = Verdict(status=Status.VALID)


def manifest(run_id="20261124-035012-local-a1b2", cases=3, **changes) -> Manifest:
    procedure = Procedure(
        name="quick",
        warmup_min_s=1,
        warmup_max_s=5,
        latency_rounds=3,
        latency_round_s=0.2,
        energy_rounds=1,
        energy_window_s=2,
        energy_tail_s=0.5,
        idle_s=2,
        settle_s=0.5,
        settle_tau=1,
        target_ci=0.02,
    )
    fields = {
        "run_id": run_id,
        "started_at": NOW.isoformat(),
        "command": ("bench", "run"),
        "git_revision": None,
        "versions": {"python": "3.11"},
        "procedure": procedure,
        "devices": {"local": {"transport": "local"}},
        "cases": tuple(Case(device="local", model=f"net{i}") for i in range(cases)),
    }
    return Manifest(**{**fields, **changes})


def trial(number: int, **changes) -> Trial:
    fields = {
        "trial_id": f"t{number:03d}",
        "run_id": "20261124-035012-local-a1b2",
        "case": Case(device="local", model=f"net{number}"),
        "latency_status": VALID,
        "energy_status": VALID,
        "memory_status": VALID,
        "facts": {"health": {"before": {"temperature_c": {"cpu": 41.5}}}},
    }
    return Trial(**{**fields, **changes})


def recording() -> Recording:
    t_ns = np.arange(0, 50, 10, dtype=np.int64) + 10**15
    values = np.array([[5.0, 2.0], [5.1, 2.1], [np.nan, np.nan], [5.3, 2.2], [5.4, 2.3]])
    trace = PowerTrace(("VDD_IN", "t_before_ns"), "W", t_ns, t_ns + 3, values)
    window = (10**15 + 5, 10**15 + 35)
    rounds = (
        Round(0, "latency", 10**15, np.array([7, 8, 9]), background=0.01),
        Round(1, "energy", 10**15 + 100, np.array([10, 20]), window, trace),
    )
    return Recording(
        case_key="k",
        solo=None,
        warmup=None,
        failure=None,
        rounds=rounds,
        idle=(IdleLine("before", (10**15 - 50, 10**15 - 10), trace),),
        health=(),
        finished=True,
    )


@pytest.fixture
def writer(tmp_path) -> RunWriter:
    return RunWriter.create(tmp_path / "results", manifest())


def test_run_ids_sort_by_time_and_are_safe_names():
    one = new_run_id(["local"], NOW)
    assert re.fullmatch(r"20261124-035012-local-[0-9a-f]{4}", one)
    assert re.fullmatch(r"20261124-035012-2-devices-[0-9a-f]{4}", new_run_id(["a", "b"], NOW))
    odd = new_run_id(["../my board; rm -rf"], NOW)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", odd)
    assert ".." not in odd


def test_the_manifest_is_there_before_anything_is_measured(writer):
    document = json.loads((writer.path / "manifest.json").read_text())
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["command"] == ["bench", "run"]
    run = open_run(writer.path, writer.path.parent)
    assert run.trials == ()
    assert [case.model for case in run.missing] == ["net0", "net1", "net2"]


def test_write_then_read(writer):
    writer.append(trial(0), recording())
    writer.append(trial(1), None)
    writer.add_probe("local", {"python": "3.11", "memory": {"total_bytes": 1}})
    writer.update(finished_at="later", device_errors={"nano": "unreachable"})
    run = open_run(writer.manifest.run_id, writer.path.parent)
    assert run.trials == (trial(0), trial(1))
    assert run.manifest.model_copy(update={"probes": {}}) == writer.manifest
    assert run.manifest.probes["local"]["memory"]["total_bytes"] == 1
    assert run.manifest.device_errors == {"nano": "unreachable"}
    assert [case.model for case in run.missing] == ["net2"]
    assert run.problems == ()


def test_raw_samples_come_back_as_they_were(writer):
    original = recording()
    writer.append(trial(0), original)
    run = open_run(writer.path, writer.path.parent)
    samples = run.latency("t000")
    assert samples.duration_ns.tolist() == [7, 8, 9, 10, 20]
    assert samples.t_ns.tolist() == [10**15 + offset for offset in (0, 7, 15, 100, 110)]
    assert samples.round.tolist() == [0, 0, 0, 1, 1]
    assert samples.round.dtype == np.int32
    assert samples.kind.tolist() == ["latency"] * 3 + ["energy"] * 2
    idle, energy = run.power("t000")
    assert (idle.where, energy.where) == ("idle-before", "round-1")
    assert energy.window_ns == original.rounds[1].window_ns
    assert energy.trace.channels == ("VDD_IN", "t_before_ns")
    assert energy.trace.unit == "W"
    np.testing.assert_array_equal(energy.trace.values, original.rounds[1].trace.values)
    np.testing.assert_array_equal(energy.trace.t_after_ns, original.rounds[1].trace.t_after_ns)


def test_raw_files_are_plain_parquet_with_units(writer):
    writer.append(trial(0), recording())
    table = pq.read_table(writer.path / "raw" / "t000.power.parquet")
    assert "VDD_IN [W]" in table.column_names
    facts = json.loads(table.schema.metadata[b"bench"])
    assert facts["unit"] == "W"
    assert facts["windows_ns"]["round-1"] == [10**15 + 5, 10**15 + 35]


def test_a_trial_without_rounds_has_no_raw_files(writer):
    writer.append(trial(0), None)
    run = open_run(writer.path, writer.path.parent)
    assert run.latency("t000") is None
    assert run.power("t000") == ()
    assert list((writer.path / "raw").iterdir()) == []


def test_a_torn_last_line_costs_only_that_trial(writer):
    for number in range(3):
        writer.append(trial(number), recording())
    file = writer.path / "trials.jsonl"
    whole = file.read_bytes()
    start = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for cut in range(start + 1, len(whole) - 1, 41):
        file.write_bytes(whole[:cut])
        run = open_run(writer.path, writer.path.parent)
        assert [item.trial_id for item in run.trials] == ["t000", "t001"]
        assert run.problems == ("trials.jsonl line 3 is cut short",)
        assert [case.model for case in run.missing] == ["net2"]


def test_a_damaged_line_is_named_and_the_rest_is_read(writer):
    for number in range(3):
        writer.append(trial(number), None)
    file = writer.path / "trials.jsonl"
    lines = file.read_bytes().splitlines()
    lines[1] = b'{"trial_id": "t001", "surprise": 1}'
    file.write_bytes(b"\n".join(lines) + b"\n")
    run = open_run(writer.path, writer.path.parent)
    assert [item.trial_id for item in run.trials] == ["t000", "t002"]
    assert len(run.problems) == 1
    assert "line 2 is damaged" in run.problems[0]


def test_a_killed_process_leaves_a_readable_run(tmp_path):
    """Killed without warning while it appends as fast as it can, in the middle of whatever."""
    script = """
import sys
sys.path[:0] = [sys.argv[2]]
from pathlib import Path
import test_run_on_disk as t
writer = t.RunWriter.create(Path(sys.argv[1]), t.manifest(cases=1000))
for number in range(1000):
    writer.append(t.trial(number), t.recording())
    print(number, flush=True)
"""
    argv = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path.cwd()) as process:
        for _ in range(20):
            last = int(process.stdout.readline())
        process.kill()
        last = max([last, *map(int, process.stdout.read().split(b"\n")[:-1])])
    run = open_run(manifest().run_id, tmp_path)
    assert len(run.trials) >= last + 1
    for item in run.trials:
        assert run.latency(item.trial_id).duration_ns.size == 5
        assert len(run.power(item.trial_id)) == 2


def test_a_full_disk_is_one_line_and_keeps_what_was_there(writer):
    """A file size limit stands in for the full disk: the write fails half way."""
    writer.append(trial(0), None)
    before = (writer.path / "trials.jsonl").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
    try:
        with pytest.raises(StoreError) as error:
            writer.append(trial(1), None)
        with pytest.raises(StoreError, match="File too large"):
            writer.update(versions={"long": "x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
    assert "trials.jsonl" in str(error.value)
    assert (writer.path / "trials.jsonl").read_bytes() == before
    writer.append(trial(1), None)
    run = open_run(writer.path, writer.path.parent)
    assert [item.trial_id for item in run.trials] == ["t000", "t001"]
    assert run.problems == ()
    assert not list(writer.path.glob("*.tmp"))


def test_an_unwritable_results_folder_is_one_line(tmp_path):
    blocked = tmp_path / "results"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(StoreError) as error:
        RunWriter.create(blocked, manifest())
    assert str(blocked) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_is_never_written_over(writer):
    with pytest.raises(StoreError, match="exists"):
        RunWriter.create(writer.path.parent, manifest())


def test_journals_of_oddly_named_devices_do_not_leave_the_folder(writer):
    names = ["nano", "../../evil", "a/b", "a_b", ""]
    paths = [writer.save_journal(name, name.encode()) for name in names]
    assert len(set(paths)) == len(names)
    for name, path in zip(names, paths, strict=True):
        assert path.parent == writer.path / "journals"
        assert path.read_bytes() == name.encode()
    longer = writer.save_journal("nano", b"nano and more")
    assert longer == paths[0]
    assert longer.read_bytes() == b"nano and more"


def test_a_trial_id_cannot_leave_the_folder(writer):
    with pytest.raises(StoreError):
        writer.append(trial(0, trial_id="../t"), None)


def test_several_devices_append_at_once(writer):
    def work(base):
        for number in range(base, base + 20):
            writer.append(trial(number), recording())
            writer.add_probe(f"board{number}", {})

    threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run = open_run(writer.path, writer.path.parent)
    assert len({item.trial_id for item in run.trials}) == 80
    assert len(run.manifest.probes) == 80
    assert run.problems == ()


@pytest.mark.parametrize("file", ["manifest.json", "trials.jsonl"])
def test_a_newer_schema_is_refused_in_words(writer, file):
    writer.append(trial(0), None)
    path = writer.path / file
    newer = {**json.loads(path.read_text()), "schema_version": SCHEMA_VERSION + 1, "new": 1}
    path.write_text(json.dumps(newer) + "\n")
    with pytest.raises(StoreError, match=r"schema version 2.*update bench"):
        open_run(writer.path, writer.path.parent)


def test_an_unknown_run_names_near_ones(writer):
    with pytest.raises(StoreError, match="did you mean '20261124-035012-local-a1b2'"):
        open_run("20261124-035012-local-a1b3", writer.path.parent)
    with pytest.raises(StoreError, match="no results folder"):
        open_run("x", writer.path.parent / "nowhere")


def test_a_damaged_manifest_is_one_line(writer):
    (writer.path / "manifest.json").write_text('{"run_id": ')
    with pytest.raises(StoreError, match="is damaged") as error:
        open_run(writer.path, writer.path.parent)
    assert "\n" not in str(error.value)


def test_a_damaged_raw_file_is_one_line(writer):
    writer.append(trial(0), recording())
    (writer.path / "raw" / "t000.power.parquet").write_bytes(b"PAR1 nonsense")
    run = open_run(writer.path, writer.path.parent)
    with pytest.raises(StoreError, match=r"cannot read .*t000\.power\.parquet"):
        run.power("t000")


def test_list_runs_oldest_first_and_with_the_broken_ones(tmp_path):
    assert list_runs(tmp_path / "nowhere") == []
    for day in (3, 1, 2):
        run_id = f"2026010{day}-000000-local-0000"
        writer = RunWriter.create(
            tmp_path, manifest(run_id, cases=1, started_at=f"2026-01-0{day}T00:00:00+00:00")
        )
        writer.append(trial(0), None)
        if day == 1:
            writer.update(finished_at="2026-01-01T00:01:00+00:00")
    (tmp_path / "20260102-000000-local-0000" / "manifest.json").write_text("{}")
    (tmp_path / "not-a-run").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    listings = {listing.run_id: listing for listing in list_runs(tmp_path)}
    assert len(listings) == 3
    assert listings["20260101-000000-local-0000"].complete
    assert listings["20260101-000000-local-0000"].trials == 1
    assert not listings["20260103-000000-local-0000"].complete
    assert "damaged" in listings["20260102-000000-local-0000"].problem
    good = [listing.run_id for listing in list_runs(tmp_path) if not listing.problem]
    assert good == ["20260101-000000-local-0000", "20260103-000000-local-0000"]


def job_facts(job_id="job", cases=(0,), **changes) -> JobFacts:
    size = {"file_bytes": 1, "opset": 15, "ir_version": 8}
    artifact = {"graph_sha256": "0" * 64, "weights_sha256": None, **size}
    artifacts = {Case(device="local", model=f"net{number}").key: artifact for number in cases}
    fields = {"device": "local", "job_id": job_id, "power": None, "without_power": VALID}
    return JobFacts.model_validate({**fields, "artifacts": artifacts, **changes})


def test_the_newest_attempt_at_a_case_counts_and_the_others_are_kept(writer):
    again = trial(0, trial_id="t000r2", attempt=2)
    writer.append(trial(0), recording())
    writer.append(again, recording())
    # Collected late: from a board that could not be reached when the run was resumed.
    writer.append(trial(0, trial_id="t000r1", attempt=1), recording())
    writer.append(trial(1), None)
    run = open_run(writer.path, writer.path.parent)
    assert run.trials == (again, trial(1))
    assert [item.trial_id for item in run.superseded] == ["t000", "t000r1"]
    assert run.latency("t000").duration_ns.size == run.latency("t000r2").duration_ns.size == 5


def test_failed_and_interrupted_cases_are_unfinished_and_skipped_ones_are_not(writer):
    verdicts = (
        Verdict(status=Status.SKIPPED, reasons=(Reason.UNSUPPORTED,)),
        Verdict(status=Status.FAILED, reasons=(Reason.CRASH,)),
        Verdict(status=Status.INCONCLUSIVE, reasons=(Reason.CI_WIDE, Reason.INTERRUPTED)),
    )
    for number, verdict in enumerate(verdicts):
        writer.append(trial(number, latency_status=verdict), None)
    run = open_run(writer.path, writer.path.parent)
    assert [case.model for case in run.unfinished] == ["net1", "net2"]
    assert run.missing == ()


def test_a_job_is_to_be_collected_until_its_journal_is_whole_or_its_end_is_known(writer):
    def left() -> list[str]:
        return [job.facts.job_id for job in open_run(writer.path, writer.path.parent).to_collect]

    begun = wire.encode_record({"kind": "start", "text": "x" * 10_000})
    ended = wire.encode_record({"kind": "end", "t_ns": 1, "reason": "finished"})
    writer.save_job(job_facts("whole"))
    writer.save_job(job_facts("dead"))
    assert left() == ["dead", "whole"]
    writer.save_journal("whole", begun + ended[:-3])
    writer.save_journal("dead", begun)
    assert left() == ["dead", "whole"]
    writer.save_journal("whole", begun + ended)
    assert left() == ["dead"]
    writer.save_job(job_facts("dead", end=JobEnd(state="dead", text="gone")))
    assert left() == []


def test_a_damaged_job_file_is_named_and_the_rest_is_read(writer):
    writer.append(trial(0), None)
    writer.save_job(job_facts("good"))
    (writer.path / "jobs" / "bad.json").write_text("{")
    run = open_run(writer.path, writer.path.parent)
    assert [job.facts.job_id for job in run.jobs] == ["good"]
    assert run.trials == (trial(0),)
    assert "jobs/bad.json is damaged" in run.problems[0]


def test_only_one_process_at_a_time_writes_a_run(writer):
    assert is_held(writer.path)
    with pytest.raises(BlockingIOError):
        reopen(writer.path)
    (listing,) = list_runs(writer.path.parent)
    assert listing.running
    writer.close()
    assert not is_held(writer.path)
    again = reopen(writer.path)
    again.update(finished_at="later")
    again.append(trial(0), recording())
    again.close()
    assert open_run(writer.path, writer.path.parent).manifest.finished_at == "later"

"""Plan in, trials out: on this machine, over ssh, and on a board with an old Python."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from board_folder import tiny_model
from sshd import LOGIN_HOME, Sshd
from witness import Witness

from bench.agent import wire
from bench.config.device_settings import LocalDevice, SshDevice
from bench.config.power_settings import PowerSettings, ReplayFile
from bench.errors import AgentError, StoreError, TransportError
from bench.fleet.evaluation import completed
from bench.fleet.outcome import Outcome
from bench.plan.plan import Plan
from bench.records.status import Reason, Source, Status
from bench.store.listing import list_runs
from bench.store.reader import open_run

from .conftest import ESTIMATE, PLAN, TINY

Measure = Callable[..., tuple[Outcome, Witness]]
FOUR = [
    ("dense", None),
    ("basis:0.25", "load"),
    ("basis:0.25", "runtime"),
    ("basis:0.25", "factored"),
]
NOISE = {Reason.CI_WIDE, Reason.BACKGROUND_LOAD, Reason.NOT_STEADY}


def over_ssh(sshd: Sshd, folder: Path, **changes: Any) -> SshDevice:
    own = {"work_dir": str(folder / "ssh-board"), "lock": "lock", "power": ESTIMATE}
    return SshDevice(**sshd.device(**{**own, **changes}))


def assert_four_good_trials(outcome: Outcome) -> None:
    trials = outcome.run.trials
    assert [(trial.case.scheme, trial.case.weights) for trial in trials] == FOUR
    for trial in trials:
        assert trial.parity is not None and trial.parity.passed
        assert trial.latency is not None
        assert trial.latency.p50_low_s is not None and trial.latency.p50_high_s is not None
        assert 0 < trial.latency.min_s <= trial.latency.p50_s
        assert trial.latency.rounds == TINY.latency_rounds
        assert set(trial.latency_status.reasons) <= NOISE
        assert trial.energy is not None and trial.energy.source is Source.ESTIMATED
        assert trial.memory is not None and trial.memory.peak_bytes > 0
        assert trial.load is not None and trial.artifact is not None


def test_this_machine_and_a_second_run_that_exports_and_sends_nothing(
    measure: Measure, local: LocalDevice, tmp_path: Path
) -> None:
    outcome, witness = measure({"local": local})
    assert_four_good_trials(outcome)
    assert witness.trials == list(outcome.run.trials)
    assert outcome.device_errors == {}
    shared = {trial.artifact.weights_sha256 for trial in outcome.run.trials[1:] if trial.artifact}
    assert len(shared) == 1, "all weight modes read one weights file"
    manifest = json.loads((outcome.run.path / "manifest.json").read_text())
    assert outcome.run.manifest.probes["local"]["runtimes"]["onnxruntime"]["version"]
    assert manifest["finished_at"]

    again, witness = measure({"local": local})
    assert_four_good_trials(again)
    assert "0 of 4 artifacts exported, 0 files sent" in witness.notes


def test_the_raw_samples_of_every_trial_are_on_the_disk(
    measure: Measure, local: LocalDevice, tmp_path: Path
) -> None:
    plan = replace(PLAN, schemes=("dense",))
    outcome, _ = measure({"local": local}, plan)
    (trial,) = outcome.run.trials
    samples = outcome.run.latency(trial.trial_id)
    assert samples is not None and trial.latency is not None
    of_rounds = samples.duration_ns[samples.kind == "latency"]
    assert len(of_rounds) == trial.latency.samples
    assert trial.latency.min_s == pytest.approx(of_rounds.min() / 1e9)
    assert outcome.run.power(trial.trial_id)


def test_over_ssh(measure: Measure, sshd: Sshd, tmp_path: Path) -> None:
    # As by default, the board folder is named from the login's home.
    work_dir = os.path.relpath(tmp_path / "ssh-board", LOGIN_HOME)
    board = over_ssh(sshd, tmp_path, python=local_python(), work_dir=work_dir)
    outcome, _ = measure({"board": board})
    assert_four_good_trials(outcome)
    assert (tmp_path / "ssh-board").stat().st_mode & 0o777 == 0o700


@pytest.mark.python36
def test_over_ssh_on_a_board_with_python_3_6(
    measure: Measure, sshd: Sshd, tmp_path: Path, python36: Path
) -> None:
    outcome, _ = measure({"board": over_ssh(sshd, tmp_path, python=str(python36))})
    assert_four_good_trials(outcome)
    probe = outcome.run.manifest.probes["board"]
    assert probe["python"]["version"].startswith("3.6.")
    assert probe["runtimes"]["onnxruntime"]["version"] == "1.10.0"
    assert all(trial.artifact and trial.artifact.opset <= 15 for trial in outcome.run.trials)


def test_a_board_that_cannot_be_reached_does_not_stop_the_others(
    measure: Measure, local: LocalDevice, sshd: Sshd, tmp_path: Path
) -> None:
    dead = over_ssh(sshd, tmp_path, port=1, connect_timeout_s=2)
    outcome, _ = measure({"dead": dead, "local": local}, replace(PLAN, schemes=("dense",)))
    assert [trial.case.device for trial in outcome.run.trials] == ["local"]
    assert isinstance(outcome.device_errors["dead"], TransportError)
    assert outcome.run.manifest.device_errors.keys() == {"dead"}
    assert [case.device for case in outcome.run.missing] == ["dead"]


def test_measured_power_comes_from_the_board_s_rails_and_counts_none_twice(
    measure: Measure, tmp_path: Path
) -> None:
    root = nano_tree(tmp_path / "root", total_mw=5000, gpu_mw=1500, cpu_mw=2000)
    device = LocalDevice(
        transport="local", work_dir=str(tmp_path / "board"), lock="lock", root=str(root)
    )
    outcome, _ = measure({"nano": device}, replace(PLAN, schemes=("dense",)))
    (trial,) = outcome.run.trials
    assert trial.energy is not None
    assert trial.energy.source is Source.MEASURED
    assert trial.energy.scope == "board input (5 V)"
    assert trial.energy.power_w == pytest.approx(5.0)
    samples = outcome.run.latency(trial.trial_id)
    assert samples is not None
    latency_s = samples.duration_ns[samples.kind == "energy"] / 1e9
    assert 5.0 * latency_s.min() <= trial.energy.gross_j <= 5.0 * latency_s.max()


def test_a_replayed_trace_is_said_to_be_one(measure: Measure, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("t_s,TOTAL\n0,4.0\n")
    power = PowerSettings(sensor="replay", replay=ReplayFile(path=str(trace)))
    device = LocalDevice(
        transport="local", work_dir=str(tmp_path / "board"), lock="lock", power=power
    )
    outcome, witness = measure({"local": device}, replace(PLAN, schemes=("dense",)))
    (trial,) = outcome.run.trials
    assert trial.energy is not None
    assert trial.energy.scope == "replayed"
    assert trial.energy.power_w == pytest.approx(4.0)
    assert any("not measured" in note for note in witness.notes)


def test_declined_estimates_leave_energy_empty_with_the_reason(
    measure: Measure, local: LocalDevice
) -> None:
    plan = replace(PLAN, schemes=("dense",), estimates=False)
    outcome, _ = measure({"local": local}, plan)
    (trial,) = outcome.run.trials
    assert trial.energy is None
    assert trial.energy_status.status is Status.UNMEASURED
    assert Reason.DECLINED in trial.energy_status.reasons
    assert trial.latency is not None


def test_an_onnx_file_of_one_s_own(measure: Measure, local: LocalDevice, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "mine.onnx")
    plan = Plan(models=("mine",), schemes=("dense",), procedure=TINY, files={"mine": path})
    outcome, _ = measure({"local": local}, plan)
    (trial,) = outcome.run.trials
    assert trial.parity is not None and trial.parity.passed
    assert trial.latency is not None and trial.latency.samples > 100


def test_a_case_that_cannot_be_had_is_skipped_alone(
    measure: Measure, local: LocalDevice, tmp_path: Path
) -> None:
    fixed = tiny_model(tmp_path / "fixed.onnx")
    plan = Plan(
        models=("fixed",),
        schemes=("dense",),
        batches=(3, 1),
        procedure=TINY,
        files={"fixed": fixed},
    )
    outcome, _ = measure({"local": local}, plan)
    by_batch = {trial.case.batch: trial for trial in outcome.run.trials}
    assert by_batch[1].latency is not None
    assert by_batch[3].latency is None
    assert by_batch[3].latency_status.status is Status.SKIPPED
    assert "fixed at batch 1" in by_batch[3].latency_status.detail


def test_results_that_cannot_be_written_are_an_error_before_anything_is_measured(
    measure: Measure, local: LocalDevice, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        measure({"local": local}, results_dir=tmp_path / "file" / "results")
    assert "\n" not in str(caught.value)


def test_a_host_that_died_while_it_evaluated_loses_nothing(
    measure: Measure, local: LocalDevice
) -> None:
    outcome, _ = measure({"local": local})
    run = outcome.run
    lines = (run.path / "trials.jsonl").read_bytes().splitlines(keepends=True)
    # What a crash after the second trial leaves, in the middle of writing the third.
    (run.path / "trials.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:100])
    for path in (run.path / "raw").glob("t00[34]*"):
        path.unlink()
    cut = open_run(run.path, run.path.parent)
    assert len(cut.trials) == 2 and len(cut.missing) == 2
    again = completed(cut)
    assert again.trials == run.trials
    assert not again.missing
    for trial in again.trials:
        assert again.latency(trial.trial_id) is not None


def test_an_agent_that_dies_is_an_error_and_its_finished_rounds_are_kept(
    measure: Measure, local: LocalDevice, tmp_path: Path
) -> None:
    plan = replace(
        PLAN, schemes=("dense",), procedure=TINY.model_copy(update={"latency_rounds": 60})
    )

    def kill_the_conductor() -> None:
        for _ in range(2400):
            for journal in (tmp_path / "board/jobs").glob("*/journal.jsonl"):
                data = journal.read_bytes()
                if data.count(b'"kind":"round"') >= 5:
                    start = wire.decode_records(data)[0][0]
                    os.kill(start["pid"], signal.SIGKILL)
                    return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_the_conductor)
    killer.start()
    outcome, _ = measure({"local": local.model_copy(update={"give_up_after": 1})}, plan)
    killer.join()
    assert isinstance(outcome.device_errors["local"], AgentError)
    (trial,) = outcome.run.trials
    assert trial.latency is not None and trial.latency.rounds >= 4
    assert Reason.INTERRUPTED in trial.latency_status.reasons
    (listing,) = list_runs(tmp_path / "results")
    assert not listing.complete


def test_figures_per_input_use_the_batch_that_an_onnx_file_has(
    measure: Measure, local: LocalDevice, tmp_path: Path
) -> None:
    path = tiny_model(tmp_path / "eight.onnx")
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 8
    onnx.save(model, path)
    plan = Plan(models=("eight",), schemes=("dense",), procedure=TINY, files={"eight": path})
    outcome, _ = measure({"local": local}, plan)
    (trial,) = outcome.run.trials
    assert trial.case.batch == 8
    assert trial.latency is not None
    assert trial.latency.throughput_per_s == pytest.approx(8 / trial.latency.mean_s)


def test_a_stored_run_opens_by_its_id(measure: Measure, local: LocalDevice, tmp_path: Path) -> None:
    outcome, _ = measure({"local": local}, replace(PLAN, schemes=("dense",)))
    run_id = outcome.run.manifest.run_id
    assert open_run(run_id, tmp_path / "results").trials == outcome.run.trials


def local_python() -> str:
    import sys

    return sys.executable


def nano_tree(root: Path, *, total_mw: int, gpu_mw: int, cpu_mw: int) -> Path:
    """A constructed JetPack 4 tree of a Jetson Nano; no such board was at hand."""
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Nano Developer Kit\0")
    (root / "proc/device-tree/compatible").write_bytes(b"nvidia,p3450-0000\0nvidia,tegra210\0")
    chip = root / "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    chip.mkdir(parents=True)
    rails = [("POM_5V_IN", total_mw), ("POM_5V_GPU", gpu_mw), ("POM_5V_CPU", cpu_mw)]
    for number, (name, power_mw) in enumerate(rails):
        (chip / f"rail_name_{number}").write_text(f"{name}\n")
        (chip / f"in_power{number}_input").write_text(f"{power_mw}\n")
        (chip / f"in_voltage{number}_input").write_text("5000\n")
        (chip / f"in_current{number}_input").write_text(f"{power_mw // 5}\n")
    return root

"""`bench run` as a person or a script calls it: output, exit codes, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import onnx
import pytest
from bench_program import BENCH
from board_folder import tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a small ONNX file and two devices, one of which is not there."""
    tiny_model(tmp_path / "tiny.onnx")
    (tmp_path / "devices.yaml").write_text(
        f"""
devices:
  local:
    transport: local
    work_dir: {tmp_path}/board
    lock: lock
    power: {{estimate: {{idle_w: 2, busy_w: 6}}}}
  gone:
    transport: ssh
    host: 127.0.0.1
    port: 1
    connect_timeout_s: 3
"""
    )
    return tmp_path


def bench(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*BENCH, *args], cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "BENCH_CACHE": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_a_run_ends_with_the_table_the_charts_and_exit_0(folder: Path) -> None:
    done = bench(folder, "run", "--model", "tiny.onnx")
    assert done.returncode == 0, done.stderr
    for part in ("p50", "tiny", "est."):
        assert part in done.stdout
    (run,) = (folder / "results").iterdir()
    page = run / "report.html"
    assert f"results/{run.name}/report.html" in done.stderr
    assert page.is_file() and (run / "charts" / "latency.png").is_file()

    listed = bench(folder, "results", "list", "--json")
    assert [entry["run_id"] for entry in json.loads(listed.stdout)] == [run.name]
    shown = json.loads(bench(folder, "results", "show", run.name, "--json").stdout)
    assert shown["trials"][0]["latency"]["p50_s"] > 0
    page.unlink()
    assert bench(folder, "report").returncode == 0
    assert page.is_file()


def test_ctrl_c_keeps_what_was_measured_and_exits_with_130(folder: Path) -> None:
    process = subprocess.Popen(
        [*BENCH, "run", "--model", "tiny.onnx", "--json"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_rounds(folder, 3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    document = json.loads(stdout)
    assert document["interrupted"] is True
    (trial,) = document["trials"]
    assert trial["latency"]["rounds"] >= 3
    assert trial["latency_status"]["status"] == "inconclusive"
    assert "interrupted" in trial["latency_status"]["reasons"]
    assert "cut short" in bench(folder, "results", "list").stdout


def wait_for_rounds(folder: Path, count: int) -> None:
    """Return when the journal on the board holds that many finished rounds."""
    import time

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for journal in folder.glob("board/jobs/*/journal.jsonl"):
            if journal.read_bytes().count(b'"kind":"round"') >= count:
                return
        time.sleep(0.1)
    raise AssertionError("no round was finished")


def test_a_device_that_is_not_there_is_exit_4_and_one_line(folder: Path) -> None:
    done = bench(folder, "run", "--device", "gone", "--model", "tiny.onnx", "--json")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert document["trials"] == []
    assert "127.0.0.1" in document["device_errors"]["gone"]
    assert last_line(done.stderr).startswith("bench: gone: ")


def test_without_an_estimate_energy_stays_empty(folder: Path) -> None:
    done = bench(folder, "run", "--model", "tiny.onnx", "--no-estimate", "--json")
    assert done.returncode == 0, done.stderr
    (trial,) = json.loads(done.stdout)["trials"]
    assert trial["energy"] is None
    assert trial["energy_status"]["status"] == "unmeasured"


def dynamic(folder: Path) -> None:
    model = onnx.load(folder / "tiny.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.save(model, folder / "tiny.onnx")


def corrupt(folder: Path) -> None:
    (folder / "tiny.onnx").write_bytes(b"\x00not an onnx file")


def empty(folder: Path) -> None:
    (folder / "tiny.onnx").write_bytes(b"")


def results_is_a_file(folder: Path) -> None:
    (folder / "results").write_text("")


def unknown_key(folder: Path) -> None:
    (folder / "devices.yaml").write_text("devices:\n  local: {transport: local, colour: red}\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (dynamic, "--shape x=1,64"),
        (corrupt, "not an ONNX file"),
        (empty, "not an ONNX file"),
        (results_is_a_file, "results"),
        (unknown_key, "colour"),
    ],
)
def test_bad_input_is_exit_2_before_anything_is_measured(
    folder: Path, spoil: Any, said: str
) -> None:
    spoil(folder)
    done = bench(folder, "run", "--model", "tiny.onnx")
    assert done.returncode == 2
    assert said in last_line(done.stderr)
    assert done.stdout == ""
    assert not (folder / "board").exists()


def test_a_run_goes_on_when_nobody_listens_any_more(folder: Path) -> None:
    process = subprocess.Popen(
        [*BENCH, "run", "--model", "tiny.onnx", "--rounds", "3", "--json"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None and process.stdout is not None
    process.stderr.close()
    document = json.loads(process.stdout.read())
    assert process.wait() == 0
    assert len(document["trials"]) == 1


def test_options_may_be_repeated_and_all_values_count(folder: Path) -> None:
    done = bench(folder, "run", "--device", "gone", "--device", "nowhere", "--model", "tiny.onnx")
    assert done.returncode == 2
    assert "unknown device 'nowhere'" in last_line(done.stderr)


def test_weights_that_arrived_cut_short_are_exit_2_and_one_line(folder: Path) -> None:
    model = onnx.load(folder / "tiny.onnx")
    onnx.save(
        model, folder / "tiny.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    (folder / "w").write_bytes(b"abc")
    done = bench(folder, "run", "--model", "tiny.onnx")
    assert done.returncode == 2
    assert "tiny.onnx" in last_line(done.stderr)


def test_sigterm_is_taken_as_ctrl_c(folder: Path) -> None:
    process = subprocess.Popen(
        [*BENCH, "run", "--model", "tiny.onnx", "--json"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for_rounds(folder, 1)
    process.terminate()
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(stdout)["interrupted"] is True

"""A board folder as the host would make it, driven through the agent's own command line."""

from __future__ import annotations

import json
import os
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from bench.agent import wire

PROJECT = Path(__file__).parents[1]

PROCEDURE: dict[str, Any] = {
    "name": "tiny",
    "seed": 7,
    "scenario": "single-stream",
    "rate_per_s": None,
    "loads": 1,
    "warmup_min_s": 0.1,
    "warmup_max_s": 1.0,
    "latency_rounds": 4,
    "latency_rounds_max": None,
    "latency_round_s": 0.03,
    "energy_rounds": 1,
    "energy_window_s": 0.2,
    "energy_window_tau": 0.0,
    "energy_tail_s": 0.05,
    "idle_s": 0.1,
    "settle_s": 0.05,
    "settle_tau": 0.0,
    "target_ci": 0.02,
    "max_time_s": None,
    "cooldown_to_c": None,
    "cooldown_max_s": 300.0,
    "gpu_together": False,
    "sustain_s": None,
    "checkpoint_every_s": 600.0,
}
LOCK = "lock"
"""The board's lease in its own folder, so that tests do not wait for each other."""
TOLERANCE = {"atol": 1e-5, "rtol": 1e-4, "cosine": 0.9999}


def tiny_model(path: Path, operator: str = "Relu", size: int = 64) -> Path:
    """A matrix product followed by one element-wise operator: a few microseconds per run."""
    weight = np.random.default_rng(1).standard_normal((size, size)).astype(np.float32) / size
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node(operator, ["h"], ["y"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, size])],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.save(model, path)
    return path


def make_reference(graph: Path, path: Path, error: float = 0.0) -> Path:
    """Reference inputs and outputs of a model with one input; ``error`` spoils the outputs."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    (node,) = session.get_inputs()
    x = np.random.default_rng(2).standard_normal(node.shape).astype(np.float32)
    names = {"inputs": [node.name], "outputs": [out.name for out in session.get_outputs()]}
    arrays = {f"out{i}": out + error for i, out in enumerate(session.run(None, {node.name: x}))}
    np.savez(path, in0=x, names=np.array(json.dumps(names)), **arrays)
    return path


class BoardFolder:
    """``work_dir`` of a board with one job folder; ``python`` runs the agent."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = python
        self.program: list[str] = ["-m", "bench.agent"]
        self.conductors: list[int] = []
        (folder / "artifacts").mkdir(parents=True)
        folder.chmod(0o700)

    def case(self, key: str, **changes: Any) -> dict[str, Any]:
        """A case of the job over a tiny model; ``changes`` replace fields."""
        graph = self.folder / "artifacts" / "tiny.onnx"
        if not graph.exists():
            make_reference(tiny_model(graph), graph.with_suffix(".npz"))
        fields = {
            "key": key,
            "runtime": "onnxruntime",
            "graph": "artifacts/tiny.onnx",
            "reference": "artifacts/tiny.npz",
            "options": {"threads": 1},
            "classifier": True,
            "tolerance": TOLERANCE,
        }
        return {**fields, **changes}

    def replay_sensor(self, watts: float = 3.0) -> dict[str, Any]:
        """A sensor that always reads the same."""
        trace = self.folder / "trace.csv"
        trace.write_text(f"t_s,VDD\n0,{watts}\n")
        options = {"path": str(trace)}
        return {
            "name": "replay",
            "options": options,
            "channels": ["VDD"],
            "unit": "W",
            "period_s": 0.005,
            "lag_s": 0.0,
        }

    def job(self, cases: list[dict[str, Any]], **changes: Any) -> Path:
        """Write a job folder; ``changes`` replace fields of the job or of its procedure."""
        procedure = {k: changes.pop(k, v) for k, v in PROCEDURE.items()}
        name = changes.setdefault("job_id", "job-1")
        job = {"version": 1, "root": "/", "procedure": procedure, "cases": cases, "sensor": None}
        job.update(run_id="run-1", owner="ada@laptop")
        folder = self.folder / "jobs" / name
        folder.mkdir(parents=True)
        (folder / wire.JOB_FILE).write_text(json.dumps({**job, **changes}))
        return folder

    def agent(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run one command of the agent and wait for it; ``options`` are those of subprocess."""
        argv = [str(self.python), *self.program, *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), **options.pop("env", {})}
        options = {"cwd": self.folder, "env": environment, **options}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
        if arguments[0] == "start" and done.returncode == 0:
            self.conductors.append(json.loads(done.stdout).get("pid", 0))
        return done

    def ask(self, *arguments: str | Path, **options: Any) -> dict[str, Any]:
        """The document that a command of the agent prints; ``options`` are those of subprocess."""
        done = self.agent(*arguments, **options)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def pack(self, name: str) -> Path:
        """Put the agent into the board folder as a zip file, and run that from now on."""
        packed = self.folder / name
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("__main__.py", "from bench.agent.main import main\nmain()\n")
            archive.writestr("bench/__init__.py", "")
            for source in (PROJECT / "bench" / "agent").rglob("*.py"):
                archive.write(source, source.relative_to(PROJECT))
        self.program = [name]
        return packed

    def start(self, job: Path, **options: Any) -> dict[str, Any]:
        """The answer to ``start``."""
        return self.ask("start", job, LOCK, **options)

    def measure(self, job: Path) -> list[dict[str, Any]]:
        """Start a job, wait for its end and return its records."""
        self.start(job)
        self.wait_for_end(job)
        assert self.ask("status", job)["state"] == "finished"
        return self.records(job)

    def records(self, job: Path) -> list[dict[str, Any]]:
        """What the journal holds now."""
        records, problems = wire.decode_records((job / wire.JOURNAL_FILE).read_bytes())
        assert not [problem for problem in problems if "damaged" in problem]
        return records

    def wait_for(self, job: Path, kind: str, limit_s: float = 60) -> dict[str, Any]:
        """The first record of a kind, as soon as it is in the journal."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            for record in self.records(job):
                if record["kind"] == kind:
                    return record
            time.sleep(0.02)
        raise AssertionError(f"no {kind} record: {self.records(job)}")

    def wait_for_end(self, job: Path, limit_s: float = 60) -> None:
        """Return when the conductor of the job is gone."""
        pid = self.conductors[-1]
        deadline = time.monotonic() + limit_s
        while self.is_running(pid):
            assert time.monotonic() < deadline, (job / "conductor.log").read_text()
            time.sleep(0.02)

    def is_running(self, pid: int) -> bool:
        """Whether a process exists and is no zombie."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False
        return text.rpartition(")")[2].split()[0] != "Z"

    def worker_pid(self, key: str) -> int:
        """Process id of the running worker of a case."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                if words[-4:-2] == [b"work", key.encode()] and parent == self.conductors[-1]:
                    return int(folder.name)
        raise AssertionError(f"no worker of {key} runs")

"""How much the harness adds to what it measures: worker rounds against a bare loop.

For a model of about 60 µs and for ShuffleNetV2 1.0x: short rounds of the agent's real worker
process are interleaved, in random order, with rounds of a plain process that does nothing but
call ``session.run`` between two clock reads, after the same untimed lead-in. Printed is the
ratio of their medians per pair (median and quartiles over all pairs). Every ``--loads``-th
part of the pairs uses fresh processes, since where a process lies in memory alone moves a
latency by a per cent::

    python scripts/benchmarks/fidelity.py [--rounds 90] [--seconds 0.2] [--loads 6]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from bench.agent import schedule
from bench.agent.processes import CaseWorker
from bench.export import cases
from bench.export.reference import reference_bytes, run_onnx
from bench.records.recordings import GraphLimits

SMALL_LAYERS, SMALL_WIDTH = 17, 192
WARMUP_S = 1.0

BARE_LOOP = """
import json, statistics, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(
    sys.argv[1], options, providers=["CPUExecutionProvider"])
archive = numpy.load(sys.argv[2])
names = json.loads(str(archive["names"]))
feed = {name: archive["in%d" % i] for i, name in enumerate(names["inputs"])}
outputs = names["outputs"]
for line in sys.stdin:
    end = time.perf_counter() + float(sys.argv[3])
    while time.perf_counter() < end:
        session.run(outputs, feed)
    end = time.perf_counter() + float(line)
    times = []
    while time.perf_counter() < end:
        before = time.perf_counter()
        session.run(outputs, feed)
        times.append(time.perf_counter() - before)
    print(statistics.median(times), flush=True)
"""


def small_model(folder: Path) -> Path:
    """A chain of small matrix products and activations that takes about 60 µs."""
    draw = np.random.default_rng(1)
    nodes, weights = [], []
    for i in range(SMALL_LAYERS):
        w = draw.standard_normal((SMALL_WIDTH, SMALL_WIDTH)).astype(np.float32) / SMALL_WIDTH
        weights.append(helper.make_tensor(f"w{i}", TensorProto.FLOAT, w.shape, w.tobytes(), True))
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"h{i}"]))
        nodes.append(helper.make_node("Sigmoid", [f"h{i}"], [f"x{i + 1}"]))
    shape = [1, SMALL_WIDTH]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"x{SMALL_LAYERS}", TensorProto.FLOAT, shape)],
        weights,
    )
    path = folder / "small.onnx"
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=7), path)
    inputs = {"x0": draw.standard_normal(shape).astype(np.float32)}
    outputs = run_onnx(path, inputs, optimized=True)
    path.with_suffix(".npz").write_bytes(reference_bytes(inputs, outputs))
    return path


class BareLoop:
    """A fresh process that only loops around ``session.run``."""

    def __init__(self, graph: Path, reference: Path) -> None:
        lead = str(schedule.LEAD_S)
        argv = [sys.executable, "-c", BARE_LOOP, str(graph), str(reference), lead]
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}  # as the worker has it
        self._process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def median_s(self, seconds: float) -> float:
        """Median latency over one round."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(seconds, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def fresh_worker(graph: Path, reference: Path, folder: Path) -> Iterator[CaseWorker]:
    """The agent's worker with the model loaded."""
    case = {
        "key": graph.stem,
        "runtime": "onnxruntime",
        "graph": str(graph),
        "reference": str(reference),
        "options": {"threads": 1},
    }
    cpus = sorted(os.sched_getaffinity(0))
    job = {"root": "/", "cases": [case]}
    with (
        (folder / "lock").open("wb") as lock,  # in place of the board's, which it inherits
        closing(CaseWorker(case, job, str(folder), cpus, lock.fileno())) as worker,
    ):
        worker.import_runtime()
        worker.load()
        yield worker


def pairs(
    graph: Path, reference: Path, folder: Path, rounds: int, seconds: float
) -> list[tuple[float, float]]:
    """``(worker median, bare median)`` in seconds, one per pair of rounds."""
    draw = random.Random(rounds)
    found = []
    with (
        fresh_worker(graph, reference, folder) as worker,
        closing(BareLoop(graph, reference)) as bare,
    ):

        def worker_median_s(length_s: float) -> float:
            block = worker.run(length_s, schedule.LEAD_S)
            return statistics.median(block["durations_ns"]) / 1e9

        bare.median_s(WARMUP_S)
        worker_median_s(WARMUP_S)
        for _ in range(rounds):
            if draw.random() < 0.5:
                ours = worker_median_s(seconds)
                theirs = bare.median_s(seconds)
            else:
                theirs = bare.median_s(seconds)
                ours = worker_median_s(seconds)
            found.append((ours, theirs))
    return found


def main() -> None:
    """Measure both models and print one line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=90, help="pairs of rounds per model")
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a round")
    parser.add_argument("--loads", type=int, default=6, help="fresh pairs of processes per model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = small_model(folder)
        limits = GraphLimits(opset=17, ir_version=8)
        artifact = cases.export_case("shufflenet_v2_x1_0", "dense", None, 1, limits, folder)
        for label, graph, reference in (
            ("small model", small, small.with_suffix(".npz")),
            ("ShuffleNetV2 1.0x", artifact.graph, artifact.reference),
        ):
            found = []
            for _ in range(options.loads):
                share = -(-options.rounds // options.loads)
                found += pairs(graph, reference, folder, share, options.seconds)
            low, middle, high = statistics.quantiles([ours / bare for ours, bare in found], n=4)
            bare_us = statistics.median(bare for _, bare in found) * 1e6
            print(
                f"{label}: bare loop {bare_us:.1f} µs; worker/bare median {middle:.4f} "
                f"(quartiles {low:.4f} to {high:.4f}, {len(found)} pairs of "
                f"{options.seconds} s, {options.loads} loads)",
                flush=True,
            )


if __name__ == "__main__":
    main()

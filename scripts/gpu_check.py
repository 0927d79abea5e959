"""What scripts/gpu_check does: see there."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.agent import nvml
from bench.agent.runtimes import RUNTIMES
from models import MODELS

BENCH = [sys.executable, "-c", "import sys; from bench.cli import main; sys.exit(main())"]
CALIBRATION = "calibration.npy"
"""Inputs for int8, made here: random ones do to see that it runs, not to see what it is worth."""
CALIBRATION_INPUTS = 16
RUNS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("onnxruntime", "fp32", ()),
    ("onnxruntime-cuda", "fp32", ()),
    ("onnxruntime-cuda", "fp32", ("--cuda-graph",)),
    ("onnxruntime-tensorrt", "fp32", ()),
    ("onnxruntime-tensorrt", "fp16", ()),
    ("tensorrt", "fp32", ()),
    ("tensorrt", "fp16", ()),
    ("tensorrt", "fp32", ("--cuda-graph",)),
    ("tensorrt", "fp16", ("--cuda-graph",)),
    ("tensorrt", "fp32", ("--layer-profile",)),
    ("tensorrt", "int8", ("--calibration", CALIBRATION)),
)
"""Runtime, precision and further options; the first is the CPU, to compare with."""
NETWORKS = ("--scheme", "dense,basis:0.25", "--weights", "load,runtime,factored")
ON_GPU = {name for name, runtime in RUNTIMES.items() if getattr(runtime, "ON_GPU", False)}
DONE = (0, 1)
"""Exit codes of a run that got as far as its cases."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check this machine; the exit code is that of scripts/gpu_check."""
    parser = argparse.ArgumentParser(prog="gpu_check")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"))
    parser.add_argument("--rounds", default="20")
    parser.add_argument("--model", default="shufflenet_v2_x1_0")
    asked = parser.parse_args(arguments)
    facts = gpu_facts()
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        return check(facts, Path(folder), asked.python, asked.out, asked.model, asked.rounds)


def gpu_facts() -> dict[str, Any]:
    """Names of the GPU and its driver, or why NVML tells none: older Jetsons have no NVML."""
    try:
        gpu = nvml.Gpu()
    except nvml.NvmlError as error:
        return {"gpu": None, "driver": None, "nvml": str(error)}
    facts = {"gpu": gpu.name(), "driver": gpu.driver_version(), "nvml": None}
    gpu.close()
    return facts


def check(
    facts: dict[str, Any],
    folder: Path,
    python: str,
    out: Path,
    model: str,
    rounds: str,
    runs: Sequence[tuple[str, str, tuple[str, ...]]] = RUNS,
) -> int:
    """Run everything in a folder and write the document to ``out`` after each run."""
    device: dict[str, Any] = {
        "transport": "local",
        "python": python,
        "work_dir": str(folder / "board"),
        "lock": "lock",
    }
    if facts["nvml"] is None:
        device["power"] = {"sensor": "nvml"}
    (folder / "devices.yaml").write_text(json.dumps({"devices": {"gpu": device}}))
    probe = bench(folder, "devices", "probe", "gpu")
    document: dict[str, Any] = {**facts, "python": python, "model": model, "runs": []}
    document["runtimes"] = (probe["document"] or {}).get("runtimes")
    if document["runtimes"] is None:
        print(f"gpu_check: the probe failed: {probe['error']}")
        return 2
    if device.pop("power", None) is not None and probe["document"]["power"] is None:
        # NVML of a Jetson Orin opens and tells neither energy nor power: whatever else is there.
        print(f"gpu_check: without NVML's energy ({probe['document']['note']})")
        (folder / "devices.yaml").write_text(json.dumps({"devices": {"gpu": device}}))
    if facts["nvml"] is not None:
        found = gpu_runtimes(document["runtimes"])
        if not found:
            why = facts["nvml"]
            print(f"gpu_check: no NVIDIA GPU can be used here, so nothing was run ({why})")
            return 2
        print(f"gpu_check: without energy ({facts['nvml']}); found {', '.join(found)}")
    if model in MODELS:
        shape = (CALIBRATION_INPUTS, *MODELS[model].input_shape)
        drawn = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        np.save(folder / CALIBRATION, drawn)
    for runtime, precision, options in runs:
        done = run(document, folder, model, (runtime, precision, *options), rounds)
        document["runs"].append(done)
        out.write_text(json.dumps(document, indent=1) + "\n")
        tell(done)
    print(f"gpu_check: versions and figures are in {out}")
    return verdict(document["runs"])


def gpu_runtimes(probed: dict[str, Any]) -> list[str]:
    """The runtimes of the probe that are there and work on a GPU."""
    return [name for name in sorted(ON_GPU & set(probed)) if not probed[name]["problem"]]


def run(
    document: dict[str, Any], folder: Path, model: str, wanted: Sequence[str], rounds: str
) -> dict[str, Any]:
    """Measure a network under all weight modes with one runtime, if it is there."""
    runtime, precision, *options = wanted
    done: dict[str, Any] = {"runtime": runtime, "precision": precision, "options": options}
    known = document["runtimes"].get(runtime)
    if known is None or known["problem"]:
        problem = "not installed" if known is None else known["problem"]
        return {**done, "not_run": problem, "trials": []}
    asked = ("--device", "gpu", "--model", model, *NETWORKS, "--runtime", runtime)
    how = ("--precision", precision, "--rounds", rounds, *options)
    said = bench(folder, "run", *asked, *how)
    trials = [] if said["document"] is None else said["document"]["trials"]
    if said["code"] not in DONE:
        done["error"] = said["error"]
    return {**done, "exit_code": said["code"], "trials": [figures(trial) for trial in trials]}


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    """Call bench with --json: its exit code, its document and its last line for people."""
    environment = {**os.environ, "BENCH_DEVICES": str(folder / "devices.yaml")}
    done = subprocess.run(
        [*BENCH, *arguments, "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout) if done.stdout.strip() else None
    lines = done.stderr.strip().splitlines() or [""]
    return {"code": done.returncode, "document": document, "error": lines[-1]}


def figures(trial: dict[str, Any]) -> dict[str, Any]:
    """The figures of a trial; what was not measured is null."""
    latency, energy, memory = (trial[name] or {} for name in ("latency", "energy", "memory"))
    facts, parity = trial["facts"], trial["parity"] or {}
    return {
        "scheme": trial["case"]["scheme"],
        "weights": trial["case"]["weights"],
        "status": trial["latency_status"]["status"],
        "detail": trial["latency_status"]["detail"],
        **{name: latency.get(name) for name in ("p50_s", "p99_s", "compute_p50_s", "copy_p50_s")},
        "energy_j": energy.get("gross_j"),
        "energy_scope": energy.get("scope"),
        "gpu_memory_bytes": memory.get("gpu_rise_bytes"),
        "largest_error": parity.get("max_rel_error"),
        **{name: facts.get(name) for name in ("runtime_version", "nodes", "engine")},
    }


def tell(done: dict[str, Any]) -> None:
    """Print a run for people."""
    title = " ".join((done["runtime"], done["precision"], *done["options"]))
    reason = done.get("not_run") or done.get("error")
    print(f"{title}: {reason}" if reason else title)
    for trial in done["trials"]:
        name = " ".join(filter(None, (trial["scheme"], trial["weights"])))
        p50, compute = (_ms(trial[key]) for key in ("p50_s", "compute_p50_s"))
        energy = "—" if trial["energy_j"] is None else f"{1e3 * trial['energy_j']:.3g} mJ"
        print(f"  {name:22} {trial['status']:13} p50 {p50}, compute {compute}, energy {energy}")
        if trial["status"] in ("failed", "skipped"):
            print(f"    {trial['detail']}")


def verdict(runs: Sequence[dict[str, Any]]) -> int:
    """The exit code: 2 if nothing ran on a GPU."""
    ran = [done for done in runs if "not_run" not in done]
    if not any(done["runtime"] in ON_GPU for done in ran):
        print("gpu_check: no GPU runtime could run; see the reasons above")
        return 2
    return 1 if any(done["exit_code"] != 0 for done in ran) else 0


def _ms(seconds: float | None) -> str:
    return "—" if seconds is None else f"{1e3 * seconds:.4g} ms"


if __name__ == "__main__":
    sys.exit(main())

"""What a run on a GPU shows beside the usual, and that other runs do not show it."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from bench.records.figures import MemoryStats
from bench.records.trial import Trial
from bench.report.details import details
from bench.report.page import write_report
from bench.report.table import summary_table
from bench.store.reader import Run


def on_a_gpu(trial: Trial, **engine: Any) -> Trial:
    """A trial as TensorRT would have given it."""
    assert trial.latency is not None
    memory = MemoryStats(
        imported_bytes=1,
        load_rise_bytes=2,
        steady_rise_bytes=3,
        peak_bytes=4,
        gpu_rise_bytes=64 << 20,
    )
    facts = {
        **trial.facts,
        "engine": {"cached": False, "build_s": 41.2, "engine_bytes": 5 << 20, **engine},
        "cuda_graph": True,
    }
    latency = trial.latency.model_copy(update={"compute_p50_s": 2.5e-3, "copy_p50_s": 1e-4})
    return trial.model_copy(update={"latency": latency, "memory": memory, "facts": facts})


def shown(run: Run) -> str:
    console = Console(width=160, record=True)
    with console.capture() as capture:
        console.print(summary_table(run))
    return capture.get()


def with_trials(run: Run, *trials: Trial) -> Run:
    return Run(run.path, run.manifest, trials, run.problems)


def test_a_run_on_the_cpu_has_no_such_columns(synthetic: Any) -> None:
    run = synthetic.write(synthetic.cases())
    text = shown(run)
    assert "GPU" not in text
    assert "compute" not in text


def test_computation_memory_and_the_build_stand_beside_the_latency(synthetic: Any) -> None:
    run = synthetic.write(synthetic.cases()[:2])
    first, second = run.trials
    run = with_trials(run, on_a_gpu(first), on_a_gpu(second, cached=True))
    for text in (shown(run), write_report(run, charts=False).page.read_text()):
        for words in ("2.500 ms", "64.0 MiB", "built in 41 s", "cached"):
            assert words in text


def test_details_say_where_an_engine_comes_from(synthetic: Any) -> None:
    (trial,) = synthetic.write(synthetic.cases()[:1]).trials
    layers = [{"name": f"conv{number}", "ms": 0.5} for number in range(9)]
    found = dict(
        details(
            on_a_gpu(
                trial,
                cached=True,
                device="Orin",
                compute_capability="8.7",
                builder_options={"precision": "fp16"},
                layers=layers,
            )
        )
    )
    assert found["engine"] == "cached (built in 41 s)"
    assert found["built for"] == "Orin (8.7)"
    assert found["options"] == "precision=fp16"
    assert found["CUDA graph"]
    assert found["layer conv0"] == "500 µs"
    assert "layer conv8" not in found
    assert found["compute, p50"] == "2.50 ms"
    assert found["GPU memory taken by the load"] == "64.0 MiB"

"""Trials as rows of one tidy table: the columns, their types and what they mean.

The names carry the units. A value that was not measured, or does not apply, is ``None``. Columns
are only ever added, at the end of their group; docs/results-data.md is held against this table.
"""

from __future__ import annotations

from bench.analysis.column_makers import (
    Column,
    Parts,
    Value,
    at,
    condition,
    energy_columns,
    extreme,
    of_case,
    of_manifest,
    percentile_columns,
    verdict_columns,
)
from bench.analysis.conditions import subject
from bench.records.manifest import Manifest
from bench.records.trial import Trial
from bench.timestamps import parse_time


def row(trial: Trial, manifest: Manifest) -> dict[str, Value]:
    """Return a trial as a row, with a value (or ``None``) for each of :data:`COLUMNS`."""
    parts = Parts(trial, manifest, subject(trial, manifest).conditions)
    found = {column.name: column.of(parts) for column in COLUMNS}
    return {name: None if value == "" else value for name, value in found.items()}


COLUMNS: tuple[Column, ...] = (
    Column("run_id", "text", "the run", of_manifest(lambda run: run.run_id)),
    at("trial_id", "text", "trial_id", "the trial within its run"),
    at("attempt", "integer", "attempt", "0, or how often the run had been resumed"),
    Column(
        "started_at",
        "time",
        "when the run was started (UTC)",
        of_manifest(lambda run: parse_time(run.started_at)),
    ),
    at("device", "text", "case.device", "name of the device"),
    Column("board", "text", "model of the board, or of its CPU", condition("board")),
    Column("system", "text", "L4T release, or kernel", condition("system")),
    of_case("model", "text", "the network"),
    of_case("scheme", "text", "how weights are shared"),
    of_case("weights", "text", "weight mode: load, runtime or factored"),
    of_case("runtime", "text", "the engine"),
    Column("runtime_version", "text", "its version on the board", condition("runtime version")),
    of_case("precision", "text", "fp32, fp16 or int8"),
    of_case("batch", "integer", "inputs per run of the network"),
    of_case("threads", "integer", "CPU threads that the engine may use"),
    at("power_mode_asked", "text", "case.power_mode", "power mode asked for"),
    Column("power_mode", "text", "power mode while measuring", condition("power mode")),
    Column("clocks", "text", "max where they were pinned, else as found", condition("clocks")),
    Column("governor", "text", "CPU frequency governors", condition("governor")),
    Column("procedure", "text", "name of the procedure", condition("procedure")),
    Column("scenario", "text", "single-stream, offline or server", condition("scenario")),
    Column(
        "rate_per_s",
        "real",
        "arrivals (scenario server)",
        of_manifest(lambda run: run.procedure.rate_per_s),
    ),
    Column(
        "sustain_s",
        "real",
        "length of a sustained load",
        of_manifest(lambda run: run.procedure.sustain_s),
    ),
    Column(
        "loads",
        "integer",
        "fresh loads that the rounds are spread over",
        of_manifest(lambda run: run.procedure.loads),
    ),
    Column(
        "seed",
        "integer",
        "seed of the order of the rounds",
        of_manifest(lambda run: run.procedure.seed),
    ),
    *verdict_columns("latency", "latency_status"),
    at("latency_samples", "integer", "latency.samples", "inferences in the latency rounds"),
    at("latency_rounds", "integer", "latency.rounds", "latency rounds"),
    at("latency_p50_s", "real", "latency.p50_s", "median time per run of the network"),
    at("latency_p50_low_s", "real", "latency.p50_low_s", "lower end of its 95 % interval"),
    at("latency_p50_high_s", "real", "latency.p50_high_s", "upper end of its 95 % interval"),
    *percentile_columns("p90"),
    *percentile_columns("p95"),
    *percentile_columns("p99"),
    at("latency_mean_s", "real", "latency.mean_s", "mean"),
    at("latency_min_s", "real", "latency.min_s", "least"),
    at("latency_mad_s", "real", "latency.mad_s", "median absolute deviation"),
    at("throughput_per_s", "real", "latency.throughput_per_s", "inputs per second"),
    at("latency_p50_method", "text", "latency.p50_method", "batches of the median's interval"),
    at("latency_tail_method", "text", "latency.tail_method", "how the other intervals were made"),
    at("latency_autocorrelation", "real", "latency.autocorrelation", "lag-1, within rounds"),
    at(
        "latency_effective_samples",
        "real",
        "latency.effective_samples",
        "independent samples that tell as much",
    ),
    at("queue_mean_s", "real", "latency.queue_mean_s", "mean wait (scenario server)"),
    at("copy_p50_s", "real", "latency.copy_p50_s", "median of the copies to the GPU and back"),
    at("compute_p50_s", "real", "latency.compute_p50_s", "median of the computation on the GPU"),
    *verdict_columns("energy", "energy_status"),
    *energy_columns("energy", "the board's sensor or an estimate", "energy"),
    *verdict_columns("meter", "meter.status"),
    *energy_columns("meter", "the external meter", "meter.energy"),
    *verdict_columns("memory", "memory_status"),
    at("memory_load_rise_bytes", "integer", "memory.load_rise_bytes", "rise by loading"),
    at("memory_steady_rise_bytes", "integer", "memory.steady_rise_bytes", "rise after inferences"),
    at(
        "memory_steady_rise_half_width_bytes",
        "real",
        "memory.steady_rise_half_width_bytes",
        "its 95 % half-width",
    ),
    at("memory_peak_bytes", "integer", "memory.peak_bytes", "most resident memory of the process"),
    at(
        "memory_peak_half_width_bytes",
        "real",
        "memory.peak_half_width_bytes",
        "its 95 % half-width",
    ),
    at(
        "memory_gpu_rise_bytes",
        "integer",
        "memory.gpu_rise_bytes",
        "rise of memory in use on the GPU",
    ),
    at("memory_passes", "integer", "memory.passes", "processes that loaded the model"),
    at("load_s", "real", "load.load_s", "time to load the artifact"),
    at("first_inference_s", "real", "load.first_s", "time of the first inference"),
    at("engine_build_s", "real", "facts.engine.build_s", "time that building the engine took"),
    at("parity_passed", "flag", "parity.passed", "whether the outputs are right"),
    at("parity_max_abs_error", "real", "parity.max_abs_error", "largest deviation of an output"),
    at("parity_max_rel_error", "real", "parity.max_rel_error", "the same, relative"),
    at("parity_cosine", "real", "parity.cosine", "cosine of outputs and reference"),
    at(
        "parity_top1_agreement",
        "real",
        "parity.top1_agreement",
        "share (0 to 1) of equal top classes",
    ),
    at("accuracy_dataset", "text", "accuracy.dataset.name", "labelled set"),
    at("accuracy_images", "integer", "accuracy.dataset.images", "its images"),
    at("accuracy_top1", "real", "accuracy.top1", "share (0 to 1) classified right"),
    at("accuracy_top1_low", "real", "accuracy.top1_low", "lower end of its 95 % interval"),
    at("accuracy_top1_high", "real", "accuracy.top1_high", "upper end of its 95 % interval"),
    at("accuracy_top5", "real", "accuracy.top5", "share with the right class among five"),
    at("accuracy_problem", "text", "accuracy.problem", "why there is no accuracy"),
    at("graph_sha256", "text", "artifact.graph_sha256", "hash of the exported graph"),
    at("weights_sha256", "text", "artifact.weights_sha256", "hash of its weights file"),
    at("file_bytes", "integer", "artifact.file_bytes", "size of the exported files"),
    at("parameters", "integer", "artifact.parameters", "weights that are stored"),
    at("macs", "integer", "artifact.macs", "multiply-accumulates, where they are known"),
    at(
        "sustain_first_p50_s",
        "real",
        "sustain.first_p50_s",
        "median at the start of a sustained load",
    ),
    at("sustain_steady_p50_s", "real", "sustain.steady_p50_s", "median that it ends in"),
    at("sustain_steady_from_s", "real", "sustain.steady_from_s", "time from which that holds"),
    at("sustain_steady_power_w", "real", "sustain.steady_power_w", "mean power from then on"),
    Column(
        "temperature_low_c",
        "real",
        "lowest temperature after a round, of any zone",
        extreme("temperature_c", "", min),
    ),
    Column(
        "temperature_high_c",
        "real",
        "highest temperature after a round, of any zone",
        extreme("temperature_c", "", max),
    ),
    Column(
        "cpu_frequency_low_khz",
        "real",
        "lowest clock of a CPU after a round",
        extreme("frequency_khz", "cpu", min),
    ),
    Column(
        "cpu_frequency_high_khz",
        "real",
        "highest clock of a CPU after a round",
        extreme("frequency_khz", "cpu", max),
    ),
    Column(
        "bench_version",
        "text",
        "version of bench",
        of_manifest(lambda run: run.versions.get("bench-on-device")),
    ),
    Column(
        "git_revision",
        "text",
        "its commit, in a checkout",
        of_manifest(lambda run: run.git_revision),
    ),
    Column(
        "python_version",
        "text",
        "of the host",
        of_manifest(lambda run: run.versions.get("python")),
    ),
)

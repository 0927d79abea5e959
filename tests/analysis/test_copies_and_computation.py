"""What a GPU runtime tells beside the latency: from the journal to the trial and to the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.analysis.facts import board_facts
from bench.analysis.journal import recordings
from bench.analysis.solo import memory_stats
from bench.analysis.stats import latency_stats
from bench.records.recordings import Recording
from bench.store import raw

S = 1_000_000_000
ENGINE = {
    "key": "0a1b",
    "tensorrt": "tensorrt 10.3.0",
    "device": "Orin",
    "compute_capability": "8.7",
    "builder_options": {"precision": "fp16", "workspace_bytes": 1 << 30, "tactics": ["a", "b"]},
    "cached": False,
    "build_s": 41.2,
    "engine_bytes": 5_000_000,
    "cuda_graph": True,
    "log": ["W: something was slow"],
    "layers": [{"name": "conv1", "ms": 0.12}],
    "of a later agent": 1,
}
SOLO = {
    "kind": "solo",
    "case": "a",
    "runtime_version": "10.3.0",
    "providers": ["TensorRT"],
    "engine": ENGINE,
    "gpu_memory_bytes": 123_000_000,
    "imported_bytes": 1,
    "load_rise_bytes": 2,
    "steady_rise_bytes": 3,
    "peak_bytes": 4,
}


def round_of(index: int, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "round",
        "case": "a",
        "index": index,
        "type": "latency",
        "start_ns": (index + 1) * S,
        "durations_ns": [1_000_000, 1_200_000, 1_100_000],
        **fields,
    }


def recorded(*records: dict[str, Any]) -> Recording:
    return recordings(records, [], ["a"])["a"]


def test_copies_and_computation_have_their_own_medians() -> None:
    split = {"copy_ns": [100_000, 120_000, 110_000], "compute_ns": [800_000, 900_000, 700_000]}
    found = recorded(round_of(0, **split), round_of(1, **split))
    assert found.lost == ()
    stats = latency_stats(found.rounds, 1)
    assert stats is not None
    assert (stats.copy_p50_s, stats.compute_p50_s) == (1.1e-4, 8e-4)


def test_runtimes_that_do_not_tell_them_apart_have_none() -> None:
    found = recorded(round_of(0), round_of(1, copy_ns=None, compute_ns=None))
    stats = latency_stats(found.rounds, 1)
    assert stats is not None
    assert (stats.copy_p50_s, stats.compute_p50_s) == (None, None)


def test_a_damaged_part_costs_no_more_than_itself() -> None:
    for bad in ([1, 2], [1, 2, -3], [1, 2, None], "three", [1.5, 2, 3]):
        found = recorded(round_of(0, copy_ns=bad, compute_ns=[1, 2, 3]))
        (item,) = found.rounds
        assert item.copy_ns is None
        assert item.compute_ns is not None
        (lost,) = found.lost
        assert "copy_ns" in lost


def test_the_engine_and_the_gpus_memory_become_facts() -> None:
    found = recorded(SOLO)
    assert found.lost == ()
    facts = board_facts(found, None, None)
    assert facts["engine"]["build_s"] == 41.2
    assert facts["engine"]["builder_options"]["precision"] == "fp16"
    assert facts["engine"]["layers"] == [{"name": "conv1", "ms": 0.12}]
    assert facts["cuda_graph"] is True
    assert "of a later agent" not in facts["engine"]
    memory = memory_stats(found.solo)
    assert memory is not None
    assert memory.gpu_rise_bytes == 123_000_000


def test_provider_options_and_nodes_become_facts() -> None:
    solo = {name: value for name, value in SOLO.items() if name not in ("engine", "providers")}
    more = {"nodes": {"CUDAExecutionProvider": 61}, "provider_options": {"device_id": "0"}}
    facts = board_facts(recorded({**solo, **more, "cuda_graph": False}), None, None)
    assert facts["nodes"] == {"CUDAExecutionProvider": 61}
    assert facts["provider_options"] == {"device_id": "0"}
    assert facts["cuda_graph"] is False
    assert "engine" not in facts


def test_an_engine_that_cannot_be_is_refused_before_it_is_stored() -> None:
    for bad in ({"build_s": -1.0}, {"engine_bytes": "many"}, {"builder_options": {"a": {}}}):
        found = recorded({**SOLO, "engine": {**ENGINE, **bad}})
        assert found.solo is None
        assert "engine" in found.lost[0]
    assert recorded({**SOLO, "nodes": {"CPU": -1}}).solo is None


def test_every_copy_is_kept_on_the_disk(tmp_path: Path) -> None:
    found = recorded(
        round_of(0, copy_ns=[1, 2, 3], compute_ns=[4, 5, 6]), round_of(1, compute_ns=[7, 8, 9])
    )
    path = tmp_path / "t001.latency.parquet"
    path.write_bytes(raw.encode_latency(found.rounds))
    samples = raw.decode_latency(path)
    assert samples is not None and samples.copy_ns is not None and samples.compute_ns is not None
    assert samples.copy_ns[:3].tolist() == [1, 2, 3]
    assert np.isnan(samples.copy_ns[3:]).all()
    assert samples.compute_ns.tolist() == [4, 5, 6, 7, 8, 9]


def test_files_without_them_are_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "t001.latency.parquet"
    path.write_bytes(raw.encode_latency(recorded(round_of(0)).rounds))
    samples = raw.decode_latency(path)
    assert samples is not None
    assert (samples.copy_ns, samples.compute_ns) == (None, None)
    assert samples.duration_ns.tolist() == [1_000_000, 1_200_000, 1_100_000]

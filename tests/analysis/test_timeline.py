"""A run as a Trace Event file: held against the rules by which Perfetto's importer reads one."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_runs import ESTIMATE, Recipe, store

from bench.agent import wire
from bench.analysis.timeline import Lane, Strand, events, first_ns, thinning
from bench.errors import ConfigError, StoreError
from bench.records.case import Case
from bench.records.recordings import IdleLine, LoadStep, Marker, PowerTrace, Recording, Round
from bench.store.reader import Run, open_run
from bench.store.tracing import Written, write_trace

MS = 1_000_000


def checked(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a file that Perfetto takes without an error.

    By src/trace_processor/importers/json: phases of one letter, numbers for pid and tid (threads
    are told apart by tid alone), finite times, a duration for X, numbers in args for C; slices of
    a thread must nest, since it is a stack.
    """
    assert set(document) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert document["displayTimeUnit"] == "ms"
    slices: dict[int, list[tuple[int, int]]] = defaultdict(list)
    owners: dict[int, int] = {}
    named = set()
    for event in document["traceEvents"]:
        assert type(event["pid"]) is int and type(event["tid"]) is int and event["pid"] > 0
        assert owners.setdefault(event["tid"], event["pid"]) == event["pid"]
        assert isinstance(event["name"], str) and event["name"]
        fields = {"ph", "pid", "tid", "name"}
        if event["ph"] == "M":
            kinds = {
                "process_name": "name",
                "thread_name": "name",
                "thread_sort_index": "sort_index",
            }
            assert list(event["args"]) == [kinds[event["name"]]]
            named.add((event["name"], event["tid"]))
            assert set(event) == fields | {"args"}
            continue
        assert math.isfinite(event["ts"]) and event["ts"] >= 0
        fields |= {"ts"}
        if event["ph"] == "X":
            assert event["dur"] >= 0 and ("thread_name", event["tid"]) in named
            start = round(event["ts"] * 1000)
            slices[event["tid"]].append((start, start + round(event["dur"] * 1000)))
            assert set(event) - {"args"} == fields | {"dur"}
        elif event["ph"] == "C":
            ((unit, value),) = event["args"].items()
            assert unit in ("W", "°C", "MHz") and math.isfinite(value)
            assert set(event) == fields | {"args"}
        else:
            assert (event["ph"], event["s"]) == ("i", "t")
            assert set(event) == fields | {"args", "s"}
    for found in slices.values():
        assert_nested(found)
    return document["traceEvents"]


def assert_nested(found: list[tuple[int, int]]) -> None:
    open_until: list[int] = []
    for start, end in sorted(found, key=lambda item: (item[0], -item[1])):
        while open_until and open_until[-1] <= start:
            open_until.pop()
        assert not open_until or end <= open_until[-1], "slices of one track overlap"
        open_until.append(end)


def traced(run: Run, folder: Path, **options: Any) -> tuple[list[dict[str, Any]], Written]:
    wanted = {"device": None, "trial": None, "every": None, **options}
    written = write_trace(run, folder / "t.json", **wanted)
    found = checked(json.loads((folder / "t.json").read_text()))
    assert written.events == len(found)
    return found, written


def count(found: list[dict[str, Any]]) -> Counter[str]:
    return Counter(event["name"] for event in found if event["ph"] != "M")


def test_everything_of_a_run_is_on_the_timeline(tmp_path: Path) -> None:
    run = store(tmp_path / "results")
    found, written = traced(run, tmp_path)
    names = count(found)
    # 20 latency and 3 energy rounds of two cases; the second takes twice as long.
    assert names["inference"] == 20 * (20 + 10) + 3 * (500 + 250)
    assert names["latency round 7"] == 2 and names["window of energy round 2"] == 2
    assert names["idle before"] == names["idle after"] == 1, "what cases share is drawn once"
    assert names["temperature cpu-thermal"] == names["clock cpu0"] == 2 + 2 * 23
    assert names["health before"] == names["health after"] == 1
    assert names["after energy round 0"] == 2
    assert written.left_out == ()
    tracks = {e["args"]["name"] for e in found if e["name"] in ("process_name", "thread_name")}
    assert {"job", "windows", "power is read", "health", "net dense (t001)"} <= tracks


def test_times_and_values_are_those_of_the_recording(tmp_path: Path) -> None:
    run = store(tmp_path / "results")
    found, _ = traced(run, tmp_path)
    samples = run.latency("t001")
    assert samples is not None
    begin_ns = min(samples.t_ns) - 1000 * min(
        event["ts"] for event in found if event["name"] == "inference"
    )
    own = [e for e in found if e["name"] == "inference" and e["tid"] % 1_000_000 == 6]
    starts_ns = np.sort(np.array([event["ts"] for event in own])) * 1000 + begin_ns
    np.testing.assert_allclose(starts_ns, np.sort(samples.t_ns), rtol=0, atol=1)
    assert sum(e["dur"] for e in own) * 1000 == pytest.approx(samples.duration_ns.sum())
    power = [e for e in found if e["name"] == "power VDD_IN"]
    segments = run.power("t001") + run.power("t002")[1:-1]
    readings = np.concatenate([part.trace.values[:, 0] for part in segments])
    assert len(power) == np.isfinite(readings).sum() < readings.size, "a failed read is no event"
    assert {e["args"]["W"] for e in power} == {4.0, 9.0}


def test_a_single_trial_or_device_can_be_chosen(tmp_path: Path) -> None:
    run = store(tmp_path / "results")
    found, _ = traced(run, tmp_path, trial="t002")
    assert count(found)["inference"] == 20 * 10 + 3 * 250
    assert traced(run, tmp_path, device="orin")[1].events == traced(run, tmp_path)[1].events
    with pytest.raises(ConfigError, match="did you mean 'orin'"):
        traced(run, tmp_path, device="orion")
    with pytest.raises(ConfigError, match="has no trial 't009'"):
        traced(run, tmp_path, trial="t009")


def test_what_is_thinned_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store(tmp_path / "results")
    monkeypatch.setattr("bench.analysis.timeline.MOST_INFERENCES", 1000)
    found, written = traced(run, tmp_path)
    names = count(found)
    assert 900 < names["inference (1 of 3)"] <= 1000 and names["inference"] == 0
    assert written.left_out == ("all but one in 3 of 2850 inferences (--every 1 keeps them)",)
    assert json.loads((tmp_path / "t.json").read_text())["otherData"]["left_out"] == [
        *written.left_out
    ]
    assert count(traced(run, tmp_path, every=1)[0])["inference"] == 2850
    assert len(traced(run, tmp_path, every=100)[1].left_out) == 2


def test_estimated_power_is_called_so(tmp_path: Path) -> None:
    names = count(traced(store(tmp_path / "results", Recipe(power=ESTIMATE)), tmp_path)[0])
    assert names["power (estimated) VDD_IN"] and not names["power VDD_IN"]


def test_a_run_without_power_has_inferences_and_health(tmp_path: Path) -> None:
    names = count(traced(store(tmp_path / "results", Recipe(power=None)), tmp_path)[0])
    assert names["inference"] and names["clock cpu0"]
    assert not any(name.startswith("power") for name in names)


def test_a_run_with_nothing_to_draw_is_one_line(tmp_path: Path) -> None:
    run = store(tmp_path / "results", Recipe(collected=False))
    with pytest.raises(StoreError, match=r"nothing of .* can be drawn; it has no journal"):
        traced(run, tmp_path)
    assert not (tmp_path / "t.json").exists()


def test_a_journal_that_is_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    run = store(tmp_path / "results")
    (path,) = (run.path / "journals").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    names = count(traced(run, tmp_path)[0])
    assert 0 < names["inference"] < 2850


def trace(unit: str, values: list[float], start_ms: int) -> PowerTrace:
    t_ns = (start_ms + np.arange(len(values)) * 10) * MS
    return PowerTrace(("rail",), unit, t_ns, t_ns, np.array(values)[:, None])


def strand(**recorded: Any) -> Strand:
    fields: dict[str, Any] = {
        "case_key": "k",
        "solo": None,
        "warmup": None,
        "failure": None,
        "rounds": (),
        "idle": (),
        "health": (),
        "finished": True,
    }
    lanes = (Lane("case", Recording(**{**fields, **recorded})),)
    origin_ns = first_ns(lanes)
    assert origin_ns is not None
    return Strand("device", origin_ns, False, lanes)


def drawn(one: Strand) -> list[dict[str, Any]]:
    found = list(events([one], thinning([one], None)))
    return checked({"displayTimeUnit": "ms", "otherData": {}, "traceEvents": found})


def test_a_counter_of_energy_is_drawn_as_mean_power_between_readings() -> None:
    line = IdleLine("before", (0, 30 * MS), trace("J", [1.0, 1.05, math.nan, 1.2, 1.23], 100))
    found = [event for event in drawn(strand(idle=(line,))) if event["ph"] == "C"]
    # Neither end of a failed read has a power, and the last reading none after it.
    assert [(event["ts"], event["args"]["W"]) for event in found] == [
        (100_000.0, pytest.approx(5.0)),
        (130_000.0, pytest.approx(3.0)),
    ]


def test_inferences_that_queued_are_drawn_when_they_were_worked_on() -> None:
    arrivals_ns = np.array([0, 2, 4]) * MS
    item = Round(0, "latency", 0, np.array([5, 8, 9]) * MS, arrivals_ns=arrivals_ns)
    found = [event for event in drawn(strand(rounds=(item,))) if event["name"] == "inference"]
    assert [(event["ts"], event["dur"]) for event in found] == [
        (0.0, 5000.0),
        (5000.0, 5000.0),
        (10000.0, 3000.0),
    ]


def test_markers_load_steps_and_throttling_are_drawn() -> None:
    step = LoadStep(20 * MS, (10 * MS, 40 * MS), trace("W", [1.0, 2.0], 10))
    marker = Marker("before", np.array([0, 2, 4, 6]) * MS, (0, 8 * MS))
    health = {"temperature_c": {"gpu": 50.0}, "throttle": {"oc1": 3}}
    item = Round(
        0,
        "latency",
        50 * MS,
        np.array([MS]),
        health=health,
        throttled={"oc1": 2, "oc2": 0, "name": 1},
    )
    found = drawn(strand(steps=(step,), markers=(marker,), rounds=(item,)))
    names = count(found)
    assert (names["load step"], names["marker before"]) == (1, 2)
    (throttled,) = [event for event in found if event["name"] == "throttled"]
    assert throttled["args"] == {"oc1": 2, "name": 1} and throttled["ts"] == 51_000.0


@pytest.fixture
def two_jobs(tmp_path: Path) -> tuple[Run, Path]:
    """A run whose only case was measured again an hour later, and the second journal."""
    run = store(tmp_path / "results", Recipe(cases=(Case(device="orin", model="net"),)))
    (job,) = (run.path / "jobs").iterdir()
    (journal,) = (run.path / "journals").iterdir()
    facts = json.loads(job.read_text())
    facts.update(job_id="second", attempt=1)
    (job.parent / "second.json").write_text(json.dumps(facts))
    records, _ = wire.decode_records(journal.read_bytes())
    records[0]["wall_s"] += 3600
    second = journal.parent / "second.jsonl"
    second.write_bytes(b"".join(map(wire.encode_record, records)))
    return open_run(run.path, run.path.parent), second


def test_boards_lie_beside_each_other_by_their_wall_clocks(
    two_jobs: tuple[Run, Path], tmp_path: Path
) -> None:
    found, _ = traced(two_jobs[0], tmp_path)
    rounds = [event for event in found if event["name"] == "latency round 0"]
    assert [event["pid"] for event in rounds] == [1, 2]
    assert rounds[1]["ts"] - rounds[0]["ts"] == pytest.approx(3600e6)
    names = [event["args"]["name"] for event in found if event["name"] == "process_name"]
    assert names[1] == "orin (job second, attempt 1)"


def test_what_is_wrong_with_a_job_that_is_not_meant_does_not_matter(
    two_jobs: tuple[Run, Path], tmp_path: Path
) -> None:
    run, second = two_jobs
    second.unlink()
    second.mkdir()
    (problem,) = traced(run, tmp_path)[1].left_out
    assert problem.startswith("job second: cannot read")
    assert traced(run, tmp_path, trial="t001")[1].left_out == ()

"""Journals as a failing disk, a foreign agent or an enemy would leave them."""

from __future__ import annotations

import copy
import json
import warnings
import zlib
from pathlib import Path
from typing import Any

import pytest
from fuzzing import POWER, fuzz
from hypothesis import example, given
from hypothesis import strategies as st

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.analysis.validity import evaluate
from bench.errors import StoreError
from bench.plan.procedures import PROCEDURES
from bench.records.case import Case
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report.details import details
from bench.store import raw

RECORDED = Path(__file__).with_name("recorded-journal.jsonl").read_bytes()
"""What a real agent wrote on a constructed board, thinned out: one case measured, one broken."""
RECORDS, _ = wire.decode_records(RECORDED)
CASES = (Case(device="nano", model="net"), Case(device="nano", model="broken"))
KEYS = [case.key for case in CASES]


def lines_of(records: list[Any]) -> bytes:
    """Journal lines with right checksums, whatever the records are."""
    texts = [json.dumps(record).encode() for record in records]
    return b"".join(text + b"\t%08x\n" % zlib.crc32(text) for text in texts)


def evaluated(data: bytes) -> list[Trial]:
    """Everything that is done to a journal: read, evaluate, store, show."""
    records, problems = wire.decode_records(data)
    found = recordings(records, problems, KEYS)
    assert all("\n" not in text and len(text) < 500 for key in KEYS for text in found[key].lost)
    trials = []
    for case in CASES:
        recording = found[case.key]
        trial = evaluate(recording, case, PROCEDURES["quick"], POWER, run_id="r", trial_id="t001")
        assert Trial.model_validate_json(trial.model_dump_json()) == trial
        if recording.rounds:
            raw.encode_latency(recording.rounds)
        parts = raw.segments(recording)
        if parts:
            raw.encode_power(parts)
        assert fmt.status(trial)
        details(trial)
        trials.append(trial)
    return trials


def survives(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            evaluated(data)
        except StoreError as error:
            assert "update bench" in str(error) and "\n" not in str(error)


def test_the_recorded_journal_is_understood_to_its_last_field() -> None:
    measured, broken = evaluated(RECORDED)
    assert measured.latency is not None and measured.energy is not None
    assert broken.latency_status.status == "failed"
    assert "lost" not in measured.facts
    (state,) = [r for r in RECORDS if r["kind"] == "state" and r["where"] == "before"]
    assert measured.facts["state"]["before"] == {
        name: value for name, value in state.items() if name not in ("kind", "where")
    }


@fuzz(60)
@given(st.binary(max_size=300))
@example(b"\n\t\n")
@example(b"[" * 100_000)
def test_any_bytes(data: bytes) -> None:
    survives(data)
    survives(data + b"\t%08x\n" % zlib.crc32(data))
    survives(RECORDED[:9000] + data + RECORDED[9000:])


@fuzz(100)
@given(st.data())
def test_a_damaged_journal(data: st.DataObject) -> None:
    content = bytearray(RECORDED)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        damage = data.draw(st.sampled_from(("flip", "cut", "swap", "repeat", "lose")))
        if damage == "flip":
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        elif damage == "cut":
            del content[max(place, 1) :]
        else:
            lines = content.split(b"\n")
            one, two = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            if damage == "swap":
                lines[one], lines[two] = lines[two], lines[one]
            elif damage == "repeat":
                lines.insert(two, lines[one])
            elif len(lines) > 2:
                del lines[one]
            content = bytearray(b"\n".join(lines) or b"\n")
    survives(bytes(content))


HOSTILE = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            0,
            -1,
            1,
            3,
            2**31,
            2**62,
            2**63,
            -(2**63),
            10**400,
            1.5,
            -0.0,
            1e-320,
            1e308,
            float("nan"),
            float("inf"),
            "",
            "5",
            "energy",
            "latency",
            "sustain",
            "before",
            "x" * 5000,
            "\ud800",
            "\x1b[2J\n",
            [],
            [[]],
            [None],
            [1, 2],
            [2, 1],
            ["a"],
            {},
            {"a": 1},
            {"VDD_IN": "x", "": None},
        ]
    ),
    st.integers(-10, 10),
    st.integers(16_279_000_000_000, 16_330_000_000_000),
    st.floats(),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ),
)


def mutate(data: st.DataObject, records: list[Any]) -> None:
    """Replace, drop or add one value somewhere in the records."""
    parent: Any = records
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        deeper = isinstance(parent[key], (dict, list)) and parent[key]
        if deeper and (parent is records or data.draw(st.integers(0, 3))):
            parent = parent[key]
            continue
        how = data.draw(st.sampled_from(("replace", "replace", "replace", "drop", "nudge", "copy")))
        if how == "drop":
            del parent[key]
        elif how == "nudge" and isinstance(parent[key], int):
            parent[key] += data.draw(st.sampled_from((-1, 1, 10**9, -(10**9), 10**15, -(10**18))))
        elif how == "copy" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        else:
            parent[key] = data.draw(HOSTILE)
        return


@fuzz(150)
@given(st.data())
def test_records_with_wrong_values_and_right_checksums(data: st.DataObject) -> None:
    records: list[Any] = copy.deepcopy(RECORDS)
    for _ in range(data.draw(st.integers(1, 4))):
        mutate(data, records)
    survives(lines_of(records))


@fuzz(100)
@given(st.data())
def test_rounds_of_any_times_and_readings(data: st.DataObject) -> None:
    """Well-formed but absurd: what the arithmetic meets."""
    few_ns = st.integers(0, 3) | st.sampled_from((10**6, 10**9, 8 * 10**14, 10**18))
    record = copy.deepcopy(data.draw(st.sampled_from([r for r in RECORDS if r.get("trace")])))
    trace = record["trace"]
    count = data.draw(st.integers(1, 6))
    begin_ns = data.draw(few_ns)
    steps_ns = [data.draw(st.integers(1, 3) | st.just(10**9)) for _ in range(count)]
    trace["t_before_ns"] = [begin_ns + sum(steps_ns[:i]) for i in range(count)]
    trace["t_after_ns"] = trace["t_before_ns"]
    reading = st.sampled_from((None, 0, 0.0, -1, 5, 5.0, 1e-300, 1e300, 4999.9, -1e12)) | st.floats(
        -10, 10
    )
    trace["values"] = [[data.draw(reading), data.draw(reading)] for _ in range(count)]
    edge_ns = begin_ns + data.draw(few_ns)
    record["window_ns"] = [edge_ns, edge_ns + 1 + data.draw(few_ns)]
    record["onset_ns"] = edge_ns + data.draw(st.integers(0, 2))
    record["start_ns"] = begin_ns
    record["durations_ns"] = [1 + data.draw(few_ns) for _ in range(data.draw(st.integers(1, 4)))]
    kinds = [r for r in RECORDS if r["kind"] not in ("round", "step", "idle")]
    others = [r for r in RECORDS if r["kind"] == "round" and r["type"] == "latency"]
    survives(lines_of([*kinds, record, *data.draw(st.sampled_from(([], others)))]))


@pytest.mark.parametrize("version", [2, 10**30])
def test_a_newer_version_is_refused_in_words(version: int) -> None:
    newer = [{**RECORDS[0], "version": version}, *RECORDS[1:]]
    with pytest.raises(StoreError, match=rf"version {version}, .* up to 1: update bench"):
        evaluated(lines_of(newer))


def test_what_is_readable_is_used_and_the_rest_is_reported() -> None:
    records: list[Any] = copy.deepcopy(RECORDS)
    rounds = [record for record in records if record["kind"] == "round"]
    rounds[0]["durations_ns"] = ["8", 9]
    rounds[1]["trace"]["values"] = "none"
    rounds[2]["health"] = 7
    solo = next(record for record in records if record["kind"] == "solo")
    solo["parity"] = 3
    data = lines_of([[], 5, *records, rounds[3], {"kind": "later", "x": 1}])
    measured, _ = evaluated(data)
    assert measured.latency is not None and measured.latency.rounds == 3
    assert measured.energy is not None and measured.energy.rounds == 1
    lost = "\n".join(measured.facts["lost"])
    for words in (
        "journal line 1 holds no record",
        "repeats an earlier one",
        "of an unknown kind: 'later'",
        "(solo) is malformed: parity",
        "(round) is malformed: durations_ns holds something else than whole nanoseconds",
        "(round) has no health",
        "(round) is malformed: the rows of the trace differ",
    ):
        assert words in lost


def test_garbage_does_not_fill_every_trial() -> None:
    measured, _ = evaluated(RECORDED + b"garbage\n" * 5000)
    assert measured.latency is not None
    assert len(measured.facts["lost"]) == 21
    assert measured.facts["lost"][-1] == "and 4980 more problems"

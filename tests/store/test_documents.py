"""Stored documents are read at once or closely, and either way the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.errors import StoreError
from bench.records.case import Case
from bench.records.status import Status, Verdict
from bench.records.trial import Trial
from bench.store import documents
from bench.store.documents import parse_document

HERE = Path("trials.jsonl")
VALID = Verdict(status=Status.VALID)


def line(fact: str) -> bytes:
    """A trial among whose facts is one spelt so."""
    trial = Trial(
        trial_id="t001",
        run_id="run",
        case=Case(device="d", model="m"),
        latency_status=VALID,
        energy_status=VALID,
        memory_status=VALID,
        facts={"fact": 0},  # type: ignore[typeddict-unknown-key]
    )
    return trial.model_dump_json().replace('"fact":0', f'"fact":{fact}').encode()


def fact(data: bytes) -> Any:
    return parse_document(Trial, data, HERE).facts["fact"]  # type: ignore[typeddict-item]


USUAL = (
    '"a text"',
    "-0.00012345678901234567",
    "1234567890123456789",
    "1e15",
    "1e-400",
    '"e1000, 12345678901234567890 and é"',
    '["\\n\\u00e9", null, true, {"x": [1]}]',
)


@pytest.mark.parametrize("spelt", USUAL)
def test_both_ways_read_the_same(spelt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = parse_document(Trial, line(spelt), HERE)
    monkeypatch.setattr(documents, "_usual", lambda *_: None)
    assert parse_document(Trial, line(spelt), HERE) == at_once
    assert fact(line(spelt)) == json.loads(spelt)


@pytest.mark.parametrize("spelt", USUAL[:-2])
def test_what_is_usual_is_read_at_once(spelt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(documents, "parse_object")
    assert fact(line(spelt)) == json.loads(spelt)


@pytest.mark.parametrize(
    ("spelt", "said"),
    [
        ("NaN", "NaN, which is no JSON"),
        ("-Infinity", "Infinity, which is no JSON"),
        ("12345678901234567890", "a number of 20 digits"),
        ("[ -12345678901234567890 ]", "a number of 20 digits"),
        ("1e400", "too large"),
        ("[1.5E+999 ]", "too large"),
        ("1" * 400 + ".5", "too large"),
        (r'"\ud83d"', "half a character"),
        ("[" * 5000 + "]" * 5000, "levels deep"),
        ("{", "not JSON"),
    ],
)
def test_what_no_program_can_pass_on_is_refused(spelt: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_document(Trial, line(spelt), HERE)


def test_a_mark_before_the_text_does_no_harm() -> None:
    assert fact(b"\xef\xbb\xbf" + line("1")) == 1


def test_a_newer_version_is_refused_also_where_all_else_is_known() -> None:
    newer = line("1").replace(b'"schema_version":1', b'"schema_version":2')
    with pytest.raises(StoreError, match="update bench"):
        parse_document(Trial, newer, HERE)


def test_deep_facts_can_be_stored_again() -> None:
    trial = parse_document(Trial, line("[" * 150 + "]" * 150), HERE)
    assert parse_document(Trial, trial.model_dump_json().encode(), HERE) == trial

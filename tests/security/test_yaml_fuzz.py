"""devices.yaml and plan files that nobody should have written: one line each, soon."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing import fuzz
from hypothesis import example, given
from hypothesis import strategies as st

from bench.config.devices_file import load_devices
from bench.errors import ConfigError
from bench.plan.file import choose_procedure, load_plan
from bench.plan.plan import make_plan

BOARD = "devices:\n  nano:\n    transport: ssh\n    host: b\n"


def plan_of(path: Path) -> object:
    file = load_plan(path)
    return make_plan(**file.arguments(), procedure=choose_procedure(file, None, {}), skips=True)


LOADERS: dict[str, Callable[[Path], object]] = {"devices": load_devices, "plan": plan_of}


def said(path: Path, load: Callable[[Path], object]) -> str:
    """What is said against a file, empty when nothing is."""
    try:
        load(path)
    except ConfigError as error:
        text = str(error)
        assert "\n" not in text and "\x1b" not in text and len(text) < 1500
        text.encode()
        return text
    return ""


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


WORDS = """devices nano local transport ssh host user port identity_file root lock retry_s power
sensor estimate idle_w busy_w total replay path period_s threads models schemes batches exclude
overrides where shapes procedure preset seed latency_rounds rate_per_s scenario runtimes sustain_s
max_time_s quick dense basis:0.25 x.onnx ~nobody/x.onnx"""
NAMES = st.sampled_from(WORDS.split())
SCALARS = st.one_of(
    NAMES,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", "\x1b[31m", "a\nb", "\0", "é" * 200, "0x" + "f" * 30, ".inf", "1e999"]),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.text(max_size=3) | st.integers(0, 3), inner, max_size=4)
    ),
    max_leaves=12,
)


def spelled(value: Any) -> str:
    """A document in YAML's flow style, escapes and all."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{spelled(k)}: {spelled(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spelled, value)) + "]"
    if isinstance(value, str):
        return (
            '"' + "".join(f"\\U{ord(c):08x}" if c in '"\\' or c < " " else c for c in value) + '"'
        )
    return {None: "null", True: "true", False: "false"}.get(value, str(value))


@fuzz(80)
@given(document=DOCUMENTS, key=NAMES)
def test_any_document(tmp_path: Path, document: Any, key: str) -> None:
    text = spelled(document)
    board = f"devices: {{nano: {{transport: ssh, host: b, {key}: {text}}}}}"
    for load in LOADERS.values():
        for content in (text, board, f"{key}: {text}"):
            said(written(tmp_path, content), load)


@fuzz(100)
@given(content=st.binary(max_size=60) | st.text("{}[]:,-&*!|>%@`'\"#?\n <=.0aé~", max_size=40))
@example(content=b"\xff\xfe")
@example(content=b"devices: \xe9")
@example(content="x: 2001-99-99")
@example(content="x: " + "9" * 6000)
@example(content="x: 0x" + "f" * 9000)
@example(content='!!int ""')
@example(content="!!float x")
@example(content="%YAML 9.9\n---\na")
@example(content="a: &a [*a]")
@example(content='x: "\\ud800"')
@example(content="--- a\n--- b")
def test_any_text(tmp_path: Path, content: str | bytes) -> None:
    for load in LOADERS.values():
        said(written(tmp_path, content), load)
        if isinstance(content, str):
            said(written(tmp_path, BOARD + "    user: " + content), load)


def doublings(first: str, line: str, count: int) -> str:
    steps = [line.format(i, ", ".join([f"*a{i - 1}"] * 9)) for i in range(1, count)]
    return "\n".join([first, *steps]) + "\n"


@pytest.mark.parametrize(
    "bomb",
    [
        doublings("a0: &a0 [x]", "a{0}: &a{0} [{1}]", 12),
        doublings("a0: &a0 {k: 1}", "a{0}: &a{0} {{<<: [{1}]}}", 12),
        "[" * 300_000,
        "{a: " * 200_000,
        "- " * 300_000,
        "a" * (2 << 20),
    ],
    ids=["lists", "merges", "brackets", "braces", "dashes", "size"],
)
@pytest.mark.timeout(60)
@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_a_bomb_costs_little(tmp_path: Path, bomb: str, load: Callable[[Path], object]) -> None:
    path = written(tmp_path, bomb)
    tracemalloc.start()
    assert said(path, load)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


def test_names_that_would_merge_or_vanish_are_refused(tmp_path: Path) -> None:
    entry = "{transport: local}"
    both = written(tmp_path, f"devices:\n  1: {entry}\n  '1': {entry}\n")
    assert "two devices '1'" in said(both, load_devices)
    for name in ('"a\\tb"', '"\\e[31m"', "null", "true", '" "', '"a,b"', "x" * 200, "[a]"):
        path = written(tmp_path, f"devices:\n  {name}: {entry}\n")
        assert said(path, load_devices), name
    assert "duplicate" in said(written(tmp_path, BOARD + "    host: c\n"), load_devices)


def test_anchors_for_what_boards_share_still_work(tmp_path: Path) -> None:
    text = "devices:\n  a: &a {transport: ssh, host: a, port: 22}\n  b: {<<: *a, host: b}\n"
    devices = load_devices(written(tmp_path, text))
    assert [getattr(device, "host", "") for device in devices.values()] == ["a", "b"]


def test_a_key_that_was_pasted_is_refused_and_not_repeated(tmp_path: Path) -> None:
    # Put together here, since scanners for lost keys read tests too.
    head = "-----BEGIN OPENSSH " + "PRIVATE KEY-----"
    for value in (f"|\n      {head}\n      c2VjcmV0\n", f'"{head} c2VjcmV0"\n'):
        message = said(written(tmp_path, BOARD + "    identity_file: " + value), load_devices)
        assert "give the path of the file" in message
        assert "c2VjcmV0" not in message
    nested = said(written(tmp_path, BOARD + "    user: {password: hunter2}\n"), load_devices)
    assert nested and "hunter2" not in nested

"""Shapes of the agent's answers to ``doctor`` and ``provision`` (see answers.py)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.device.answer_parts import Answer, Name, Names, Numbers, Text
from bench.records.bounded import Count, NotNegative, Number, Seconds


class _Process(Answer):
    pid: Count
    name: Name
    cpus: NotNegative


class _Swap(Answer):
    name: Name
    bytes: Count
    used_bytes: Count


class _Settable(Answer):
    applies: bool
    problem: Text | None


class _States(Answer):
    power_mode: _Settable
    clocks: _Settable
    governor: _Settable


class _Rail(Answer):
    name: Name
    idle_w: Number | None
    busy_w: Number | None


class _Load(Answer):
    sensor: Name
    unit: Literal["W"]
    channels: Annotated[list[_Rail], Field(max_length=1000)]
    reads: Count
    failed_reads: Count
    change_s: Seconds | None
    problem: Text | None


class Doctor(Answer):
    """As in the docstring of ``bench/agent/doctor.py``."""

    processes: Annotated[list[_Process], Field(max_length=100)]
    swap: Annotated[list[_Swap], Field(max_length=1000)]
    headroom_c: Numbers
    state: _States
    pinned: bool | None
    jetpack: Names | None
    loads: Annotated[list[_Load], Field(max_length=100)]
    idle_s: Seconds
    busy_s: Seconds
    wall_s: Seconds


class Provision(Answer):
    """As in :mod:`bench.agent.wire`."""

    folder: Text | None
    versions: Names
    problem: Text | None


class Unprovision(Answer):
    """As in :mod:`bench.agent.wire`."""

    removed: Text | None

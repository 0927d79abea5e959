"""What the agent's answers must look like before anything is made of them.

A board is not trusted with anything but its own numbers: an answer of another shape than
:mod:`bench.agent.wire` says is refused as a whole, and fields that it does not know are left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from bench.device.answer_parts import Answer as _Answer
from bench.device.answer_parts import Name, Names, Numbers, Text
from bench.device.onboarding_answers import Doctor, Provision, Unprovision
from bench.records.bounded import Count, NotNegative, Number, Seconds

Span = Annotated[float, Field(ge=0, le=9.2e9, allow_inf_nan=False)]
"""Seconds that a thread can wait for."""
WallTime = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
"""Seconds since 1970 of which there is a date."""


class _Board(_Answer):
    model: Name | None
    compatible: list[Name]


class _System(_Answer):
    pretty_name: Name | None
    kernel: Name
    machine: Name
    l4t: Name | None


class _Python(_Answer):
    version: Name
    executable: Text
    implementation: Name
    abi_flags: Name
    platform: Name
    bits: Literal[32, 64]
    glibc: Name | None


class _Packages(_Answer):
    folder: Name
    key: Name
    versions: Names


class _Package(_Answer):
    version: Name | None
    problem: Text | None

    @model_validator(mode="after")
    def _version_or_problem(self) -> _Package:
        if not self.version and not self.problem:
            raise ValueError("it has neither a version nor a problem")
        return self


class _Runtime(_Package):
    version: Annotated[str, Field(pattern=r"^[0-9]{1,6}\.[0-9]{1,6}(\D|$)")] | None
    providers: list[Name] = Field(default_factory=list)


class _Cpu(_Answer):
    model: Name | None
    count: Count | None
    governor: Names
    frequency_khz: Numbers


class _Memory(_Answer):
    total_bytes: Count | None
    available_bytes: Count | None


class _Disk(_Answer):
    free_bytes: Count


class _Lock(_Answer):
    path: Text
    problem: Text | None


class _Restored(_Answer):
    """As in a ``state`` record."""

    job_id: Name
    t_ns: Count | None = None
    power_mode: Name | None = None
    clocks: Name | None = None
    governor: Names = Field(default_factory=dict)
    frequency_min_khz: Numbers = Field(default_factory=dict)
    frequency_max_khz: Numbers = Field(default_factory=dict)
    problem: Text | None = None


class _State(_Answer):
    power_mode: Name | None
    power_modes: Names
    restored: _Restored | None
    problem: Text | None


class _Channel(_Answer):
    name: Name
    resolution_w: NotNegative | None
    resolution_j: NotNegative | None = None
    voltage_v: NotNegative | None = None
    problem: Text | None = None


class _Sensor(_Answer):
    name: Name
    source: Literal["measured", "counter", "estimated"]
    unit: Literal["W", "J"]
    channels: Annotated[list[_Channel], Field(max_length=1000)]
    lag_s: Seconds | None
    scope: Name | None
    samples: Number | None
    update_interval_ms: Number | None
    problem: Text | None
    read_s: Seconds | None
    refresh_s: Seconds | None = None
    gain_error: NotNegative | None = None
    period_s: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None
    note: Text = ""


class _Probe(_Answer):
    version: int
    board: _Board
    boot_id: Name | None
    monotonic_ns: Count
    wall_s: Seconds
    os: _System
    python: _Python
    packages: _Packages | None
    numpy: _Package | None
    runtimes: dict[Name, _Runtime | None]
    cpu: _Cpu
    memory: _Memory
    disk: _Disk
    temperature_c: Numbers
    lock: _Lock
    state: _State
    sensors: Annotated[list[_Sensor], Field(max_length=100)]


class _Busy(_Answer):
    job_id: Name
    pid: Count
    owner: Name
    user: Name
    since_wall_s: WallTime
    left_s: Span | None


class _Restore(_Answer):
    restored: _Restored | None
    problem: Text | None


class _Started(_Answer):
    expected_s: Span
    next_checkpoint_s: Span | None


class _Refusal(_Answer):
    kind: Literal["state", "job"]
    text: Text


class _Refused(_Answer):
    refused: _Refusal


class _Status(_Answer):
    state: Literal["running", "finished", "dead", "new", "absent"]
    remaining_s: Span | None
    next_checkpoint_s: Span | None = None
    rebooted: bool = False


class _Job(_Answer):
    job_id: Name
    run_id: Name | None
    owner: Name | None
    state: Literal["running", "finished", "dead", "new", "absent"]
    collected: bool
    created_wall_s: WallTime
    remaining_s: Span | None
    journal_bytes: Count
    cases: Count | None


class _Jobs(_Answer):
    jobs: list[_Job]
    busy: _Busy | None


class _Removable(_Answer):
    what: Name
    path: Text
    bytes: Count


class _Kept(_Answer):
    job_id: Name
    why: Text


class _Clean(_Answer):
    removable: list[_Removable]
    kept: list[_Kept]


class _BusyInstead(_Answer):
    busy: _Busy


_SHAPES: dict[str, type[_Answer]] = {
    "probe": _Probe,
    "restore": _Restore,
    "start": _Started,
    "status": _Status,
    "stop": _Status,
    "jobs": _Jobs,
    "clean": _Clean,
    "doctor": Doctor,
    "provision": Provision,
    "unprovision": Unprovision,
}


def shaped(command: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of an answer to a command.

    Raises:
        ValueError: it has another shape; the message is one short line.
    """
    shape = _SHAPES[command]
    if set(answer) == {"busy"}:
        shape = _BusyInstead
    elif command == "start" and "refused" in answer:
        shape = _Refused
    try:
        return shape.model_validate(answer).model_dump()
    except ValidationError as error:
        # The input itself may be anything, so it is not repeated.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step)[:40] for step in first["loc"][:5])
        raise ValueError(f"{place}: {first['msg'].lower()}" if place else first["msg"]) from None

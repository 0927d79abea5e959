"""What the journal records without raw samples must look like before anything believes them.

A journal comes from a board: a record that has another shape than :mod:`bench.agent.wire` says is
refused as a whole, and fields that it does not know are left out. Numbers are finite and of a size
that arithmetic and JSON can hold, names are short.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bench.records.artifact import Parity
from bench.records.bounded import Count, Nanoseconds, Number, Real, Seconds, Whole


def _cut(limit: int) -> AfterValidator:
    return AfterValidator(lambda text: text[:limit])


Name = Annotated[str, _cut(200)]
Line = Annotated[str, _cut(1000)]
Evidence = Annotated[str, _cut(50_000)]
Key = Annotated[str, Field(max_length=1000)]
Numbers = Annotated[dict[Name, Number], Field(max_length=5000)]
Names = Annotated[dict[Name, Name], Field(max_length=5000)]
Settings = Annotated[
    dict[Name, bool | Number | Line | list[bool | Number | Line] | None], Field(max_length=200)
]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    kind: str = ""


class _ParityShape(Parity):
    model_config = ConfigDict(strict=True, extra="ignore")

    max_abs_error: Real | None = None
    max_rel_error: Real | None = None
    cosine: Real | None = None
    top1_agreement: Real | None = None
    detail: Line = ""


class _Start(_Shape):
    version: int = 1


class _Moment(_Shape):
    """What is read of a board at once."""

    t_ns: Nanoseconds = 0
    governor: Names = {}
    frequency_min_khz: Numbers = {}
    frequency_max_khz: Numbers = {}


class RoundHealth(_Shape):
    """Field ``health`` of a round."""

    temperature_c: Numbers = {}
    frequency_khz: Numbers = {}
    throttle: Numbers = {}


class _Health(_Moment, RoundHealth):
    where: Literal["before", "after"]
    load1: Number | None = None
    available_bytes: Whole | None = None


class _State(_Moment):
    where: Literal["before", "set", "after", "restored"]
    power_mode: Name | None = None
    clocks: Name | None = None
    problem: Line | None = None


class _Cooldown(_Shape):
    t_ns: Nanoseconds = 0
    reached: bool
    took_s: Seconds
    wanted_c: Number | None = None
    temperature_c: Number | None = None


class _Layer(_Shape):
    name: Line
    ms: Real


class _Engine(_Shape):
    """What a runtime built of the graph, or found in its cache."""

    key: Name | None = None
    tensorrt: Name | None = None
    device: Name | None = None
    compute_capability: Name | None = None
    builder_options: Settings = {}
    cached: bool | None = None
    build_s: Seconds | None = None
    engine_bytes: Count | None = None
    cuda: Name | None = None
    cuda_graph: bool | None = None
    log: Annotated[list[Line], Field(max_length=1000)] = []
    layers: Annotated[list[_Layer], Field(max_length=5000)] = []


class _Solo(_Shape):
    case: Key
    t_ns: Nanoseconds = 0
    runtime_version: Name = ""
    providers: list[Name] = []
    provider_options: Names = {}
    nodes: Annotated[dict[Name, Count], Field(max_length=100)] = {}
    cuda_graph: bool | None = None
    engine: _Engine | None = None
    gpu_memory_bytes: Whole | None = None
    threads: Whole | None = None
    spins_when_parked: bool | None = None
    import_s: Seconds | None = None
    load_s: Seconds | None = None
    first_s: Seconds | None = None
    steady_run_s: Seconds | None = None
    imported_bytes: Whole | None = None
    load_rise_bytes: Whole | None = None
    steady_rise_bytes: Whole | None = None
    peak_bytes: Whole | None = None
    parity: _ParityShape | None = None


class _Failure(_Shape):
    case: Key
    reason: Name
    text: Line = ""
    detail: Evidence = ""
    parity: _ParityShape | None = None


class _Warmup(_Shape):
    case: Key
    load: Whole = 0
    steady: bool
    took_s: Seconds
    runs: Whole = 0
    steady_rise_bytes: Whole | None = None
    peak_bytes: Whole | None = None


class _Accuracy(_Shape):
    case: Key
    t_ns: Nanoseconds = 0
    part: Whole | None = None
    images: Count = 0
    top1: Count = 0
    top5: Count = 0
    problem: Line | None = None


class _Stopping(_Shape):
    t_ns: Nanoseconds = 0
    reason: Name
    rounds: Whole = 0
    half_widths: dict[Key, Number | None]


class _Groups(_Shape):
    t_ns: Nanoseconds = 0
    groups: list[list[Key]]
    available_bytes: Whole | None = None


class _Sensor(_Shape):
    t_ns: Nanoseconds = 0
    text: Line
    detail: Evidence = ""


class _Checkpoint(_Shape):
    t_ns: Nanoseconds = 0
    until_ns: Nanoseconds = 0


class _End(_Shape):
    t_ns: Nanoseconds = 0
    reason: Name


_SHAPES: dict[str, type[_Shape]] = {
    "start": _Start,
    "health": _Health,
    "state": _State,
    "cooldown": _Cooldown,
    "solo": _Solo,
    "failure": _Failure,
    "warmup": _Warmup,
    "accuracy": _Accuracy,
    "stopping": _Stopping,
    "groups": _Groups,
    "sensor": _Sensor,
    "checkpoint": _Checkpoint,
    "end": _End,
}
KINDS = frozenset({*_SHAPES, "idle", "marker", "round", "step"})
"""Every kind of record that this version understands."""


def shaped(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a record that has no raw samples.

    Raises:
        ValueError: it does not have the shape of its kind; the message is one short line.
    """
    return _validated(_SHAPES[kind], record)


def round_health(value: Any) -> dict[str, Any] | None:
    """Return the field ``health`` of a round.

    Raises:
        ValueError: as :func:`shaped`.
    """
    return None if value is None else _validated(RoundHealth, value)


def _validated(shape: type[_Shape], value: Any) -> dict[str, Any]:
    try:
        return shape.model_validate(value).model_dump(exclude_unset=True)
    except ValidationError as error:
        # The input itself may be anything, so it is not repeated.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step)[:40] for step in first["loc"][:3])
        raise ValueError(f"{place}: {first['msg'].lower()}" if place else first["msg"]) from None

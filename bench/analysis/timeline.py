"""What a job recorded as events of the Trace Event format, which Perfetto and others open.

Every job is a process of the timeline. It has a track for what the whole job did (idle lines, load
steps, markers), one per case (rounds, and in them inferences), one for the windows over which power
counts, one for when power was read at all, and one for health; power, temperatures and clocks are
counters. A counter keeps its last value until the next one: between two of those times there are no
readings, and none of it is drawn where none was taken.

Times are microseconds of the board's monotonic clock since the start of the timeline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.analysis.times import load_end_ns, served_ns
from bench.records.recordings import PowerTrace, Recording, Round

Event = dict[str, Any]

MOST_INFERENCES = 200_000
"""About 20 MB of events, which a browser still opens."""
MOST_READINGS = 200_000

_METER_NAME = "power by the meter"
_MOST_TRACKS = 1_000_000
_JOB, _WINDOWS, _READ, _METERED, _HEALTH, _FIRST_CASE = range(1, 7)


@dataclass(frozen=True, slots=True)
class Lane:
    """A case of a job: what it is called, its recording, and its power by an external meter."""

    label: str
    recording: Recording
    metered: tuple[PowerTrace, ...] = ()


@dataclass(frozen=True, slots=True)
class Strand:
    """A job of the timeline. ``origin_ns``: time of the board's clock at which it starts.

    ``estimated``: whether its power is an estimate.
    """

    name: str
    origin_ns: int
    estimated: bool
    lanes: tuple[Lane, ...]

    @property
    def rounds(self) -> Iterator[Round]:
        """All rounds of all cases."""
        return (item for lane in self.lanes for item in lane.recording.rounds)


@dataclass(frozen=True, slots=True)
class Thinning:
    """Every how many-th inference and power reading is an event, and how many there are of each."""

    inferences: int
    readings: int
    every_inference: int
    every_reading: int


def thinning(strands: Iterable[Strand], every: int | None) -> Thinning:
    """Return how much to leave out: ``every`` as asked for, else what keeps the file small."""
    inferences = readings = 0
    for strand in strands:
        inferences += sum(item.durations_ns.size for item in strand.rounds)
        readings += sum(trace.values.size for trace, _ in _traces(strand))
    return Thinning(
        inferences,
        readings,
        every or math.ceil(inferences / MOST_INFERENCES) or 1,
        every or math.ceil(readings / MOST_READINGS) or 1,
    )


def first_ns(lanes: Iterable[Lane]) -> int | None:
    """Return when the first thing happened that the timeline shows, ``None`` without any."""
    found: list[int] = []
    for lane in lanes:
        recording = lane.recording
        found += [item.start_ns for item in recording.rounds]
        found += [line.window_ns[0] for line in recording.idle]
        found += [step.window_ns[0] for step in recording.steps]
        found += [marker.window_ns[0] for marker in recording.markers]
        found += [moment["t_ns"] for moment in _moments(recording)]
        for trace in _own_traces(recording):
            found += trace.t_before_ns[:1].tolist()
    return min(found, default=None)


def events(strands: Iterable[Strand], thin: Thinning) -> Iterator[Event]:
    """Yield the events of all jobs, each job as a process of its own."""
    for number, strand in enumerate(strands, 1):
        yield from _Process(number, strand, thin).events()


class _Process:
    """Makes the events of one job."""

    def __init__(self, pid: int, strand: Strand, thin: Thinning) -> None:
        self.pid = pid
        self.strand = strand
        self.thin = thin

    def events(self) -> Iterator[Event]:
        yield self._meta("process_name", 0, {"name": self.strand.name})
        names = {_JOB: "job", _WINDOWS: "windows", _READ: "power is read", _HEALTH: "health"}
        if any(lane.metered for lane in self.strand.lanes):
            names[_METERED] = "the meter is read"
        for number, lane in enumerate(self.strand.lanes):
            names[_FIRST_CASE + number] = lane.label
        for tid, name in names.items():
            yield self._meta("thread_name", tid, {"name": name})
            yield self._meta("thread_sort_index", tid, {"sort_index": tid})
        yield from self._of_job()
        for number, lane in enumerate(self.strand.lanes):
            for item in lane.recording.rounds:
                yield from self._round(_FIRST_CASE + number, lane.label, item)
        for trace, kind in _traces(self.strand):
            yield from self._power(trace, kind)

    def _of_job(self) -> Iterator[Event]:
        """What the cases of a job share is drawn once."""
        for (start_ns, end_ns), name in sorted(_blocks(self.strand).items()):
            yield self._slice(_JOB, name, start_ns, end_ns)
        seen: set[tuple[Any, ...]] = set()
        for lane in self.strand.lanes:
            for moment in _moments(lane.recording):
                key = moment["t_ns"], moment.get("where"), moment["kind"]
                if key not in seen:
                    seen.add(key)
                    yield from self._moment(moment)

    def _round(self, tid: int, label: str, item: Round) -> Iterator[Event]:
        starts_ns, ends_ns = served_ns(item)
        facts = {
            "case": label,
            "load": item.load,
            "inferences": int(starts_ns.size),
            "background": item.background,
        }
        if starts_ns.size:
            name = f"{item.kind} round {item.index}"
            yield self._slice(tid, name, int(starts_ns[0]), int(ends_ns[-1]), **facts)
        every = self.thin.every_inference
        name = "inference" if every == 1 else f"inference (1 of {every})"
        for start_ns, end_ns in zip(
            starts_ns[::every].tolist(), ends_ns[::every].tolist(), strict=True
        ):
            yield self._slice(tid, name, start_ns, end_ns)
        if item.window_ns is not None:
            name = f"window of {item.kind} round {item.index}"
            yield self._slice(_WINDOWS, name, *item.window_ns, case=label)
        if starts_ns.size and item.health:
            at_ns = load_end_ns(item)
            yield from self._counters(at_ns, item.health)
            name = f"after {item.kind} round {item.index}"
            yield self._instant(_HEALTH, name, at_ns, {"case": label})
            throttled = {counter: n for counter, n in (item.throttled or {}).items() if n}
            if throttled:
                yield self._instant(_HEALTH, "throttled", at_ns, throttled)

    def _moment(self, moment: Mapping[str, Any]) -> Iterator[Event]:
        yield from self._counters(moment["t_ns"], moment)
        told = ("power_mode", "clocks", "governor", "throttle", "load1", "problem")
        facts = {name: moment[name] for name in told if moment.get(name)}
        name = f"{moment['kind']} {moment.get('where', '')}".strip()
        yield self._instant(_HEALTH, name, moment["t_ns"], facts)

    def _counters(self, at_ns: int, health: Mapping[str, Any]) -> Iterator[Event]:
        for zone, temperature_c in (health.get("temperature_c") or {}).items():
            yield self._counter(f"temperature {zone}", "°C", at_ns, temperature_c)
        for clock, frequency_khz in (health.get("frequency_khz") or {}).items():
            yield self._counter(f"clock {clock}", "MHz", at_ns, frequency_khz / 1e3)

    def _power(self, trace: PowerTrace, kind: str) -> Iterator[Event]:
        begin_ns, end_ns = int(trace.t_before_ns[0]), int(trace.t_after_ns[-1])
        yield self._slice(_METERED if kind == _METER_NAME else _READ, kind, begin_ns, end_ns)
        at_ns = ((trace.t_before_ns + trace.t_after_ns) // 2).tolist()
        every = self.thin.every_reading
        for position, channel in enumerate(trace.channels):
            name = f"{kind} {channel}"
            values = trace.values[:, position].tolist()
            for index in range(0, len(at_ns), every):
                value = values[index]
                if trace.unit == "J":
                    after = min(index + every, len(at_ns) - 1)
                    value = _mean_w(at_ns[index], at_ns[after], value, values[after])
                if math.isfinite(value):  # a failed read is no event
                    yield self._counter(name, "W", at_ns[index], value)

    def _us(self, t_ns: int) -> float:
        return (t_ns - self.strand.origin_ns) / 1000

    def _event(self, phase: str, tid: int, name: str) -> Event:
        # Perfetto takes the number of a thread to be that of one thread of all processes.
        return {"ph": phase, "pid": self.pid, "tid": _MOST_TRACKS * self.pid + tid, "name": name}

    def _meta(self, name: str, tid: int, args: Event) -> Event:
        return {**self._event("M", tid, name), "args": args}

    def _slice(self, tid: int, name: str, start_ns: int, end_ns: int, **args: Any) -> Event:
        found = self._event("X", tid, name)
        found |= {"ts": self._us(start_ns), "dur": (end_ns - start_ns) / 1000}
        return {**found, "args": args} if args else found

    def _instant(self, tid: int, name: str, at_ns: int, args: Event) -> Event:
        return {**self._event("i", tid, name), "s": "t", "ts": self._us(at_ns), "args": args}

    def _counter(self, name: str, unit: str, at_ns: int, value: float) -> Event:
        return {**self._event("C", 0, name), "ts": self._us(at_ns), "args": {unit: value}}


def _mean_w(from_ns: int, to_ns: int, from_j: float, to_j: float) -> float:
    """Return the mean power between two readings of a counter, NaN where there is none."""
    return (to_j - from_j) / ((to_ns - from_ns) * 1e-9) if to_ns > from_ns else math.nan


def _blocks(strand: Strand) -> dict[tuple[int, int], str]:
    """Return what the whole job did, by when."""
    found: dict[tuple[int, int], str] = {}
    for lane in strand.lanes:
        recording = lane.recording
        found |= {line.window_ns: f"idle {line.where}" for line in recording.idle}
        found |= {step.window_ns: "load step" for step in recording.steps}
        for marker in recording.markers:
            edges_ns = marker.edges_ns.tolist()
            for edge in zip(edges_ns[::2], edges_ns[1::2], strict=True):
                found[edge] = f"marker {marker.where}"
    return found


def _moments(recording: Recording) -> list[dict[str, Any]]:
    """Return what was read of the board at once and has a time."""
    found = [{**record, "kind": "health"} for record in recording.health]
    found += [{**record, "kind": "state"} for record in recording.states]
    return [record for record in found if record.get("t_ns")]


def _own_traces(recording: Recording) -> Iterator[PowerTrace]:
    yield from (item.trace for item in recording.rounds if item.trace is not None)
    yield from (line.trace for line in recording.idle if line.trace is not None)
    yield from (step.trace for step in recording.steps)


def _traces(strand: Strand) -> list[tuple[PowerTrace, str]]:
    """Return each trace of a job once, with what its power is called; cases share idle lines."""
    own = "power (estimated)" if strand.estimated else "power"
    found: dict[tuple[str, int], tuple[PowerTrace, str]] = {}
    for lane in strand.lanes:
        for name, traces in ((own, _own_traces(lane.recording)), (_METER_NAME, lane.metered)):
            for trace in traces:
                if trace.t_before_ns.size:
                    found[name, int(trace.t_before_ns[0])] = (trace, name)
    return list(found.values())

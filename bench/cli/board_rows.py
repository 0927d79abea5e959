"""What a probe tells of a board's power sensors and what is known of the board itself, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.boards.jetpack import jetpack
from bench.boards.spec import Board
from bench.records.power import PowerSource
from bench.records.status import Source
from bench.report import format as fmt
from bench.runtimes import ANY_RUNTIME, graph_limits

Row = tuple[str, str]


def board_rows(board: Board, l4t: str | None) -> list[Row]:
    """Return what bench's own data say of a board."""
    rows = [("L4T", f"{l4t}{_jetpack(l4t)}" if l4t else "—")]
    if board.runtimes:
        rows.append(("usual runtimes", ", ".join(board.runtimes)))
    if board.state:
        rows.append(("state is set by", ", ".join(board.state)))
    if board.throttle:
        rows.append(("throttling shows in", "; ".join(board.throttle)))
    return rows


def _jetpack(l4t: str | None) -> str:
    line = jetpack(l4t)
    if line is None:
        return ""
    brings = [f"Python {line.python}", f"CUDA {line.cuda}", f"TensorRT {_read_by(line.tensorrt)}"]
    if line.onnxruntime_gpu is not None:
        wheel = _read_by(line.onnxruntime_gpu, "onnxruntime-cuda")
        brings.append(f"known GPU wheel of ONNX Runtime {wheel}")
    return f" (JetPack {line.name}: {', '.join(brings)})"


def _read_by(version: str, runtime: str = "tensorrt") -> str:
    """Return a version with the newest opset and IR that it reads, where they are known."""
    limits = graph_limits(runtime, version)
    said = [
        f"{name} ≤ {value}"
        for name, value in (("opset", limits.opset), ("IR", limits.ir_version))
        if value < ANY_RUNTIME.opset
    ]
    return f"{version} ({' and '.join(said)})" if said else version


def sensor_row(sensor: Mapping[str, Any], board: Board) -> Row:
    """Return what a sensor is: channels, source, scope, refresh, step, gain, cost of a read."""
    name = f"sensor {sensor['name']}"
    if sensor["problem"]:
        return name, str(sensor["problem"])
    steps = sensor["source"] != Source.ESTIMATED
    channels = ", ".join(_channel(channel, steps=steps) for channel in sensor["channels"])
    gain = sensor.get("gain_error")
    if gain is None and sensor["scope"] is None:
        gain = board.gain_error
    facts = [
        str(sensor["source"]),
        f"scope: {sensor['scope'] or 'of each rail'}",
        "renewed " + _every(sensor),
        "gain error unknown" if gain is None else f"gain within {gain:.0%}",
        "" if sensor["read_s"] is None else f"a read takes {fmt.seconds(sensor['read_s'], 2)}",
    ]
    return name, f"{channels} ({'; '.join(filter(None, facts))})"


def _channel(channel: Mapping[str, Any], *, steps: bool) -> str:
    if channel.get("problem"):
        return f"{channel['name']} ({channel['problem']})"
    step_w, step_j = channel.get("resolution_w"), channel.get("resolution_j")
    if step_w is not None:
        step = f"in steps of {fmt.watts(step_w, 2)}"
    elif step_j is not None:
        step = f"in steps of {fmt.joules(step_j, 2)}"
    elif steps:
        step = "(step unknown)"
    else:
        return str(channel["name"])
    return f"{channel['name']} {step}"


def _every(sensor: Mapping[str, Any]) -> str:
    seconds = sensor.get("refresh_s") or (sensor.get("update_interval_ms") or 0) / 1e3
    return f"every {fmt.seconds(seconds, 2)}" if seconds else "as a run will show"


def power_rows(power: PowerSource) -> list[Row]:
    """Return what energy comes from, and why."""
    total = " + ".join(power.total)
    return [
        ("energy from", f"{power.sensor}: {total} ({power.scope}, {power.source})"),
        ("because", power.why),
    ]

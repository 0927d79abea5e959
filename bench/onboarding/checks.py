"""What one check of ``bench doctor`` says, and the checks of a board's facts (pure functions)."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bench.board_runtimes import PROVIDED
from bench.runtimes import runtimes

MIB = 2**20
LOW_MEMORY_BYTES = 256 * MIB
LOW_DISK_BYTES = 200 * MIB
NO_DISK_BYTES = 20 * MIB
"""Below this not even the agent and a small model fit."""
LOW_HEADROOM_C = 10.0
BUSY_CPUS = 0.1
MOST_OFFSET_S = 2.0

Facts = Mapping[str, Any]


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Check:
    """``found`` is what there is, ``fix`` what helps (empty where nothing needs help).

    ``prevents``: without it nothing can be measured.
    """

    name: str
    result: Result
    found: str
    fix: str = ""
    prevents: bool = False

    @property
    def is_fatal(self) -> bool:
        """Whether this keeps one from measuring."""
        return self.prevents and self.result is Result.FAILED


def passed(name: str, found: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, Result.OK, found)


def failed(name: str, found: str, fix: str, *, prevents: bool = False) -> Check:
    """Return a check that found something wrong."""
    return Check(name, Result.FAILED, found, fix, prevents)


def does_not_apply(name: str, why: str) -> Check:
    """Return a check that there is nothing to check for."""
    return Check(name, Result.NOT_APPLICABLE, why)


def python_checks(device: str, facts: Facts, usual: Collection[str]) -> Iterator[Check]:
    """Yield the checks of Python, numpy and each runtime.

    ``usual``: the runtimes that such a board is expected to serve, if that is known; no other is
    missed there.
    """
    python = facts["python"]
    yield passed("python", f"{python['version']} ({python['executable']})")
    yield _package("numpy", facts["numpy"], _provision(device), prevents=True)
    works = []
    for name, spec in runtimes().items():
        package = facts["runtimes"].get(name)
        fix = spec.fix.format(python=shlex.quote(str(python["executable"])))
        if package is None:
            yield does_not_apply(f"runtime {name}", f"not installed (on the board: {fix})")
        elif package["problem"] and usual and name not in usual:
            yield does_not_apply(f"runtime {name}", str(package["problem"]))
        else:
            check = _package(f"runtime {name}", package, fix)
            works += [name] * (check.result is Result.OK)
            yield check
    if works:
        yield passed("runtimes", ", ".join(works))
    else:
        yield failed("runtimes", "none works", _provision(device), prevents=True)


def _package(name: str, package: Facts | None, fix: str, *, prevents: bool = False) -> Check:
    if package is None:
        return failed(name, "not installed", fix, prevents=prevents)
    if package["problem"]:
        return failed(name, str(package["problem"]), fix, prevents=prevents)
    return passed(name, ", ".join([package["version"], *package.get("providers", ())]))


def _provision(device: str) -> str:
    command = shlex.join(["bench", "devices", "provision", device])
    return f"`{command}` brings numpy and {sorted(PROVIDED - {'numpy'})[0]}"


def room_checks(device: str, facts: Facts) -> Iterator[Check]:
    """Yield the checks of memory and disk."""
    available = facts["memory"]["available_bytes"]
    if available is None:
        yield does_not_apply("memory", "the board does not tell")
    elif available < LOW_MEMORY_BYTES:
        fix = "end what uses it (on the board: `top`, then M); a desktop takes hundreds of MiB"
        yield failed("memory", f"{available // MIB} MiB available", fix)
    else:
        yield passed("memory", f"{available // MIB} MiB available")
    free = facts["disk"]["free_bytes"]
    found = f"{free // MIB} MiB free"
    if free >= LOW_DISK_BYTES:
        yield passed("disk", found)
    else:
        fix = f"`{shlex.join(['bench', 'devices', 'clean', device])}`, or set `work_dir` elsewhere"
        yield failed("disk", found, fix, prevents=free < NO_DISK_BYTES)


def state_checks(facts: Facts, deep: Facts) -> Iterator[Check]:
    """Yield whether power mode, clocks and governor could be set, and what they are."""
    now = {
        "power_mode": facts["state"]["power_mode"] or "unknown",
        "clocks": {True: "pinned", False: "not pinned: they may change"}.get(deep["pinned"], "—"),
        "governor": ", ".join(sorted(set(facts["cpu"]["governor"].values()))) or "—",
    }
    for key, text in now.items():
        name, found = key.replace("_", " "), deep["state"][key]
        if not found["applies"]:
            yield does_not_apply(name, "the board has none that can be set")
        elif found["problem"]:
            yield failed(name, f"{text}; cannot be set", found["problem"])
        else:
            yield passed(name, f"{text}; can be set")
    if facts["state"]["problem"]:
        fix = "put it back by hand as told, then remove the file that is named"
        yield failed("state", facts["state"]["problem"], fix)


def surroundings_checks(facts: Facts, deep: Facts, lock: str) -> Iterator[Check]:
    """Yield the checks of heat, swap, other processes, lock and JetPack.

    ``lock``: the file that devices.yaml names for it.
    """
    yield _heat(facts, deep)
    yield _swap(deep["swap"])
    yield _processes(deep["processes"])
    if facts["lock"]["problem"]:
        fix = f"on the board: `sudo install -m 666 /dev/null {shlex.quote(lock)}`"
        yield failed("lock", facts["lock"]["problem"], fix)
    else:
        yield passed("lock", facts["lock"]["path"])
    packages = deep["jetpack"]
    if packages is None:
        yield does_not_apply("JetPack", "no Jetson")
    elif not any(name.startswith("libnvinfer") for name in packages):
        listed = _versions(packages) or "none of its packages"
        fix = "for TensorRT, on the board: `sudo apt-get install nvidia-jetpack`"
        yield failed("JetPack", f"L4T {facts['os']['l4t']}, {listed}; no TensorRT", fix)
    else:
        yield passed("JetPack", f"L4T {facts['os']['l4t']}, {_versions(packages)}")


def _heat(facts: Facts, deep: Facts) -> Check:
    if not facts["temperature_c"]:
        return does_not_apply("temperature", "no zone can be read")
    zone, hottest = max(facts["temperature_c"].items(), key=lambda item: item[1])
    if not deep["headroom_c"]:
        return passed("temperature", f"{zone} {hottest:.0f} °C; its limits are not known")
    tightest, left = min(deep["headroom_c"].items(), key=lambda item: item[1])
    found = f"{zone} {hottest:.0f} °C; {tightest} has {left:.0f} °C to its limit"
    if left < LOW_HEADROOM_C:
        return failed("temperature", found, "let it cool down, or give it a fan or more air")
    return passed("temperature", found)


def _swap(areas: Sequence[Facts]) -> Check:
    if not areas:
        return passed("swap", "none")
    kinds = sorted({"zram" if "zram" in area["name"] else area["name"] for area in areas})
    used = sum(area["used_bytes"] for area in areas)
    found = f"{', '.join(kinds)}, {used // MIB} MiB in use"
    if used < MIB:
        return passed("swap", found)
    fix = "memory is short: end other programs; to measure without, on the board: `sudo swapoff -a`"
    return failed("swap", found, fix)


def _processes(busy: Sequence[Facts]) -> Check:
    listed = ", ".join(f"{one['name']} ({one['pid']}): {one['cpus']:.0%}" for one in busy)
    if sum(one["cpus"] for one in busy) < BUSY_CPUS:
        return passed("other processes", "quiet")
    return failed("other processes", f"of one CPU: {listed}", "end them before measuring")


def clock_check(offset_s: float, uncertainty_s: float) -> Check:
    """Return the check of the board's clock against this machine's."""
    found = f"{offset_s:+.1f} s ± {uncertainty_s:.1f} s against this machine"
    if abs(offset_s) <= MOST_OFFSET_S + uncertainty_s:
        return passed("clock", found)
    fix = "on the board: `sudo timedatectl set-ntp true`, or without a network `sudo date -s …`"
    return failed("clock", found, fix)


def _versions(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())

"""What many boards cost the host: python scripts/benchmarks/fleet.py simulated|real|faults

``simulated`` (``--boards 10,500``): runs on boards of which only the transport is there, in a
process each; CPU of the host per board and case, which must not grow with the number of boards.

``real`` (``--boards 32``): an sshd of its own on the loopback interface for each board, the real
agent, and a runtime that sleeps in place of computing, so that the boards' own load is small. One
board, then all of them with the same plan: how much longer that takes, and what each further board
and case costs the host in CPU and memory.

``faults`` (``--boards 32 --faulty 10 --seed 1``): the same with faults during the measurement.
Which boards are struck is drawn from the seed, and so are kind (the job is killed, or the link is
cut or frozen for good) and moment (cases and rounds done). All must strike; the latencies of all
other boards must be stored with nothing against them but the load of the boards beside them on this
machine, and what a faulty board had finished must be kept.

Every command prints its figures with the bar beside each, and ends with 1 if one is missed. The
boards' processes run on this machine too (two seconds of CPU each to begin and to end, on as many
cores as it has): that is in the wall time, and boards of one's own would not share it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from fleet_faults import Strike, draw_faults  # noqa: E402
from sleeping_fleet import SleepingFleet  # noqa: E402

CPU_BAR_S = 0.3
MEMORY_BAR_BYTES = 12 * 10**6
WALL_BAR = 1.3
FLAT_BAR = 1.3
STRIKE_BASE_S = 300.0
STRIKE_FACTOR = 5.0
"""Longer than a run of boards takes also on a busy machine, after which no moment is waited for."""

SHARED_MACHINE = {"background-load", "not-steady"}
"""Reasons against a latency that boards of one machine give each other."""


@dataclass
class Bars:
    """Figures against their bars, printed as they come."""

    missed: int = 0

    def hold(self, what: str, value: float, most: float, unit: str = "") -> None:
        """Print a figure that must not be above ``most``."""
        good = value <= most
        self.missed += not good
        print(f"{'ok    ' if good else 'MISSED'} {what}: {value:.3g}{unit} (bar: {most:g}{unit})")

    def require(self, what: str, good: bool, why: str = "") -> None:
        """Print something that must be so."""
        self.missed += not good
        print(f"{'ok    ' if good else 'MISSED'} {what}{'' if good else f': {why}'}")


def simulated(counts: Sequence[int], cases: int, bars: Bars) -> None:
    """CPU per board and case with few and with many boards."""
    per_case = {}
    for count in counts:
        done = subprocess.run(
            [sys.executable, __file__, "one-simulated", str(count), str(cases)],
            check=True,
            capture_output=True,
            text=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        per_case[count] = found["cpu_s"] / (count * cases)
        print(
            f"{count} boards x {cases} cases: {found['wall_s']:.1f} s, CPU per board and case "
            f"{1000 * per_case[count]:.1f} ms, memory {found['rise_bytes'] / 1e6:.1f} MB more"
        )
    few, many = min(counts), max(counts)
    ratio = per_case[many] / per_case[few]
    bars.hold(f"CPU per board and case, {many} to {few} boards", ratio, FLAT_BAR)


def one_simulated(count: int, cases: int) -> None:
    """Run on ``count`` simulated boards in this process; print its figures as JSON."""
    import resource

    from sleeping_fleet import measure_simulated

    with tempfile.TemporaryDirectory() as folder:
        # Imports and the first export are no board's.
        measure_simulated(Path(folder) / "warm", 2, cases)
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = time.monotonic(), time.process_time()
        stored = measure_simulated(Path(folder) / "run", count, cases)
        wall_s, cpu_s = time.monotonic() - began[0], time.process_time() - began[1]
        after = resource.getrusage(resource.RUSAGE_SELF)
    assert stored == count * cases, f"{stored} of {count * cases} cases were stored"
    rise_bytes = 1024 * (after.ru_maxrss - before.ru_maxrss)
    print(json.dumps({"cpu_s": cpu_s, "wall_s": wall_s, "rise_bytes": rise_bytes}))


@dataclass(frozen=True)
class Used:
    """A bench process: what it took and what it stored."""

    code: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    said: str
    trials: list[dict[str, Any]]


def call(fleet: SleepingFleet, devices: Sequence[str]) -> Used:
    """Run the plan on devices, in a process of its own."""
    began_s = time.monotonic()
    with (fleet.folder / "said").open("wb") as said, (fleet.folder / "answer").open("wb") as out:
        process = fleet.start(devices, stdout=out, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    answer = json.loads((fleet.folder / "answer").read_bytes() or b'{"trials": []}')
    return Used(
        process.returncode,
        time.monotonic() - began_s,
        usage.ru_utime + usage.ru_stime,
        1024 * usage.ru_maxrss,
        (fleet.folder / "said").read_text(encoding="utf-8", errors="replace"),
        answer["trials"],
    )


def real(boards: int, models: int, seconds: float, bars: Bars) -> None:
    """One board, then all of them."""
    with fleet_of(boards, models, seconds) as fleet:
        call(fleet, fleet.names[:1])  # fills the artifact cache and pushes to the first board
        fleet.forget_boards()
        one = call(fleet, fleet.names[:1])
        if one.code != 0:
            sys.exit(f"the run of one board ended with {one.code}:\n{one.said}")
        fleet.forget_boards()
        fleet.forget_exports()
        all_of_them = call(fleet, fleet.names)
        more = (boards - 1) * models
        print(
            f"1 board: {one.wall_s:.0f} s, {one.cpu_s:.1f} s CPU, {one.peak_bytes / 1e6:.0f} MB; "
            f"{boards} boards: {all_of_them.wall_s:.0f} s, {all_of_them.cpu_s:.1f} s CPU, "
            f"{all_of_them.peak_bytes / 1e6:.0f} MB"
        )
        stored = len(all_of_them.trials)
        bars.require("exit code 0", all_of_them.code == 0, all_of_them.said[-2000:])
        bars.require("every case of every board", stored == boards * models, f"{stored} stored")
        exported = all_of_them.said.count("computing its reference outputs")
        bars.require("each model exported once", exported == models, f"{exported} exports")
        if one.wall_s < 60:
            print("note: the run of one board is shorter than the 60 s that the bar is for")
        bars.hold("wall time of all to one", all_of_them.wall_s / one.wall_s, WALL_BAR)
        cpu_s = (all_of_them.cpu_s - one.cpu_s) / more
        bars.hold("CPU per further board and case", cpu_s, CPU_BAR_S, " s")
        memory = (all_of_them.peak_bytes - one.peak_bytes) / more / 1e6
        bars.hold("memory per further board and case", memory, MEMORY_BAR_BYTES / 1e6, " MB")


def faults(boards: int, faulty: int, models: int, seconds: float, seed: int, bars: Bars) -> None:
    """Kill, cut and freeze on some of the boards."""
    drawn = draw_faults(seed, boards, faulty, models)
    for fault in drawn:
        print(f"{fault.board}: {fault.kind} after {fault.cases} cases and {fault.rounds} rounds")
    bad = {fault.board for fault in drawn}
    with fleet_of(boards, models, seconds, bad) as fleet:
        strike = Strike(fleet, drawn, within_s=STRIKE_BASE_S + STRIKE_FACTOR * seconds)
        strike.start()
        used = call(fleet, fleet.names)
        strike.stop()
        bars.require(f"all faults of seed {seed} struck", not strike.left, str(strike.left))
        good_trials = [trial for trial in used.trials if trial["case"]["device"] not in bad]
        judged = [trial["latency_status"] for trial in good_trials]
        valid = [verdict for verdict in judged if verdict["status"] == "valid"]
        doubtful = [verdict for verdict in judged if not _sound(verdict)]
        expected = (boards - faulty) * models
        bars.require(
            "all latencies of the other boards are valid, or only disturbed by boards beside them",
            len(good_trials) == expected and not doubtful,
            f"{len(good_trials)} of {expected} cases stored, not so: {doubtful}",
        )
        print(f"{len(valid)} of {expected} of them are valid")
        kept = {
            (trial["case"]["device"], trial["case"]["model"])
            for trial in used.trials
            if trial["case"]["device"] in bad and not fleet.is_cut(trial)
        }
        lost = strike.finished - kept
        bars.require("what faulty boards had finished is kept", not lost, str(sorted(lost)))
        print(
            f"{faulty} of {boards} boards struck after {len(strike.finished)} finished cases; "
            f"{len(kept)} of theirs are stored; exit code {used.code}"
        )


@contextmanager
def fleet_of(
    boards: int, models: int, seconds: float, cabled: Collection[str] = ()
) -> Iterator[SleepingFleet]:
    """Start the boards' servers, and stop them in the end."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = SleepingFleet(Path(folder), boards, models, seconds, cabled)
        try:
            yield fleet
        finally:
            fleet.stop()


def _sound(verdict: dict[str, Any]) -> bool:
    """Whether nothing but the load of this machine speaks against a latency."""
    return verdict["status"] == "valid" or (
        verdict["status"] == "inconclusive" and set(verdict["reasons"]) <= SHARED_MACHINE
    )


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["simulated", "real", "faults", "one-simulated"])
    parser.add_argument("numbers", nargs="*", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--boards", default=None, help="32; of simulated ones 10,500")
    parser.add_argument("--faulty", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    parser.add_argument("--cases", type=int, default=2, help="models that each board measures")
    parser.add_argument("--seconds", type=float, default=60.0, help="of rounds per board, about")
    asked = parser.parse_args()
    bars = Bars()
    if asked.what == "one-simulated":
        one_simulated(*asked.numbers)
    elif asked.what == "simulated":
        counts = [int(text) for text in (asked.boards or "10,500").split(",")]
        simulated(counts, asked.cases, bars)
    elif asked.what == "real":
        real(int(asked.boards or 32), asked.cases, asked.seconds, bars)
    else:
        faults(int(asked.boards or 32), asked.faulty, asked.cases, asked.seconds, asked.seed, bars)
    return 1 if bars.missed else 0


if __name__ == "__main__":
    sys.exit(main())

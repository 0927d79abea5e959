"""One campaign: a run that is struck again and again, and taken up again as its user would."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import fault_checks
from fault_kinds import Fault, draw_fault
from fault_site import Site

RUN = ("run", "--plan", "plan.yaml", "--device", "board")
CLEAN = ("devices", "clean", "board", "--yes")
COMMAND_LIMIT_S = 600.0
MOST_COMMANDS = 12
MOST_RUNS = 2
AT_ONCE = (1, 2, 3, 3, 4, 5)
"""How many faults are drawn for one command, each as likely as the others."""
RECOVERY_TRIES = 6
LEFT_OVER_S = 10.0
POLL_S = 0.02


@dataclass(slots=True)
class Injection:
    """A fault that struck: in which command (counted from 0), and the job that ran then.

    ``lost``: journal records that are gone because of it; ``problems``: what else went wrong.
    """

    fault: Fault
    command: int
    job_id: str | None
    lost: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Campaign:
    """``injections`` in the order in which they struck; ``said``: every command with its end."""

    number: int
    folder: Path
    injections: list[Injection] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What went wrong where nothing had struck."""

    @property
    def held(self) -> bool:
        """Whether nothing was lost and nothing else went wrong."""
        return not self.problems and not any(item.lost or item.problems for item in self.injections)

    def blame(self, text: str, command: int | None = None) -> None:
        """Charge something that went wrong to what struck in a command, else to the last fault."""
        struck = [item for item in self.injections if item.command == command]
        for item in struck or self.injections[-1:]:
            item.problems.append(text)
        if not self.injections:
            self.problems.append(text)


class Ended(Exception):
    """The suite is to end before it is done."""


def run_campaign(
    number: int, draw: random.Random, folder: Path, faults: int, end: threading.Event
) -> Campaign:
    """Strike a run up to ``faults`` times, recover everything and check what there is.

    Raises:
        Ended: ``end`` was set; nothing is left running.
    """
    folder.mkdir(parents=True)
    campaign = Campaign(number, folder)
    site = Site(folder, draw)
    try:
        runner = _Runner(campaign, site, draw, end)
        runner.under_fire(faults)
        runner.recover()
        site.witness.look()
        _check(campaign, site)
    except Ended:
        raise
    except Exception as error:  # one campaign that breaks must not take the others with it
        campaign.blame(f"the campaign broke: {type(error).__name__}: {error}")
        campaign.said.append(traceback.format_exc())
    finally:
        site.close()
        (folder / "campaign.txt").write_text("\n".join([*campaign.said, ""]))
    return campaign


class _Runner:
    """Calls bench, with faults or without."""

    def __init__(
        self, campaign: Campaign, site: Site, draw: random.Random, end: threading.Event
    ) -> None:
        self._campaign = campaign
        self._site = site
        self._draw = draw
        self._end = end

    def under_fire(self, faults: int) -> None:
        """Call bench as a user who does not give up, until so many faults have struck."""
        for _ in range(MOST_COMMANDS):
            left = faults - len(self._campaign.injections)
            if left <= 0:
                return
            drawn = [draw_fault(self._draw) for _ in range(self._draw.choice(AT_ONCE))]
            self._call(self._next_command(), drawn[:left])

    def recover(self) -> None:
        """Collect and measure undisturbed what is left to be, for every run."""
        for _ in range(RECOVERY_TRIES):
            runs = fault_checks.stored_runs(self._site.results)
            if not runs:
                self._call(RUN, ())
            elif any(run.to_collect() for run in runs):
                self._call(("attach",), ())
            elif open_runs := [run for run in runs if run.unfinished()]:
                self._call(("run", "--resume", open_runs[0].path.name), ())
            else:
                return
        for run in fault_checks.stored_runs(self._site.results):
            if run.to_collect() or run.unfinished():
                self._campaign.blame(
                    f"{run.path.name} could not be completed: {run.unfinished()} are unfinished, "
                    f"{run.to_collect()} not collected"
                )

    def _next_command(self) -> tuple[str, ...]:
        runs = fault_checks.stored_runs(self._site.results)
        open_runs = [run for run in runs if run.to_collect() or run.unfinished()]
        if not open_runs or (len(runs) < MOST_RUNS and self._draw.random() < 0.15):
            return RUN
        if self._draw.random() < 0.1:
            return CLEAN
        chosen = self._draw.choice(open_runs)
        if chosen.to_collect() and self._draw.random() < 0.5:
            return ("attach", *self._draw.choice(((), (chosen.path.name,))))
        return ("run", "--resume", chosen.path.name)

    def _call(self, command: tuple[str, ...], faults: Sequence[Fault]) -> None:
        """Call bench, let the faults strike when they are due, and judge how it ended."""
        began = time.monotonic()
        number = len(self._campaign.said)
        host = self._site.program.start(*command)
        pending = sorted(faults, key=lambda fault: fault.after_s)
        # Faults may also strike a job whose host has been gone for a moment.
        linger_s = self._draw.uniform(0.0, 1.5)
        since_s = {"command": began}
        journals = self._stored_journals()
        ends_s = None
        with ThreadPoolExecutor(1) as pool:
            output = pool.submit(host.communicate)
            while ends_s is None or (pending and time.monotonic() < ends_s):
                self._site.tick()
                now = time.monotonic()
                if ends_s is None and output.done():
                    ends_s = now + linger_s
                if self._site.processes.running() is not None:
                    since_s.setdefault("job", now)
                if self._stored_journals() - journals:
                    since_s.setdefault("journal", now)
                for fault in list(pending):
                    if fault.event in since_s and now >= since_s[fault.event] + fault.after_s:
                        self._strike(fault, number, host, pending)
                if self._end.is_set():
                    host.kill()
                    raise Ended
                if now > began + COMMAND_LIMIT_S:
                    host.kill()
                    self._campaign.blame(f"{command} did not end", number)
                    break
                time.sleep(POLL_S)
            self._site.mend()
            stderr = output.result()[1]
        self._judge(command, number, host.returncode, stderr, time.monotonic() - began)

    def _stored_journals(self) -> set[Path]:
        return set(self._site.results.glob("*/journals/*"))

    def _strike(self, fault: Fault, number: int, host: Popen[str], pending: list[Fault]) -> None:
        running = self._site.processes.running()
        if self._site.strike(fault, host):
            pending.remove(fault)
            job_id = None if running is None else running[0]
            self._campaign.injections.append(Injection(fault, number, job_id))

    def _judge(
        self, command: tuple[str, ...], number: int, code: int, stderr: str, took_s: float
    ) -> None:
        """Hold how a command ended against what the README says of it."""
        campaign = self._campaign
        struck = [item.fault for item in campaign.injections if item.command == number]
        kinds = {fault.kind for fault in struck}
        campaign.said.append(
            f"#{number} bench {' '.join(command)}: exit {code} after {took_s:.1f} s; struck: "
            + ", ".join(
                f"{fault.kind} at {fault.event} + {fault.after_s:.2f} s" for fault in struck
            )
            + "\n"
            + stderr
        )
        if "Traceback" in stderr:
            campaign.blame(f"{' '.join(command)} ended with a traceback", number)
        runs = fault_checks.stored_runs(self._site.results)
        expected = {
            -9: "host" in kinds,
            130: "interrupt" in kinds,
            4: "\nbench: " in f"\n{stderr}",
            1: any(run.failed() for run in runs),
            0: code == 0 and not self._lacks_something(command),
        }
        if not expected.get(code, False):
            last = stderr.strip().splitlines()[-1:]
            campaign.blame(f"{' '.join(command)} ended with exit code {code}: {last}", number)

    def _lacks_something(self, command: tuple[str, ...]) -> bool:
        """Whether the run that a command is about has a case that failed or was not measured."""
        runs = fault_checks.stored_runs(self._site.results)
        named = [run for run in runs if run.path.name in command]
        if command == CLEAN or (command[0] == "attach" and not named):
            return False
        return bool((named or runs)[-1].failed())


def _check(campaign: Campaign, site: Site) -> None:
    lines = site.witness.lines
    for job_id, gone in fault_checks.lost(lines, site.results).items():
        struck = [item for item in campaign.injections if item.job_id == job_id]
        for item in (struck or campaign.injections)[-1:]:
            item.lost += gone
    for text in fault_checks.measured_twice(lines, site.results):
        campaign.blame(text)
    kinds = [item.fault.kind for item in campaign.injections]
    for text in fault_checks.unexplained(site.results, kinds):
        campaign.blame(text)
    deadline = time.monotonic() + LEFT_OVER_S
    while (left := fault_checks.left_over(site.work_dir)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for text in left:
        campaign.blame(text)

"""``scripts/fault-suite light``: random faults in runs on boards that this machine plays itself."""

from __future__ import annotations

import argparse
import itertools
import os
import random
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from fault_campaign import Campaign, Ended, Injection, run_campaign
from fault_kinds import KINDS
from fault_table import FaultRow, print_table
from rich.console import Console

FEWEST, MOST = 10, 14
"""Faults that one campaign is struck by."""
SHOWN_PROBLEMS = 10
EXIT_BROKEN, EXIT_ENDED = 1, 130
JOBS = 2 * (os.cpu_count() or 1)
"""Most of a campaign is waiting."""


def main(argv: Sequence[str]) -> int:
    """Run campaigns until enough faults have struck, print the table; 0 when all of them held."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    suite = _Suite(seed, options.injections, Path(tempfile.mkdtemp(prefix="fault-suite-")))
    if options.campaign is None:
        campaigns = suite.run(options.jobs)
    else:
        campaigns = [suite.campaign(options.campaign)]
    injections = [item for campaign in campaigns for item in campaign.injections]
    title = f"light tier, seed {seed}, {len(campaigns)} campaigns"
    held = print_table(title, [_row(kind, injections) for kind in KINDS])
    if not (held and all(campaign.held for campaign in campaigns)):
        return EXIT_BROKEN
    shutil.rmtree(suite.folder)
    return EXIT_ENDED if suite.was_ended else 0


class _Suite:
    """Campaigns with numbers; number and seed settle what is drawn for one."""

    def __init__(self, seed: int, injections: int, folder: Path) -> None:
        self.folder = folder
        self._seed = seed
        self._wanted = injections
        self._struck = 0
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._console = Console(stderr=True)

    def run(self, jobs: int) -> list[Campaign]:
        """Run campaigns side by side until enough faults have struck."""
        with ThreadPoolExecutor(jobs) as pool:
            found = [pool.submit(self._until_enough) for _ in range(jobs)]
            try:
                wait(found)
            except KeyboardInterrupt:
                self._end.set()
        campaigns = [campaign for future in found for campaign in future.result()]
        return sorted(campaigns, key=lambda campaign: campaign.number)

    @property
    def was_ended(self) -> bool:
        """Whether Ctrl-C ended it before enough faults had struck."""
        return self._end.is_set()

    def campaign(self, number: int) -> Campaign:
        """Run one campaign and say how it went."""
        draw = random.Random(f"{self._seed} {number}")
        folder = self.folder / f"campaign-{number}"
        faults = draw.randint(FEWEST, MOST)
        campaign = run_campaign(number, draw, folder, faults, self._end)
        if campaign.held:
            shutil.rmtree(folder)
        with self._lock:
            self._struck += len(campaign.injections)
            self._tell(campaign)
        return campaign

    def _until_enough(self) -> list[Campaign]:
        done = []
        with suppress(Ended):
            while self._struck < self._wanted:
                done.append(self.campaign(next(self._numbers)))
        return done

    def _tell(self, campaign: Campaign) -> None:
        say = self._console.print
        kinds = " ".join(item.fault.kind for item in campaign.injections)
        held = "held" if campaign.held else "BROKE"
        say(f"{self._struck}/{self._wanted} campaign {campaign.number} {held}: {kinds}")
        if campaign.held:
            return
        say(f"  scripts/fault-suite light --seed {self._seed} --campaign {campaign.number}")
        say(f"  everything is kept in {campaign.folder}")
        texts = [*campaign.problems]
        for item in campaign.injections:
            texts += [f"{item.fault.kind}: LOST {text}" for text in item.lost]
            texts += [f"{item.fault.kind}: {text}" for text in item.problems]
        for text in list(dict.fromkeys(texts))[:SHOWN_PROBLEMS]:
            say(f"  {text}", markup=False, soft_wrap=True)


def _row(kind: str, injections: Sequence[Injection]) -> FaultRow:
    """The row of a kind; its note tells how many struck while a job was running."""
    struck = [item for item in injections if item.fault.kind == kind]
    measuring = sum(item.job_id is not None for item in struck)
    return FaultRow(
        fault=KINDS[kind],
        injected=len(struck),
        survived=sum(not item.problems and not item.lost for item in struck),
        lost=sum(len(item.lost) for item in struck),
        note=f"{measuring} while a job ran" if struck else "",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fault-suite light", description=__doc__)
    parser.add_argument("--injections", type=int, default=200, help="faults, at least (200)")
    parser.add_argument("--seed", type=int, help="settles what is drawn (default: a random one)")
    parser.add_argument(
        "--jobs", type=int, default=JOBS, help=f"campaigns at once ({JOBS}: two per CPU)"
    )
    parser.add_argument("--campaign", type=int, help="only this campaign of the seed")
    return parser

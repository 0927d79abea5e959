"""Proves the measuring code on quantities whose truth is known, without a board.

The reading, integrating and interval code is the one that measures: the agent's sensor and sampler
read a fake sysfs tree, the analysis evaluates what they read. Beside it run estimators that are
known to be wrong; a self-test that they pass proves nothing, so that is a failure too.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.selftest.energy import coverage_of, energy_grid, special_rows
from bench.selftest.latency import latency_findings
from bench.selftest.mistakes import MISTAKES, Tally
from bench.selftest.outcome import Coverage, Finding, Row, WrongEstimator
from bench.selftest.real_time import real_time_rows

__all__ = ["CHECKS", "Coverage", "Finding", "Row", "WrongEstimator", "energy_findings"]


def energy_findings() -> Iterator[Finding]:
    """Yield every energy row (simulated, then in real time), their coverage, then the mistakes.

    Raises:
        TooBusy: this machine could not play a waveform in real time.
    """
    tallies = [Tally(mistake) for mistake in MISTAKES]
    gross, net = [], []
    for rows in (energy_grid(), special_rows()):
        for measured in rows:
            yield measured.row
            gross.append(measured.row)
            net.append(measured.net)
            for tally in tallies:
                tally.add(measured)
    yield from net
    yield from real_time_rows()
    yield coverage_of(gross, "energy of all simulated rows")
    yield coverage_of(net, "net energy of all simulated rows")
    for tally in tallies:
        yield tally.result()


CHECKS = {"energy": energy_findings, "latency": latency_findings}

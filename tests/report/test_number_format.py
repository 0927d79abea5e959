"""Numbers as people read them."""

from __future__ import annotations

import pytest
from trial_figures import energy_stats

from bench.records.power import EnergyStats
from bench.records.status import Reason, Source, Status, Verdict
from bench.report import format as fmt


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (None, "—"),
        (60.4e-6, "60.4 µs"),
        (999.9e-6, "1000 µs"),
        (6.2171e-3, "6.22 ms"),
        (0.0123456, "12.3 ms"),
        (2.0, "2.00 s"),
        (345.6, "346 s"),
        (0.0, "0 s"),
    ],
)
def test_seconds(value_s, text):
    assert fmt.seconds(value_s) == text


def test_other_units():
    assert fmt.watts(4.2) == "4.20 W"
    assert fmt.watts(0.0042) == "4.20 mW"
    assert fmt.size(9_200_000) == "8.77 MiB"
    assert fmt.size(None) == "—"
    assert fmt.joules(1234.5) == "1234 J"


def energy(**changes) -> EnergyStats:
    return energy_stats(0.0456, **{"uncertainty_j": 0.0012, "power_w": 7.2, **changes})


def test_energy_says_when_it_is_estimated():
    assert fmt.energy(energy()) == "45.6 ± 1.2 mJ"
    estimate = energy(source=Source.ESTIMATED, sensor="estimate", scope="model of CPU time")
    assert fmt.energy(estimate) == "est. 45.6 ± 1.2 mJ"
    assert fmt.power(estimate) == "est. 7.20 W"
    assert fmt.source(estimate) == "estimated · model of CPU time"
    assert fmt.source(energy()) == "measured · module · ina3221"


def test_unknown_is_a_dash_and_never_zero():
    assert fmt.energy(None) == fmt.net_energy(None) == fmt.power(None) == fmt.source(None) == "—"
    assert fmt.net_energy(energy()) == "—"
    assert fmt.energy(energy(uncertainty_j=None)) == "45.6 mJ"
    assert fmt.median(None) == "—"


def test_verdict_words():
    failed = Verdict(status=Status.FAILED, reasons=(Reason.OUT_OF_MEMORY,))
    assert fmt.verdict(failed) == "failed: out of memory"
    assert fmt.verdict(Verdict(status=Status.VALID)) == ""


def test_names_cannot_break_a_line():
    assert fmt.plain("a\nb\x00c") == "a�b�c"

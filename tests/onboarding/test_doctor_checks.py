"""`bench doctor`: what it makes of a board's room and of whether its state can be set."""

from __future__ import annotations

from typing import Any

import pytest

from bench.onboarding.checks import MIB, Check, Result, room_checks, state_checks

OK, FAILED, NOT = Result.OK, Result.FAILED, Result.NOT_APPLICABLE


def by_name(*checks: Check) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.mark.parametrize(
    ("available_mib", "result", "found", "fix"),
    [
        (None, NOT, "does not tell", ""),
        (256, OK, "256 MiB available", ""),
        (255, FAILED, "255 MiB available", "end what uses it"),
        (0, FAILED, "0 MiB available", "end what uses it"),
    ],
)
def test_memory(available_mib: int | None, result: Result, found: str, fix: str) -> None:
    available = None if available_mib is None else available_mib * MIB
    facts = {"memory": {"available_bytes": available}, "disk": {"free_bytes": 2**30}}
    check = by_name(*room_checks("nano", facts))["memory"]
    assert (check.result, check.is_fatal) == (result, False)
    assert found in check.found
    assert fix in check.fix and bool(check.fix) == bool(fix)


@pytest.mark.parametrize(
    ("free_mib", "result", "prevents"),
    [(200, OK, False), (199, FAILED, False), (20, FAILED, False), (19, FAILED, True)],
)
def test_disk(free_mib: int, result: Result, prevents: bool) -> None:
    facts = {"memory": {"available_bytes": 2**30}, "disk": {"free_bytes": free_mib * MIB}}
    check = by_name(*room_checks("my nano", facts))["disk"]
    assert (check.result, check.is_fatal) == (result, prevents)
    assert check.found == f"{free_mib} MiB free"
    assert ("`bench devices clean 'my nano'`" in check.fix) == (result is FAILED)


REFUSED = "`sudo -n` was refused: add the line: me ALL=(root) NOPASSWD: /usr/sbin/nvpmodel"
SETTABLE = {"applies": True, "problem": None}
ABSENT = {"applies": False, "problem": None}


def states(found: dict[str, Any], pinned: bool | None, problem: str | None) -> dict[str, Check]:
    facts = {
        "state": {"power_mode": "MAXN", "problem": problem},
        "cpu": {"governor": {"cpu0": "schedutil", "cpu1": "schedutil"}},
    }
    deep = {"state": dict.fromkeys(("power_mode", "clocks", "governor"), found), "pinned": pinned}
    return by_name(*state_checks(facts, deep))


@pytest.mark.parametrize(
    ("found", "result", "words", "fix"),
    [
        (SETTABLE, OK, "can be set", ""),
        ({"applies": True, "problem": REFUSED}, FAILED, "cannot be set", REFUSED),
        (ABSENT, NOT, "the board has none that can be set", ""),
    ],
)
def test_whether_the_state_can_be_set(
    found: dict[str, Any], result: Result, words: str, fix: str
) -> None:
    checks = states(found, False, None)
    assert list(checks) == ["power mode", "clocks", "governor"]
    for check in checks.values():
        assert (check.result, check.fix, check.is_fatal) == (result, fix, False)
        assert check.found.endswith(words)


@pytest.mark.parametrize(
    ("pinned", "words"), [(True, "pinned;"), (False, "not pinned: they may change;"), (None, "—;")]
)
def test_what_the_state_is_now(pinned: bool | None, words: str) -> None:
    checks = states(SETTABLE, pinned, None)
    assert checks["clocks"].found.startswith(words)
    assert checks["power mode"].found == "MAXN; can be set"
    assert checks["governor"].found == "schedutil; can be set"


def test_a_state_that_an_earlier_job_left_behind_is_told() -> None:
    left = "the board's state from before a job is not restored (w/state.json has it): no sudo"
    check = states(SETTABLE, False, left)["state"]
    assert (check.result, check.found) == (FAILED, left)
    assert "put it back by hand" in check.fix

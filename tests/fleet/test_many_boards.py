"""Many boards in one run: each for itself, exports once, failures tried again, cases shared out."""

from __future__ import annotations

import json
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.board_spread import pool_spread
from bench.analysis.compare import compare
from bench.analysis.conditions import subject
from bench.errors import DeviceError, HangError, LeaseError, StoreError, TransportError
from bench.export import onnx_files
from bench.records.status import Reason, Status, Verdict
from bench.run.uploads import Uploads

from .conftest import Fleet

NAMES = tuple(f"b{number}" for number in range(12))


def test_every_board_measures_every_case_and_each_is_exported_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups: list[str] = []
    real = onnx_files.ArtifactCache.find

    def counting(cache: Any, key: Any) -> Any:
        lookups.append(key["name"])
        return real(cache, key)

    monkeypatch.setattr(onnx_files.ArtifactCache, "find", counting)
    fleet.add(*NAMES)
    outcome = fleet.measure(fleet.plan("one", "two"))
    assert not outcome.device_errors
    assert {(trial.case.device, trial.case.model) for trial in outcome.run.trials} == {
        (name, model) for name in NAMES for model in ("one", "two")
    }
    # Once when the plan is looked into, once for all boards.
    assert sorted(lookups) == ["one", "one", "two", "two"]
    assert outcome.run.manifest.probes.keys() == set(NAMES)
    assert not (outcome.run.path / "live.json").exists()


def test_a_job_that_dies_is_tried_again_with_what_is_left(fleet: Fleet) -> None:
    fleet.add("good", "weak")
    fleet.boards["weak"].dying = 1
    settings = {"weak": {"on_hang": "true --password secret"}}
    outcome = fleet.measure(fleet.plan("one", "two"), settings)
    assert not outcome.device_errors and not outcome.run.missing
    weak = [trial for trial in outcome.run.trials if trial.case.device == "weak"]
    assert [trial.attempt for trial in weak] == [1, 1]
    assert all(Reason.INTERRUPTED not in trial.latency_status.reasons for trial in weak)
    assert {trial.attempt for trial in outcome.run.trials if trial.case.device == "good"} == {0}
    (resumption,) = outcome.run.manifest.resumptions
    assert resumption.devices.keys() == {"weak"} and "weak failed" in resumption.reason
    assert resumption.devices["weak"]["on_hang"]["command"] == ["true"]
    assert [item.kind for item in outcome.run.manifest.incidents] == ["failed"]


def test_two_failures_in_a_row_put_a_board_aside_and_the_others_go_on(fleet: Fleet) -> None:
    fleet.add("good", "weak", "gone")
    fleet.boards["weak"].dying = 5
    fleet.boards["gone"].gone = True
    outcome = fleet.measure(fleet.plan("one"))
    assert outcome.device_errors.keys() == {"weak", "gone"}
    assert isinstance(outcome.device_errors["gone"], TransportError)
    for name, error in outcome.device_errors.items():
        assert str(error).count("put aside after 2 failures in a row") == 1
        assert outcome.run.manifest.device_errors[name] == str(error)
    assert fleet.boards["weak"].asked.count("start") == 2
    kinds = [item.kind for item in outcome.run.manifest.incidents if item.device == "weak"]
    assert kinds == ["failed", "put aside"]
    assert [case.device for case in outcome.run.missing] == ["gone"]
    assert fleet.witness.problems["good"] == ""


def test_a_model_that_a_board_does_not_stand_costs_no_other_model(fleet: Fleet) -> None:
    fleet.add("board")
    fleet.boards["board"].dying = 1
    outcome = fleet.measure(fleet.plan("one", "two", "three", per_model=True))
    assert not outcome.device_errors
    done = [(trial.case.model, trial.attempt) for trial in fleet.witness.trials[1:]]
    # The first one dies; it comes last when the board is tried again.
    assert done == [("two", 1), ("three", 1), ("one", 1)]
    assert len(list((outcome.run.path / "jobs").iterdir())) == 4


def test_give_up_after_is_each_board_s_own(fleet: Fleet) -> None:
    fleet.add("patient", "strict")
    for board in fleet.boards.values():
        board.dying = 3
    settings = {"patient": {"give_up_after": 4}, "strict": {"give_up_after": 1}}
    outcome = fleet.measure(fleet.plan("one"), settings)
    assert outcome.device_errors.keys() == {"strict"}
    assert "put aside" not in str(outcome.device_errors["strict"])
    assert fleet.boards["strict"].asked.count("start") == 1
    assert fleet.boards["patient"].asked.count("start") == 4


def test_what_will_not_pass_is_not_tried_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.add("busy")

    def refuse(*_: object) -> None:
        raise LeaseError("the board is busy", job_id="x", left_s=None)

    monkeypatch.setattr("simulated_board.SimulatedTransport._start", refuse)
    outcome = fleet.measure(fleet.plan("one"))
    assert isinstance(outcome.device_errors["busy"], LeaseError)
    assert fleet.boards["busy"].asked.count("start") == 1


def test_a_resumed_run_tries_again_too(fleet: Fleet) -> None:
    fleet.add("weak")
    fleet.boards["weak"].dying = 2
    plan = fleet.plan("one", "two")
    first = fleet.measure(plan, {"weak": {"give_up_after": 1}})
    assert [trial.attempt for trial in first.run.trials] == [0, 0]
    outcome = fleet.resume(first.run)
    assert not outcome.device_errors
    assert [trial.attempt for trial in outcome.run.trials] == [2, 2]
    assert [bool(item.reason) for item in outcome.run.manifest.resumptions] == [False, True]


def power_cycler(fleet: Fleet, name: str) -> tuple[list[str], Path]:
    """A command for ``on_hang`` that leaves a mark, at which the board comes back."""
    mark = fleet.folder / f"{name}-was-cycled"
    code = "import os, sys; open(sys.argv[1], 'a').write(os.environ['BENCH_DEVICE'] + ' ')"
    return [sys.executable, "-c", code, str(mark)], mark


def bring_back(fleet: Fleet, name: str, mark: Path, done: threading.Event) -> None:
    while not done.wait(0.01):
        if mark.exists():
            fleet.boards[name].gone = False
            return


def test_a_hung_board_is_power_cycled_once_and_its_part_is_measured(fleet: Fleet) -> None:
    fleet.add("good", "hung")
    fleet.boards["hung"].gone = True
    command, mark = power_cycler(fleet, "hung")
    done = threading.Event()
    back = threading.Thread(target=bring_back, args=(fleet, "hung", mark, done))
    back.start()
    remedy = {"command": command, "after_s": 0.05, "boot_s": 10}
    outcome = fleet.measure(fleet.plan("one"), {"hung": {"on_hang": remedy}})
    done.set()
    back.join()
    assert not outcome.device_errors
    assert mark.read_text() == "hung "
    # Arguments may hold a password for the switch: the program is kept, and nothing else.
    assert outcome.run.manifest.devices["hung"]["on_hang"]["command"] == [sys.executable]
    kept = [path for path in outcome.run.path.rglob("*") if path.is_file()]
    assert not any(str(mark).encode() in path.read_bytes() for path in kept)
    incidents = [item for item in outcome.run.manifest.incidents if item.device == "hung"]
    assert [item.kind for item in incidents] == ["failed", "power-cycled"]
    assert "it answered after" in incidents[1].text


def test_power_cycling_is_bounded_and_what_fails_is_told(fleet: Fleet) -> None:
    fleet.add("hung")
    fleet.boards["hung"].gone = True
    remedy = {"command": "no-such-relay --off 3", "after_s": 0, "boot_s": 0.05, "times": 1}
    settings = {"hung": {"on_hang": remedy, "give_up_after": 4}}
    outcome = fleet.measure(fleet.plan("one"), settings)
    assert "put aside after 4 failures" in str(outcome.device_errors["hung"])
    cycled = [item for item in outcome.run.manifest.incidents if item.kind == "power-cycled"]
    assert [item.text for item in cycled] == [
        "on_hang: cannot run no-such-relay: No such file or directory"
    ]


def test_cases_are_shared_out_and_the_boards_show_how_they_differ(fleet: Fleet) -> None:
    for number, name in enumerate(NAMES[:4]):
        fleet.add(name, latency_factor=1 + 0.02 * number)
    fleet.add("dead")
    fleet.boards["dead"].gone = True
    models = [f"m{number}" for number in range(9)]
    outcome = fleet.measure(fleet.plan(*models), spread=True)
    run = outcome.run
    assert outcome.device_errors.keys() == {"dead"}
    assert not [case for case in run.manifest.cases if case.device == "dead"]
    (pool,) = run.manifest.pools
    assert set(pool.devices) == set(NAMES[:4]) and pool.kind.startswith("acme,simulated")
    shared = [trial.case.device for trial in run.trials if trial.case.key == pool.shared]
    assert sorted(shared) == sorted(pool.devices)
    others = [trial.case.model for trial in run.trials if trial.case.key != pool.shared]
    assert sorted(others) == sorted(set(models) - {"m0"})
    counts = [sum(case.device == name for case in run.manifest.cases) for name in pool.devices]
    assert max(counts) - min(counts) <= 1


def test_what_differs_in_scheme_alone_stays_on_one_board(fleet: Fleet) -> None:
    fleet.add("b0", "b1")
    outcome = fleet.measure(fleet.plan("one", "two", threads=(1, 2)), spread=True)
    (pool,) = outcome.run.manifest.pools
    assert pool.shared == "one/dense/onnxruntime/fp32/b1/t1"
    assert len(outcome.run.trials) == 5


def test_comparing_boards_of_one_kind_allows_for_what_they_differ_by(fleet: Fleet) -> None:
    for number, name in enumerate(NAMES[:4]):
        fleet.add(name, latency_factor=1 + 0.02 * number)
    run = fleet.measure(fleet.plan("m0", "m1", "m2", "m3", "m4"), spread=True).run
    (pool,) = run.manifest.pools
    valid = Verdict(status=Status.VALID)
    clean = [trial.model_copy(update={"latency_status": valid}) for trial in run.trials]
    spread = pool_spread(pool, clean)
    # s of four boards 2 % apart is 2.5 %, t is 3.18 with four, and √2 for two of them.
    assert spread["latency"] == pytest.approx(0.12, abs=0.02)
    assert not pool_spread(pool, clean[:2])
    one = next(trial for trial in clean if trial.case.key != pool.shared)
    two = next(
        trial
        for trial in clean
        if trial.case.key != pool.shared and trial.case.device != one.case.device
    )
    sides = [replace(subject(trial, run.manifest), spread=spread) for trial in (one, two)]
    shown = compare(*sides, 0.01).quantities[0]
    assert shown.between_boards == spread["latency"] and shown.between_runs is None
    assert "between boards of one kind" in shown.why
    plain = [subject(trial, run.manifest) for trial in (one, two)]
    assumed = compare(*plain, 0.01).quantities[0]
    assert (assumed.between_boards, assumed.between_runs) == (0.10, 0.09)
    stated = compare(*sides, 0.01, 0.0, 0.03).quantities[0]
    assert (stated.between_boards, stated.between_runs) == (0.03, None)
    declined = compare(*sides, 0.01, 0.0, 0.0)
    assert declined.one_kind and declined.quantities[0].between_boards is None


def test_a_board_of_its_own_kind_measures_everything(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.add("b0", "b1", "lone")
    real = fleet.boards["lone"].connect

    def other() -> Any:
        transport = real()
        probe = json.loads(json.dumps(transport._probe()))
        probe["memory"]["total_bytes"] *= 2
        transport._probe = lambda *_: probe
        return transport

    monkeypatch.setattr(fleet.boards["lone"], "connect", other)
    run = fleet.measure(fleet.plan("one", "two", "three"), spread=True).run
    assert sum(trial.case.device == "lone" for trial in run.trials) == 3
    assert [set(pool.devices) for pool in run.manifest.pools] == [{"b0", "b1"}]


def test_spread_without_a_board_that_answers_is_that_board_s_error(fleet: Fleet) -> None:
    fleet.add("b0", "b1")
    for board in fleet.boards.values():
        board.gone = True
    said = r"no board answered, .*: b0: cannot reach .*; b1: cannot reach [^\n]*$"
    with pytest.raises(DeviceError, match=said):
        fleet.measure(fleet.plan("one"), spread=True)
    assert not (fleet.folder / "results").exists()


def test_a_disk_that_runs_full_is_one_error_and_the_boards_keep_their_journals(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.add(*NAMES)
    written: list[Path] = []
    real = __import__("bench.store.writer", fromlist=["write_atomic"]).write_atomic

    def full(path: Path, data: bytes) -> None:
        if path.parent.name == "journals":
            written.append(path)
            if len(written) > 4:
                raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr("bench.store.writer.write_atomic", full)
    with pytest.raises(StoreError, match="No space left on device") as caught:
        fleet.measure(fleet.plan("one"))
    assert "nothing measured is lost" in str(caught.value) and "\n" not in str(caught.value)
    collected = [
        name
        for name, board in fleet.boards.items()
        if any(path.endswith("/collected") for path in board.files)
    ]
    assert len(collected) == 4


def test_uploads_are_bounded_and_a_stalled_one_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.run.uploads.PATIENCE_S", 0.4)
    slots, cancel, told = Uploads(1), threading.Event(), []

    def second() -> None:
        with slots.slot(cancel, lambda: told.append("second")):
            told.append("went ahead")

    with slots.slot(cancel, lambda: told.append("first")):
        second()
    with slots.slot(cancel, lambda: told.append("third")):
        pass
    assert told == ["second", "went ahead"]


OTHERS = {
    "job_id": "of-somebody-else",
    "pid": 1,
    "owner": "ada@desk",
    "user": "ada",
    "since_wall_s": 1.0,
    "left_s": 0.0,
}


def test_a_board_that_is_slow_since_somebody_else_measures_there_is_not_power_cycled(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.add("slow")
    command, mark = power_cycler(fleet, "slow")

    def slow(*_: object) -> None:
        raise HangError("python3 took longer than 120 s and was ended")

    busy: dict[str, Any] = {"jobs": [], "busy": OTHERS}
    monkeypatch.setattr("simulated_board.SimulatedTransport._probe", slow)
    monkeypatch.setattr("simulated_board.SimulatedTransport._jobs", lambda *_: busy)
    outcome = fleet.measure(fleet.plan("one"), {"slow": {"on_hang": {"command": command}}})
    assert outcome.device_errors.keys() == {"slow"}
    assert not mark.exists()
    assert any("not power-cycled: job of-somebody-else" in text for text in fleet.witness.notes)
    busy["busy"] = None
    fleet.measure(fleet.plan("one"), {"slow": {"on_hang": {"command": command}}})
    assert mark.read_text() == "slow "


def test_a_board_that_is_lost_while_somebody_else_measures_there_is_not_power_cycled(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.add("busy")
    command, mark = power_cycler(fleet, "busy")

    def probe(transport: Any) -> Any:
        # Whoever looks again finds it gone.
        fleet.boards["busy"].gone = True
        return {"busy": OTHERS}

    monkeypatch.setattr("simulated_board.SimulatedTransport._probe", lambda self, *_: probe(self))
    monkeypatch.setattr("bench.run.measure.LEAST_WAIT_S", 0.01)
    remedy = {"command": command, "after_s": 0, "boot_s": 0.05}
    settings = {"busy": {"on_hang": remedy, "retry_s": 0.05, "give_up_after": 3}}
    outcome = fleet.measure(fleet.plan("one"), settings, wait=True)
    assert outcome.device_errors.keys() == {"busy"}
    assert "of-somebody-else" in outcome.run.manifest.incidents[0].text
    assert not mark.exists()


def test_after_ctrl_c_boards_that_wait_for_a_slot_are_sent_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.add(*NAMES[:4])
    pushing = fleet.boards["b0"].connect()
    real = type(pushing).push
    sending = threading.Semaphore(1)
    stopped = threading.Event()

    def push(transport: Any, files: Any) -> int:
        if len(files) > 1 and sending.acquire(blocking=False):
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
            stopped.wait(1.0)
        return int(real(transport, files))

    monkeypatch.setattr(type(pushing), "push", push)
    outcome = fleet.measure(fleet.plan("one", "two"), uploads=1)
    assert outcome.interrupted and not outcome.device_errors
    assert sum(board.uploads > 1 for board in fleet.boards.values()) == 1

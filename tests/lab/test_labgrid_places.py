"""Boards that are places of a real coordinator: taking, waiting, returning, and what goes wrong."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from bench_program import wait_until
from labgrid_lab import HOST, THEM, US, Lab, Switch
from sshd import Sshd

from bench.config.device_settings import LabgridDevice
from bench.device.labgrid import holding
from bench.device.labgrid.coordinator import Coordinator
from bench.device.labgrid.holding import HeldPlace, Wish, hold_place
from bench.device.labgrid.notes import all_notes
from bench.device.labgrid.power import cycle_power
from bench.device.retry import Interrupted
from bench.errors import ConfigError, HostKeyError, PlaceError, PowerCycleError
from bench.fleet.connection import open_transport, place_of, power_cycle, stay

OURS = f"{HOST}/{US}"


@pytest.fixture(autouse=True)
def _as_us(as_us: None) -> None:
    pass


def wish(lab: Lab, place: str | None = None, **changes: Any) -> Wish:
    parts = {"reservation": {}, "service": None, "wait_s": 0.0, **changes}
    return Wish(coordinator=lab.address, place=place, **parts)


def hold(lab: Lab, place: str | None = None, **changes: Any) -> HeldPlace:
    return hold_place(wish(lab, place, **changes), threading.Event(), lambda text: None)


def refusal(lab: Lab, place: str | None = None, **changes: Any) -> str:
    with pytest.raises(PlaceError) as caught:
        hold(lab, place, **changes).release()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_place_is_ours_while_it_is_used_and_free_afterwards(
    lab: Lab, settings: dict[str, Any]
) -> None:
    transport = open_transport(LabgridDevice(place="nano", **settings))
    try:
        assert place_of(transport) == "nano"
        assert lab.holder("nano") == OURS
        assert transport.run(["echo", "here"], timeout_s=10).stdout == b"here\n"
    finally:
        transport.close()
    assert lab.holder("nano") is None
    assert not list(all_notes())
    transport.close()


def test_several_boards_at_once(lab: Lab) -> None:
    with ThreadPoolExecutor(3) as pool:
        held = list(pool.map(lambda name: hold(lab, name), ["nano", "orin", "dark"]))
        assert {lab.holder(each.name) for each in held} == {OURS}
        list(pool.map(HeldPlace.release, held))
    assert {lab.holder(each.name) for each in held} == {None}


def test_aliases_are_names_too_but_not_those_of_others(lab: Lab) -> None:
    for alias in ("desk", "mine"):
        held = hold(lab, alias)
        held.release()
        assert held.name == "nano"
    assert "no place 'hers'" in refusal(lab, "hers")


def test_a_place_that_cannot_be_logged_in_to_is_returned(
    lab: Lab, settings: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    device = LabgridDevice(place="nano", **{**settings, "known_hosts": tmp_path / "empty"})
    with pytest.raises(HostKeyError):
        open_transport(device)
    assert lab.holder("nano") is None


def test_who_holds_a_busy_place_is_said(lab: Lab) -> None:
    with lab.taken("nano"):
        assert f"held by {THEM}@{HOST}" in refusal(lab, "nano")
        # Its resources are those of another place too.
        said = refusal(lab, "also-nano")
        assert "exp-a/nano/" in said and f"by place nano ({THEM}@{HOST})" in said
        lab.client("-p", "nano", "allow", OURS, user=THEM)
        hold(lab, "nano").release()
        assert lab.holder("nano") == f"{HOST}/{THEM}"


def test_what_this_user_took_by_hand_is_used_and_stays_taken(lab: Lab) -> None:
    lab.client("-p", "nano", "acquire", user=US)
    hold(lab, "nano").release()
    assert lab.holder("nano") == OURS
    lab.client("-p", "nano", "release", user=US)


def test_a_place_that_cannot_be_returned_now_is_returned_by_the_next_use(lab: Lab) -> None:
    told: list[str] = []
    held = hold_place(wish(lab, "nano"), threading.Event(), told.append)
    held._coordinator = "127.0.0.1:1"
    held.release()
    assert len(told) == 1 and "place nano is not returned" in told[0]
    assert lab.holder("nano") == OURS
    hold(lab, "nano").release()
    assert lab.holder("nano") is None


def test_the_last_one_to_use_a_place_returns_it(lab: Lab) -> None:
    first, second = hold(lab, "nano"), hold(lab, "nano")
    first.release()
    assert lab.holder("nano") == OURS
    second.release()
    assert lab.holder("nano") is None


def crashed(held: HeldPlace) -> None:
    """What the end of a process does: its lock is gone, and nothing is returned."""
    assert held._file is not None
    held._file.close()
    held._file = None


def test_a_place_that_a_dead_bench_left_is_taken_over_and_returned(lab: Lab) -> None:
    crashed(hold(lab, "nano"))
    # Who only looks leaves it: the board may still be measuring.
    hold_place(wish(lab, "nano"), threading.Event(), None).release()
    assert lab.holder("nano") == OURS
    hold(lab, "nano").release()
    assert lab.holder("nano") is None


def test_a_place_taken_by_hand_after_a_crash_is_not_returned(lab: Lab) -> None:
    crashed(hold(lab, "nano"))
    with lab.session(US) as by_hand:
        by_hand.release("nano")
    with lab.taken("nano", US):
        hold(lab, "nano").release()
        assert lab.holder("nano") == OURS


def test_a_place_that_was_taken_away_is_not_returned_for_its_new_owner(lab: Lab) -> None:
    told: list[str] = []
    held = hold_place(wish(lab, "nano"), threading.Event(), told.append)
    with lab.session(US) as by_hand:
        by_hand.release("nano")
    with lab.taken("nano"):
        held.release()
        assert lab.holder("nano") == f"{HOST}/{THEM}"
    assert any(f"held by {THEM}@{HOST}" in text and "somebody else" in text for text in told)


def test_a_reservation_is_waited_for_and_gone_afterwards(lab: Lab) -> None:
    told: list[str] = []
    patient = wish(lab, reservation={"board": "orin"}, wait_s=60.0)
    held: list[HeldPlace] = []
    with lab.taken("orin"):
        waiter = threading.Thread(
            target=lambda: held.append(hold_place(patient, threading.Event(), told.append))
        )
        waiter.start()
        wait_until(lambda: bool(told), "nothing was told")
    waiter.join()
    assert told == ["waiting up to 60 s for a free labgrid place with board=orin"]
    assert held[0].name == "orin" and lab.holder("orin") == OURS
    crashed(held[0])
    # The next one with this reservation takes over what was left, and both are gone in the end.
    hold(lab, reservation={"board": "orin"}).release()
    assert lab.holder("orin") is None
    assert lab.reservations() == 0


def test_two_that_come_after_a_crash_are_given_two_places(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = {"pool": "desk"}
    crashed(hold(lab, reservation=pool))
    both, real = threading.Barrier(2), holding._left_behind

    def at_once(*arguments: Any) -> Any:
        found = real(*arguments)
        both.wait(30)
        return found

    monkeypatch.setattr(holding, "_left_behind", at_once)
    with ThreadPoolExecutor(2) as executor:
        held = list(executor.map(lambda _: hold(lab, reservation=pool), range(2)))
    names = {each.name for each in held}
    for each in held:
        each.release()
    assert names == {"nano", "dark"}
    assert lab.holder("nano") is None and lab.holder("dark") is None


def test_a_reservation_that_is_not_waited_for_any_longer_is_gone(lab: Lab) -> None:
    cancel = threading.Event()
    with lab.taken("orin"):
        assert f"orin is held by {THEM}@{HOST}" in refusal(lab, reservation={"board": "orin"})
        with pytest.raises(Interrupted):
            hold_place(
                wish(lab, reservation={"name": "orin"}, wait_s=60.0),
                cancel,
                lambda text: cancel.set(),
            )
        assert lab.reservations() == 0
    assert "board=nano; it has: board=orin" in refusal(lab, reservation={"board": "nano"})


def test_a_place_reserved_by_others_says_by_whom(lab: Lab) -> None:
    with lab.session(THEM) as session:
        reservation = session.reserve({"board": "orin"})
        assert f"reserved by {THEM}@{HOST}" in refusal(lab, "orin")
        session.cancel(reservation.token)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nanoo", ["no place 'nanoo'", "did you mean 'nano'"]),
        ("bare", ["place bare has no NetworkService", "exporter's file"]),
        ("twin", ["several NetworkServices", "left, right", "`service`"]),
        ("gone", ["exporter exp-c is not connected", "labgrid-exporter"]),
        ("odd", ["place odd", "username", "is none"]),
    ],
)
def test_what_is_wrong_with_a_place_is_said_before_it_is_taken(
    lab: Lab, place: str, said: list[str]
) -> None:
    message = refusal(lab, place)
    for part in said:
        assert part in message
    if place != "nanoo":
        assert lab.holder(place) is None


def test_one_of_several_services(lab: Lab) -> None:
    hold(lab, "twin", service="right").release()
    assert "no NetworkService called 'middle'" in refusal(lab, "twin", service="middle")


class _Old(BaseHTTPRequestHandler):
    """Speaks HTTP/1, as the coordinator of a labgrid before 25.0 does."""

    def log_message(self, *_: Any) -> None:
        pass


def test_what_does_not_answer_as_a_coordinator_is_said(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address, said in (
        ("127.0.0.1:1", "Connection refused; start `labgrid-coordinator`"),
        ("nowhere.invalid:20408", "does not answer"),
    ):
        with pytest.raises(PlaceError, match=said), Coordinator(address):
            pass
    with HTTPServer(("127.0.0.1", 0), _Old) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        with pytest.raises(PlaceError, match=r"before 25\.0"), Coordinator(address):
            pass
        server.shutdown()
    monkeypatch.setitem(sys.modules, "labgrid.remote.common", None)
    with pytest.raises(PlaceError, match=r"pip install 'bench-on-device\[labgrid\]'"):
        Coordinator(lab.address)


def test_another_service_than_a_coordinator_is_told_from_one(lab: Lab) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with pytest.raises(PlaceError, match="same labgrid"), Coordinator(f"127.0.0.1:{port}"):
            pass
    finally:
        server.stop(None)


def test_an_environment_that_names_no_coordinator(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LG_COORDINATOR", "ws://old:20408/ws")
    with pytest.raises(ConfigError, match="LG_COORDINATOR=ws://old"):
        open_transport(LabgridDevice(place="nano", **settings))


def cycled(settings: dict[str, Any], **which: Any) -> None:
    remedy = power_cycle("board", LabgridDevice(on_hang="labgrid", **which, **settings))
    assert remedy is not None
    remedy()


def test_power_is_cycled_by_labgrid_s_own_driver(
    lab: Lab, settings: dict[str, Any], switch: Switch
) -> None:
    held = hold(lab, "nano")
    cycled(settings, place="nano")
    assert switch.told == ["/nano/3 0", "/nano/3 1"]
    assert lab.holder("nano") == OURS, "it was not the last one to use it"
    held.release()
    assert lab.holder("nano") is None


def test_a_command_power_cycles_the_place_that_it_is_told_and_nobody_else_s(
    lab: Lab, settings: dict[str, Any], tmp_path: Path
) -> None:
    mark = tmp_path / "cycled"
    code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['BENCH_PLACE'])"
    device = LabgridDevice(
        place="desk", on_hang=[sys.executable, "-c", code, str(mark)], **settings
    )
    remedy = power_cycle("board", device)
    assert remedy is not None
    with lab.taken("nano"), pytest.raises(PowerCycleError, match="nano is held by"):
        remedy()
    assert not mark.exists()
    remedy()
    assert mark.read_text() == "nano"
    assert lab.holder("nano") is None


def test_ctrl_c_does_not_reach_a_power_cycle_that_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "group"
    client = tmp_path / "client"
    client.write_text(f"#!/bin/sh\nps -o pgid= -p $$ > {told}\n")
    client.chmod(0o755)
    monkeypatch.setattr("bench.device.labgrid.power.sys.executable", str(client))
    cycle_power("127.0.0.1:1", "nano")
    assert int(told.read_text()) != os.getpgrp()


def test_a_place_that_is_kept_stays_taken_when_the_connection_ends(
    lab: Lab, settings: dict[str, Any]
) -> None:
    device = LabgridDevice(reservation={"name": "nano"}, **settings)
    transport = open_transport(device)
    with ExitStack() as until_the_end:
        stays = stay(device, transport, until_the_end)
        assert isinstance(stays, LabgridDevice) and stays.place == "nano"
        transport.close()
        assert lab.holder("nano") == OURS
        open_transport(stays).close()
        assert lab.holder("nano") == OURS
    assert lab.holder("nano") is None and not list(all_notes())


def test_why_power_cannot_be_cycled_is_said(lab: Lab, settings: dict[str, Any], sshd: Sshd) -> None:
    with pytest.raises(PowerCycleError, match="a reservation does not say which board"):
        cycled(settings, reservation={"board": "orin"})
    with pytest.raises(PowerCycleError, match="has no power switch"):
        cycled(settings, place="orin")
    with pytest.raises(PowerCycleError, match=r"could not power-cycle its board: .*500"):
        cycled(settings, place="dark")
    assert lab.holder("dark") is None

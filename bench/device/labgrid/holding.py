"""Taking a place for as long as it is used, and returning it, also after a crash in between."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.device.labgrid.address import tag_words
from bench.device.labgrid.coordinator import Coordinator, Refused
from bench.device.labgrid.notes import Note, NoteFile, all_notes
from bench.device.labgrid.places import Route, find_place, require_tagged, route_to
from bench.device.labgrid.refusals import busy, person, who_has, why_refused
from bench.device.retry import Interrupted
from bench.errors import PlaceError

POLL_S = 1.0

Tell = Callable[[str], None]
_log = logging.getLogger("bench.device")


@dataclass(frozen=True, slots=True)
class Wish:
    """Which place to take: ``place`` by name, or any with the tags of ``reservation``.

    ``coordinator``: its address. ``service``: which NetworkService, where a place has several.
    ``wait_s``: how long a reservation is waited for.
    """

    coordinator: str
    place: str | None
    reservation: Mapping[str, str]
    service: str | None
    wait_s: float


class HeldPlace:
    """A place that may be used until :meth:`release`, and the way to its board.

    ``file`` is ``None`` if it was its user's already, or another user allows its use: then it stays
    as it is.
    """

    def __init__(
        self, coordinator: str, name: str, route: Route, file: NoteFile | None, tell: Tell
    ) -> None:
        self.name = name
        self.route = route
        self._coordinator = coordinator
        self._file = file
        self._tell = tell

    def release(self) -> None:
        """Return the place, unless others of this machine still use it. May be called twice.

        Nothing is raised: what cannot be returned now is told, and returned by the next run on it.
        """
        file, self._file = self._file, None
        if file is None:
            return
        try:
            if file.lock_alone():
                self._return(file)
        except PlaceError as error:
            self._tell(
                f"place {self.name} is not returned: {error} (the next run on it does that, or "
                f"`labgrid-client -p {self.name} release`)"
            )
        finally:
            file.close()

    def keep(self) -> HeldPlace:
        """Return a further hold of the place: it is not returned before both are released."""
        file = None
        if self._file is not None:
            file = NoteFile(self._coordinator, self.name)
            file.share()
        return HeldPlace(self._coordinator, self.name, self.route, file, self._tell)

    def note_run(self, run: Path) -> None:
        """Note that a run starts a job at the place: should this process die, the place is not
        returned before that is collected.

        Raises:
            PlaceError: it cannot be written.
        """
        if self._file is not None:
            self._file.add_run(run)

    def _return(self, file: NoteFile) -> None:
        note = file.read()
        with Coordinator(self._coordinator) as lab:
            place = lab.places.get(self.name)
            holder = None if place is None else place.acquired
            if holder == lab.owner:
                lab.release(self.name)
            else:
                now = "free" if holder is None else f"held by {person(holder)}"
                self._tell(
                    f"place {self.name} was taken away in between and is {now}: somebody else may "
                    "have used the board at the same time"
                )
            if note is not None and note.token is not None:
                lab.cancel(note.token)
        file.clear()


def hold_place(wish: Wish, cancel: threading.Event, tell: Tell | None) -> HeldPlace:
    """Take a place, or use the one that this login has already.

    Without somebody to ``tell``, a reservation is not waited for, and a place that an earlier bench
    left behind stays as it is: its board may still be measuring.

    Raises:
        Interrupted: ``cancel`` was set while it was waited for.
        PlaceError: it cannot be had; the message says who has it, or what is wrong.
    """
    with Coordinator(wish.coordinator) as lab:
        if wish.place is not None:
            return _hold(lab, find_place(lab, wish.place), wish, cancel, tell)
        left = _left_behind(lab, wish.reservation)
        if left is not None:
            return _hold(lab, left.place, wish, cancel, tell, file=left)
        require_tagged(lab, wish.reservation)
        token = lab.reserve(wish.reservation).token
        try:
            name = _wait(lab, token, wish, cancel, tell)
            return _hold(lab, name, wish, cancel, tell, token)
        except BaseException:
            with suppress(PlaceError):
                lab.cancel(token)
            raise


def _wait(
    lab: Coordinator, token: str, wish: Wish, cancel: threading.Event, tell: Tell | None
) -> str:
    """Return the place that a reservation was given."""
    wanted = " ".join(tag_words(wish.reservation))
    wait_s = wish.wait_s if tell is not None else 0.0
    deadline_s = time.monotonic() + wait_s
    told = False
    while True:
        reservation = lab.poll(token)
        if reservation.place is not None:
            return reservation.place
        if reservation.is_over or time.monotonic() >= deadline_s:
            waited = f" within {wait_s:g} s (`wait_s`)" if wait_s else ""
            raise PlaceError(
                f"no labgrid place with {wanted} became free{waited}: "
                f"{who_has(lab, wish.reservation)}"
            )
        if tell is not None and not told:
            tell(f"waiting up to {wait_s:g} s for a free labgrid place with {wanted}")
            told = True
        if cancel.wait(POLL_S):
            raise Interrupted(f"interrupted while waiting for a labgrid place with {wanted}")


def _left_behind(lab: Coordinator, filters: Mapping[str, str]) -> NoteFile | None:
    """Return the note, locked, on a place that an earlier bench was given for the same reservation
    and never returned. Who comes at the same moment is to get another place."""
    for note in all_notes():
        if (note.coordinator, note.owner, note.filters) != (lab.address, lab.owner, dict(filters)):
            continue
        place = lab.places.get(note.place)
        if place is None or not note.is_of(place):
            continue
        file = NoteFile(note.coordinator, note.place)
        if file.lock_alone():
            return file
        file.close()
    return None


def _hold(
    lab: Coordinator,
    name: str,
    wish: Wish,
    cancel: threading.Event,
    tell: Tell | None,
    token: str | None = None,
    file: NoteFile | None = None,
) -> HeldPlace:
    file = file or NoteFile(lab.address, name)
    try:
        is_alone = file.lock(cancel)
        lab.refresh()
        place = lab.places[find_place(lab, name)]
        if place.acquired is None:
            route = route_to(lab, name, wish.service)
            filters = dict(wish.reservation) if token is not None else {}
            note = Note(lab.address, name, lab.owner, token=token, filters=filters)
            _take(lab, note, file)
        else:
            ours = _is_ours(lab, place, file, is_alone=is_alone, tell=tell)
            route = route_to(lab, name, wish.service)
            if not ours:
                file.close()
                return HeldPlace(lab.address, name, route, None, tell or _warn)
        file.share()
        return HeldPlace(lab.address, name, route, file, tell or _warn)
    except BaseException:
        file.close()
        raise


def _is_ours(
    lab: Coordinator, place: Any, file: NoteFile, *, is_alone: bool, tell: Tell | None
) -> bool:
    """Return whether a place that is taken is to be returned by us.

    Raises:
        PlaceError: somebody else has it.
    """
    name, said = place.name, tell or _warn
    if place.acquired != lab.owner:
        if lab.owner not in place.allowed:
            raise busy(place)
        said(f"place {name} is held by {person(place.acquired)}, who allows its use")
        return False
    note = file.read()
    if note is not None and not is_alone:
        return True
    if note is None or not note.is_of(place):
        said(f"place {name} is held by you already; it stays so afterwards")
        return False
    left = f"place {name} was left behind by an earlier bench"
    if tell is None:
        said(f"{left}; `bench attach` or the next run on it returns it")
        return False
    tell(f"{left}: going on with it")
    return True


def _take(lab: Coordinator, note: Note, file: NoteFile) -> None:
    # What an earlier note of this place says of runs is out of date.
    file.clear()
    # Before it is taken: should we die in between, the next one knows that it may be ours.
    file.write(note)
    try:
        lab.acquire(note.place)
    except Refused as error:
        file.clear()
        raise why_refused(lab, note.place, error) from None
    try:
        file.write(replace(note, changed=lab.places[note.place].changed))
    except PlaceError:
        lab.release(note.place)
        raise


def _warn(text: str) -> None:
    """Log what nobody is told otherwise; names in it are of other people."""
    _log.warning("%s", "".join(letter if letter.isprintable() else "\ufffd" for letter in text))

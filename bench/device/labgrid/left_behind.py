"""Returning the places that a bench which is gone left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.device.labgrid.coordinator import Coordinator
from bench.device.labgrid.holding import Tell
from bench.device.labgrid.notes import Note, NoteFile
from bench.errors import PlaceError


def return_left_behind(note: Note, is_to_collect: Callable[[Path], bool], tell: Tell) -> None:
    """Return the place of a note that nobody uses any more, and forget a note that is out of date.

    A place stays taken while one of the runs that started jobs there ``is_to_collect``, given its
    folder: the board may still be measuring. Nothing is raised: what cannot be returned is told.
    """
    try:
        file = NoteFile(note.coordinator, note.place)
    except PlaceError as error:
        tell(str(error))
        return
    try:
        if file.lock_alone():
            _return(file, is_to_collect, tell)
    except PlaceError as error:
        tell(f"place {note.place}, left behind by an earlier bench, is not returned: {error}")
    finally:
        file.close()


def _return(file: NoteFile, is_to_collect: Callable[[Path], bool], tell: Tell) -> None:
    note = file.read()
    if note is None:
        return
    left = f"place {note.place}, left behind by an earlier bench,"
    with Coordinator(note.coordinator) as lab:
        if note.owner != lab.owner:
            return
        place = lab.places.get(note.place)
        if place is None or not note.is_of(place):
            file.clear()
            return
        waiting = [run for run in file.runs() if is_to_collect(run)]
        if waiting:
            tell(f"{left} is kept until `bench attach {waiting[0]}` has collected its board's jobs")
            return
        lab.release(note.place)
        if note.token is not None:
            lab.cancel(note.token)
    file.clear()
    tell(f"{left} is returned")

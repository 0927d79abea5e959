"""The heavy tier of the fault suite: whole runs on virtual boards, each struck once.

``main`` prints the table and returns 0 when everything was survived and nothing was lost.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from board_program import BoardProgram
from fault_table import FaultRow, print_table
from kept_results import lost_rounds
from struck_boards import BOARD_FAULTS
from struck_links import LINK_FAULTS
from struck_processes import PROCESS_FAULTS
from virtual_board import BoardError
from virtual_board.board import Board
from virtual_board.build import build

Fault = Callable[[BoardProgram], str]
FAULTS: dict[str, Fault] = {**LINK_FAULTS, **PROCESS_FAULTS, **BOARD_FAULTS}
AT_ONCE = 2


def main(arguments: list[str] | None = None) -> int:
    """Inject the faults whose names contain one of ``arguments``, all of them without any."""
    parser = argparse.ArgumentParser(prog="fault-suite heavy", description=main.__doc__)
    parser.add_argument("words", metavar="WORD", nargs="*", help="part of a fault's name")
    words = parser.parse_args(arguments).words
    chosen = [name for name in FAULTS if not words or any(word in name for word in words)]
    if not chosen:
        parser.error(f"no fault has such a name; there are: {'; '.join(FAULTS)}")
    made = build(lambda line: print(line, flush=True))
    folder = Path(tempfile.mkdtemp(prefix="bench-faults-"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        places = [(folder / f"{number:02d}", name) for number, name in enumerate(chosen)]
        rows = list(pool.map(lambda place: strike(made, *place), places))
    held = print_table("faults on virtual boards", rows)
    if not held:
        print(f"what bench said in each case lies in {folder}")
    return 0 if held else 1


def strike(made: Path, folder: Path, name: str) -> FaultRow:
    """Inject one fault into runs on a board of their own."""
    began_s = time.monotonic()
    board = Board(f"fault-{os.getpid()}-{folder.name}")
    folder.mkdir()
    bench = BoardProgram(folder, board=board)
    survived, lost = 0, 0
    try:
        board.up(made)
        bench.write_devices()
        note = FAULTS[name](bench)
        bench.look()
        survived = 1
    except (AssertionError, BoardError, subprocess.SubprocessError, OSError) as error:
        note = f"{type(error).__name__}: {error}"
        with suppress(AssertionError, BoardError):
            bench.look()
    finally:
        end(bench)
    lost = lost_rounds(bench)
    print(f"{time.monotonic() - began_s:4.0f} s  {name}: {note}", flush=True)
    return FaultRow(name, 1, survived, lost, note.splitlines()[0])


def end(bench: BoardProgram) -> None:
    """End what still runs, and remove the board."""
    bench.end()
    if bench.board.pid is not None:
        bench.board.kill()
    if bench.board.folder.exists():
        bench.board.forget()

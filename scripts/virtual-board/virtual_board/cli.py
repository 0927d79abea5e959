"""The commands of scripts/virtual-board."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from bench.errors import BenchError
from virtual_board import BoardError
from virtual_board.board import Board, every_board
from virtual_board.build import build

SMALL = "--model shufflenet_v2_x0_5_cifar100"
"""What an emulated board is fast enough for."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; 2 for what went wrong in one line."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.does(options) or 0)
    except (BoardError, BenchError, OSError) as error:
        print(f"virtual-board: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, does: object, words: str, *, board: bool = True) -> argparse.ArgumentParser:
        # Each command is a file of its own to its user.
        prog = f"scripts/virtual-board/{name}"
        command = commands.add_parser(name, prog=prog, help=words, description=words)
        command.set_defaults(does=does)
        if board:
            command.add_argument("name", metavar="NAME", help="the board")
        return command

    add("build", _build, "Make what all boards share, unless that has been done.", board=False)
    up = add("up", _up, "Switch a board on; a new name makes a new board.")
    up.add_argument("--port", type=int, help="port of 127.0.0.1 for ssh (default: a free one)")
    down = add("down", _down, "Switch a board off in good order; it keeps its disk.")
    down.add_argument("--forget", action="store_true", help="remove its disk and all, on or off")
    power = add("power", _power, "Let a board draw power like this from now on.")
    forms = "const:W, square:LOW:HIGH:PERIOD, file:CSV or load:IDLE:BUSY[:TAU] (watts, seconds)"
    power.add_argument("waveform", metavar="WAVEFORM", help=forms)
    link = add("link", _link, "Plug a board's network cable out or in.")
    link.add_argument("state", choices=("off", "on"))
    add("hang", lambda given: Board(given.name).hang(), "Stop all CPUs of a board.")
    add("resume", lambda given: Board(given.name).resume(), "Let a hung board go on.")
    add("kill", lambda given: Board(given.name).kill(), "Pull the plug of a board.")
    add("list", _list, "Show all boards.", board=False)
    command = add("ssh", _ssh, "Run a command on a board, or a shell.")
    command.add_argument("words", metavar="CMD", nargs=argparse.REMAINDER)
    truth = add("truth", _truth, "Compare a run's energy with what its board drew.", board=False)
    truth.add_argument("run", metavar="RUN", help="folder or id of the run")
    truth.add_argument("--results", type=Path, default=Path("results"), help="folder of all runs")
    truth.add_argument("--board", help="the board's name, if it is not the device's")
    return parser


def _build(given: argparse.Namespace) -> None:
    print(build(lambda line: print(line, file=sys.stderr, flush=True)))


def _up(given: argparse.Namespace) -> None:
    board = Board(given.name)
    made = build(lambda line: print(line, file=sys.stderr, flush=True))
    began = time.monotonic()
    board.up(made, given.port)
    print(f"{board.name} answers after {time.monotonic() - began:.1f} s", file=sys.stderr)
    print(f"# also in {board.devices_file}")
    print(board.devices_entry(), end="")
    print(f"# scripts/bench run --devices {board.devices_file} --device {board.name} {SMALL}")


def _down(given: argparse.Namespace) -> None:
    board = Board(given.name)
    if not given.forget:
        board.down()
        return
    if board.pid is not None:
        board.kill()
    if board.folder.exists():
        board.forget()


def _power(given: argparse.Namespace) -> None:
    Board(given.name).play(given.waveform)


def _link(given: argparse.Namespace) -> None:
    Board(given.name).set_link(up=given.state == "on")


def _list(given: argparse.Namespace) -> None:
    for board in every_board():
        state = "off" if board.pid is None else f"on, process {board.pid}"
        print(f"{board.name}  port {board.port}  {state}  {board.folder}")


def _ssh(given: argparse.Namespace) -> None:
    command = Board(given.name).way.command(*given.words)
    os.execvp(command[0], command)


def _truth(given: argparse.Namespace) -> int:
    from virtual_board import truth

    return truth.show(given.run, given.results, given.board)

"""Boards at work as rows of text."""

from __future__ import annotations

import io

from rich.console import Console

from bench.cli.board_view import board_rows
from bench.cli.progress import boards_table
from bench.run.live import BoardView

NOW_S = 1_000_000.0
MEASURING = BoardView(
    "measuring, link silent",
    NOW_S - 10,
    100.0,
    "running, about 90 s more",
    NOW_S - 5,
    "net dense: 12.3 ms valid, est. 45 mJ valid",
    3,
    7,
)
GIVEN_UP = BoardView("given up", ended=True, problem="cannot reach it: " + "why " * 30, cases=7)
DONE = BoardView("done", ended=True, stored=7, cases=7)


def test_a_row_says_what_is_expected_and_what_was_heard() -> None:
    (row,) = board_rows({"orin": MEASURING}, NOW_S, 10)
    assert row["board"] == "orin" and row["left"] == "about 90 s" and row["cases"] == "3 of 7"
    assert row["last looked at"].endswith("running, about 90 s more")
    assert "est. 45 mJ" in row["last result"]


def test_boards_that_have_ended_make_room_and_are_counted() -> None:
    views = {"bad": GIVEN_UP, **{f"d{number}": DONE for number in range(8)}, "orin": MEASURING}
    rows = board_rows(views, NOW_S, 5)
    assert len(rows) == 5 and rows[-2]["board"] == "orin"
    assert rows[-1]["board"] == "and 6 more"
    assert rows[-1]["expected to be doing"] == "5 done, 1 given up"
    busy = board_rows({f"b{number}": MEASURING for number in range(9)}, NOW_S, 4)
    assert busy[-1]["expected to be doing"] == "6 at work"


def test_a_long_reason_crowds_out_no_other_column() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(boards_table(board_rows({"bad": GIVEN_UP, "orin": MEASURING}, NOW_S, 9)))
    text = console.export_text()
    assert "bad" in text and "orin" in text and "about 90 s" in text and "3 of 7" in text

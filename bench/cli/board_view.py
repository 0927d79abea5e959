"""Boards at work as rows of text, for the terminal of the run and for ``bench status --watch``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bench.run.live import BoardView

WIDEST = {"board": 24, "expected to be doing": 40, "last looked at": 40}
"""Characters of a cell; a long reason must not crowd out the other columns."""


def board_rows(views: Mapping[str, BoardView], now_s: float, most: int) -> list[dict[str, str]]:
    """Return a row per board, no more than ``most``: those that have ended make room first.

    ``now_s``: seconds since 1970. Where boards are left out, the last row says how many.
    """
    shown = list(views)
    if len(shown) > most:
        at_work = [name for name in views if not views[name].ended]
        over = [name for name in views if views[name].ended]
        kept = {*at_work, *over[::-1][: max(most - 1 - len(at_work), 0)]}
        shown = [name for name in views if name in kept][: most - 1]
    rows = [_shortened(_row(name, views[name], now_s)) for name in shown]
    hidden = [views[name] for name in views.keys() - set(shown)]
    if hidden:
        given_up = sum(bool(view.problem) for view in hidden)
        done = sum(view.ended for view in hidden) - given_up
        parts = ((len(hidden) - done - given_up, "at work"), (done, "done"), (given_up, "given up"))
        text = ", ".join(f"{count} {words}" for count, words in parts if count)
        empty = dict.fromkeys(_row("", BoardView(), now_s), "")
        rows.append({**empty, "board": f"and {len(hidden)} more", "expected to be doing": text})
    return rows


def _shortened(row: dict[str, str]) -> dict[str, str]:
    return {
        name: text if len(text) <= (most := WIDEST.get(name, len(text))) else text[: most - 1] + "…"
        for name, text in row.items()
    }


def _row(name: str, view: BoardView, now_s: float) -> dict[str, str]:
    left_s = view.left_s(now_s)
    heard = ""
    if view.heard_s is not None:
        heard = f"{datetime.fromtimestamp(view.heard_s):%H:%M:%S} {view.heard}"
    done = f"{view.stored}" if view.cases is None else f"{view.stored} of {view.cases}"
    return {
        "board": name,
        "expected to be doing": view.problem or view.doing,
        "left": "" if left_s is None or view.ended else f"about {left_s:.0f} s",
        "cases": done,
        "last looked at": heard,
        "last result": view.result,
    }

"""The table that a fault suite ends with: fault, how often it was injected, survived, lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One kind of fault over a whole suite.

    ``injected``: how often it struck; ``survived``: how often the run went on or was taken up again
    as it should; ``lost``: results that had been measured and are not in the run folder at the end.
    ``note``: what there is to say about it.
    """

    fault: str
    injected: int
    survived: int
    lost: int
    note: str = ""

    @property
    def held(self) -> bool:
        """Whether every injection was survived and nothing was lost."""
        return self.survived == self.injected and self.lost == 0


def print_table(title: str, rows: Sequence[FaultRow]) -> bool:
    """Print the rows with their sums; return whether all of them held."""
    table = Table(title=title, title_justify="left")
    table.add_column("fault")
    for name in ("injected", "survived", "lost"):
        table.add_column(name, justify="right")
    table.add_column("note")
    for row in rows:
        numbers = [str(number) for number in (row.injected, row.survived, row.lost)]
        table.add_row(row.fault, *numbers, row.note, style=None if row.held else "bold red")
    table.add_section()
    sums = [sum(getattr(row, name) for row in rows) for name in ("injected", "survived", "lost")]
    table.add_row("all", *map(str, sums), "")
    Console().print(table)
    return all(row.held for row in rows)

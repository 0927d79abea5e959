"""The trials of the runs that a command is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.cli.output import people
from bench.store.gathering import Measured, gather
from bench.store.listing import Selection
from bench.store.reader import Run


class Problems:
    """Says what could not be read as soon as that is known, and remembers that there was any."""

    def __init__(self) -> None:
        self.exit_code = 0

    def __call__(self, text: str) -> None:
        """Tell one."""
        self.exit_code = 1
        people().print(text, markup=False, soft_wrap=True)


def measured(
    results_dir: Path, selection: Selection, problems: Problems, names: Sequence[str]
) -> Iterator[Measured]:
    """Return the trials that are meant, also those that journals hold and nobody evaluated yet.

    Raises:
        StoreError: as :func:`bench.store.gathering.gather` does.
    """
    return gather(results_dir, selection, problems, _completed, names)


def _completed(run: Run) -> Run:
    """Return a run with what its journals hold; the evaluation is imported where there may be any.

    Raises:
        StoreError: the manifest is damaged by now.
    """
    if not (run.jobs and run.unfinished):
        return run
    from bench.fleet import evaluation  # a second of imports

    return evaluation.completed(run)

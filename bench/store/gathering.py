"""Trials of many runs, one run after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.errors import StoreError
from bench.records.manifest import Manifest
from bench.records.trial import Trial
from bench.store.listing import Selection, list_runs
from bench.store.reader import Run, find_run, open_run


class Measured(NamedTuple):
    """A trial that counts, with its run and the folder of that."""

    trial: Trial
    manifest: Manifest
    folder: Path


def gather(
    results_dir: Path,
    selection: Selection,
    problem: Callable[[str], None],
    completed: Callable[[Run], Run],
    names: Sequence[str] = (),
) -> Iterator[Measured]:
    """Yield the trials that are meant, oldest run first (or those of the runs called ``names``).

    What cannot be read is told to ``problem`` in one line each, and left out. ``completed`` adds to
    a run what its journals hold and nobody evaluated yet
    (:func:`bench.fleet.evaluation.completed`).

    Raises:
        StoreError: there is no run of a name, or the folder cannot be read.
    """
    if names:
        # Looked up before anything is read, so that a misspelt name costs no time.
        folders = [find_run(name, results_dir) for name in dict.fromkeys(names)]
    else:
        folders = [item.path for item in list_runs(results_dir) if selection.has_run(item)]
    for folder in folders:
        try:
            run = completed(open_run(folder, folder.parent))
        except StoreError as error:
            problem(str(error))
            continue
        for text in run.problems:
            problem(f"{folder.name}: {text}")
        for trial in run.trials:
            if selection.has_case(trial.case.device, trial.case.model):
                yield Measured(trial, run.manifest, folder)


def with_samples(
    measured: Iterable[Measured], problem: Callable[[str], None]
) -> Iterator[tuple[Measured, Path]]:
    """Yield the trials that have a file of their inferences, and that file.

    In the end ``problem`` is told, in one line per run, how many others were timed once, so that
    their files must have been removed.
    """
    from bench.store import raw  # pyarrow is slow to import

    gone: Counter[Path] = Counter()
    for item in measured:
        path = raw.latency_path(item.folder, item.trial.trial_id)
        if path.is_file():
            yield item, path
        elif item.trial.latency is not None:
            gone[item.folder] += 1
    for folder, count in gone.items():
        cases = "1 case" if count == 1 else f"{count} cases"
        problem(f"{folder.name}: the single inferences of {cases} are gone from its folder raw/")

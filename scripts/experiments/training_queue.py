"""Trains the networks of the experiment, several at once, each by a ``bench train`` of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compared_networks import DENSE, REDUCTIONS, Network, seed_folder

from models import MODELS, Scheme

BENCH = Path(sys.executable).with_name("bench")
MODEL, RESULT, LOG = "model.pt", "result.json", "training.log"


@dataclass(frozen=True, slots=True)
class Trainings:
    """What all trainings have in common. ``data`` is the folder of Fashion-MNIST."""

    data: Path
    out: Path
    train_images: int
    epochs: int
    batch: int
    lr: float
    seeds: int

    @property
    def data_set(self) -> str:
        """The data set as bench spells it."""
        return f"fashion-mnist:{self.data}"


class Stopped(Exception):
    """The experiment was interrupted before this training began."""


class Queue:
    """Runs trainings in order, ``jobs`` at once, with one thread each."""

    def __init__(self, settings: Trainings, jobs: int) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(jobs)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, networks: Sequence[Network]) -> list[str]:
        """Train what is not finished yet, model by model, seed by seed; returns what failed.

        After KeyboardInterrupt every training has kept its last whole epoch.
        """
        waiting: dict[str, Future[None]] = {}
        for model in REDUCTIONS:
            there = [each for each in networks if each.model == model and not each.problem]
            for seed in range(self._settings.seeds):
                self._submit(seed, there, waiting)
        failures = []
        try:
            for name, future in waiting.items():
                try:
                    future.result()
                except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
                    failures.append(f"{name}: {error}")
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            self._pool.shutdown(cancel_futures=True)
        return failures

    def _submit(
        self, seed: int, networks: Sequence[Network], waiting: dict[str, Future[None]]
    ) -> None:
        """Put one seed's trainings into the queue, those that others start from first."""
        dense = [each for each in networks if each.method == DENSE]
        # A network waits for its dense one in a thread of the pool. That one comes first in the
        # queue, so it is at work or done by then.
        submit = self._pool.submit
        first = {each.model: submit(self._train, each, seed) for each in dense}
        chosen = {
            model: submit(self._choose_channels, model, seed, first[model]) for model in first
        }
        waiting |= {f"seed {seed}: {model} dense": future for model, future in first.items()}
        waiting |= {f"seed {seed}: {model} sensitivity": each for model, each in chosen.items()}
        for network in networks:
            if network.method == DENSE:
                continue
            before = chosen if network.by_sensitivity else first
            needed = [before[network.model]] if network.starts_dense else []
            name = f"seed {seed}: {network.model} {network.title}"
            waiting[name] = submit(self._train, network, seed, needed)

    def _train(self, network: Network, seed: int, needed: Sequence[Future[None]] = ()) -> None:
        for future in needed:
            if future.exception() is not None:
                raise RuntimeError("what it starts from is not there")
        folder = network.folder(self._settings.out, seed)
        if _is_finished(folder / RESULT, self._settings):
            return
        folder.mkdir(parents=True, exist_ok=True)
        print(f"seed {seed}: {network.model} {network.title}", flush=True)
        with (folder / LOG).open("ab") as log:
            code = self._call(self._command(network, seed, folder), log)
        if code:
            last = (folder / LOG).read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError("".join(last) or f"bench train ended with exit code {code}")
        top1 = json.loads((folder / RESULT).read_bytes())["test_top1"]
        print(f"seed {seed}: {network.model} {network.title}: {100 * top1:.2f} % top-1", flush=True)

    def _command(self, network: Network, seed: int, folder: Path) -> list[str]:
        settings = self._settings
        scheme = str(network.scheme)
        if network.by_sensitivity:
            scheme = chosen_schemes(settings.out, network.model, seed)[f"{network.reduction:g}"]
        command = [str(BENCH), "train", network.model, "--scheme", scheme, "--resume"]
        command += ["--data", settings.data_set, "--out", str(folder), "--seed", str(seed)]
        for option in ("train_images", "epochs", "batch", "lr"):
            command += [f"--{option.replace('_', '-')}", str(getattr(settings, option))]
        if network.starts_dense:
            dense = Network(network.model, DENSE).folder(settings.out, seed)
            command += ["--init-from", str(dense / MODEL)]
        return command

    def _call(self, command: Sequence[str], log: Any) -> int:
        """Run one training to its end. Raises Stopped when no more are wanted."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with self._lock:
            if self._stopped:
                raise Stopped
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches it once, by way of this process
            )
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                # Not SIGINT, which is ignored by whatever a script starts in the background.
                process.terminate()

    def _choose_channels(self, model: str, seed: int, dense: Future[None]) -> None:
        """Find out for one dense network how much each unit can be pruned, if not done yet."""
        if dense.exception() is not None:
            raise RuntimeError("there is no dense network to measure")
        out = self._settings.out
        if _choice_file(out, model, seed).exists():
            return
        print(f"seed {seed}: {model}: sensitivity of each unit", flush=True)
        checkpoint = Network(model, DENSE).folder(out, seed) / MODEL
        schemes = _schemes_by_sensitivity(model, checkpoint, self._settings)
        text = json.dumps(schemes, indent=1)
        partial = _choice_file(out, model, seed).with_suffix(".partial")
        partial.write_text(text)
        partial.replace(_choice_file(out, model, seed))


def chosen_schemes(out: Path, model: str, seed: int) -> dict[str, str]:
    """Return the schemes that sensitivity chose for a seed, by reduction, none if not done yet."""
    path = _choice_file(out, model, seed)
    found: dict[str, str] = json.loads(path.read_bytes()) if path.exists() else {}
    return found


def _choice_file(out: Path, model: str, seed: int) -> Path:
    return seed_folder(out, seed) / f"{model}-sensitivity.json"


def _schemes_by_sensitivity(model: str, checkpoint: Path, settings: Trainings) -> dict[str, str]:
    """Measure on the images that are held out of training, not on the test set."""
    import torch

    from models.sensitivity import measure_sensitivity, scheme_by_sensitivity
    from models.training.accuracy import accuracy
    from models.training.batches import split
    from models.training.checkpoint import read_model
    from models.training.datasets import open_dataset

    torch.set_num_threads(1)
    data = open_dataset(settings.data_set)
    rows = split(data.train, settings.train_images).held_out
    measured = measure_sensitivity(
        read_model(checkpoint).network(),
        lambda network: accuracy(network, data, data.train, rows).top1,
    )
    schemes: dict[str, Scheme] = {
        f"{reduction:g}": scheme_by_sensitivity(measured, MODELS[model].parameters, reduction)
        for reduction in REDUCTIONS[model]
    }
    return {reduction: str(scheme) for reduction, scheme in schemes.items()}


def _is_finished(result: Path, settings: Trainings) -> bool:
    """Whether a training with these settings is over; of others, bench train tells."""
    try:
        found = json.loads(result.read_bytes())
        return bool(
            found["epochs"] == settings.epochs and found["train_images"] == settings.train_images
        )
    except (FileNotFoundError, ValueError, KeyError):
        return False

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

from compared_networks import DENSE, REDUCTIONS, Network
from training_results import MODEL, RESULT, forget, started_elsewhere, training_result

BENCH = Path(sys.executable).with_name("bench")
LOG = "training.log"


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
        dependent = [each for each in networks if each.starts_dense]
        if not all(self._is_finished(each, seed) for each in dependent):
            for each in dense:
                # Results are kept in the repository, weights are not.
                folder = each.folder(self._settings.out, seed)
                if not (folder / MODEL).exists():
                    forget(folder)
        first = {each.model: self._pool.submit(self._train, each, seed) for each in dense}
        waiting |= {f"seed {seed}: {model} dense": future for model, future in first.items()}
        # A network waits for its dense one in a thread of the pool: not for ever, since that one
        # comes before in the queue, nor for long, since what needs none goes before it too.
        for network in sorted(networks, key=lambda each: each.starts_dense):
            if network.method != DENSE:
                needed = first[network.model] if network.starts_dense else None
                name = f"seed {seed}: {network.model} {network.title}"
                waiting[name] = self._pool.submit(self._train, network, seed, needed)

    def _train(self, network: Network, seed: int, needed: Future[None] | None = None) -> None:
        if needed is not None and needed.exception() is not None:
            raise RuntimeError("the dense network that it starts from is not there")
        folder = network.folder(self._settings.out, seed)
        if self._is_finished(network, seed):
            return
        folder.mkdir(parents=True, exist_ok=True)
        name = f"seed {seed}: {network.model} {network.title}"
        if started_elsewhere(network, self._settings.out, seed):
            print(f"{name}: again, since the dense network that it started from is another by now")
            forget(folder)
        print(name, flush=True)
        with (folder / LOG).open("ab") as log:
            code = self._call(self._command(network, seed, folder), log)
        if code:
            last = (folder / LOG).read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError("".join(last) or f"bench train ended with exit code {code}")
        top1 = json.loads((folder / RESULT).read_bytes())["test_top1"]
        print(f"{name}: {100 * top1:.2f} % top-1", flush=True)

    def _command(self, network: Network, seed: int, folder: Path) -> list[str]:
        settings = self._settings
        scheme = str(network.scheme)
        command = [str(BENCH), "train", network.model, "--scheme", scheme, "--resume"]
        command += ["--data", settings.data_set, "--out", str(folder), "--seed", str(seed)]
        for option in ("train_images", "epochs", "batch", "lr"):
            command += [f"--{option.replace('_', '-')}", str(getattr(settings, option))]
        if network.starts_dense:
            dense = Network(network.model, DENSE).folder(settings.out, seed)
            command += ["--init-from", str(dense / MODEL)]
        if network.by_sensitivity:
            command.append("--by-sensitivity")
        return command

    def _is_finished(self, network: Network, seed: int) -> bool:
        """Whether a training with these settings is over; of others, bench train tells."""
        settings = self._settings
        try:
            found = training_result(network, settings.out, seed)
            if found is None:
                return False
            recipe = found["recipe"]
            trained_with = found["train_images"], recipe["epochs"], recipe["batch"], recipe["lr"]
        except (ValueError, KeyError):
            return False
        return trained_with == (
            settings.train_images,
            settings.epochs,
            settings.batch,
            settings.lr,
        )

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

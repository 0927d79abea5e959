"""Trains one network: epochs, selection on held-out images, and one look at the test set."""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils import deterministic

from models.parameters import count_parameters
from models.training.accuracy import accuracy
from models.training.batches import Normalisation, Split, load, shuffled
from models.training.checkpoint import TrainedModel, load_state
from models.training.errors import Diverged, TrainingError
from models.training.folder import Folder, Write
from models.training.job import Precision, Training
from models.training.progress import EpochRecord, Progress


def train(
    job: Training,
    out: Path,
    *,
    write: Write,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a network and keep it with its results in a folder; returns the content of result.json.

    After every epoch the state is kept there, and with ``resume`` an interrupted training goes
    on from it to the same end. The network of the epoch that did best on the held-out images
    (the last of equals) is evaluated once on the test set. Under ``torchrun``, the processes
    share the batches; all of them call this.

    Raises TrainingError (DataError, CheckpointError, Diverged), SchemeError, and OSError from
    ``write``.
    """
    rows = job.check()
    fabric = make_fabric(job.precision)
    if job.recipe.batch % fabric.world_size:
        raise TrainingError(
            f"a batch of {job.recipe.batch} cannot be divided by {fabric.world_size} processes"
        )
    facts = job.facts(rows, fabric.world_size)
    folder = Folder(out, write)
    finished = folder.result(facts, resume=resume)
    if finished is not None:
        return finished
    state = folder.state(facts)
    with _deterministic(fabric.device):
        run = _Run(job, rows, fabric, state)
        out.mkdir(parents=True, exist_ok=True)
        fabric.launch()
        run.place()
        progress = progress or Progress()
        progress.begin(epochs=job.recipe.epochs, done=run.done, batches=run.batches)
        if not run.done and run.init_errors:
            progress.approximated(run.init_errors)
        while run.done < job.recipe.epochs:
            record = run.epoch(progress)
            if fabric.is_global_zero:
                folder.keep(facts, run.state())
            fabric.barrier()
            progress.epoch(record)
        trained, result = run.outcome()
        if fabric.is_global_zero:
            result = folder.finish(trained, {"format": 1, **facts, **result})
        fabric.barrier()
    if fabric.world_size > 1:
        # DDP's reducer waits for the group's threads while it holds the lock of the interpreter,
        # which they may need: it must not be the last to let go of the group.
        del run
        gc.collect()
        torch.distributed.destroy_process_group()
    return {**facts, **result}


def make_fabric(precision: Precision) -> Fabric:
    """One process on a GPU or the CPU, or one of those that ``torchrun`` has started.

    Raises TrainingError when the machine cannot do the precision.
    """
    if precision == "16-mixed" and not torch.cuda.is_available():
        raise TrainingError("precision 16-mixed needs a GPU; bf16-mixed works without one")
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if processes == 1:
        return Fabric(devices=1, precision=precision)
    return Fabric(
        devices=here,
        num_nodes=processes // here,
        # BatchNorm's statistics are averaged after each epoch instead of sent in every step.
        strategy=DDPStrategy(**_NO_SYNC),
        precision=precision,
    )


_IS_NEW = "forward_sync_buffers" in signature(DistributedDataParallel).parameters
"""Since torch 2.13, which deprecates ``broadcast_buffers``."""
_NO_SYNC: dict[str, Any] = {"forward_sync_buffers" if _IS_NEW else "broadcast_buffers": False}


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Insist on the same result every time, where all operations can do so: on the CPU.

    Without torch's extra of filling all fresh memory, which is for finding code that reads what
    nobody has written: it changes no result and takes a seventh of a step's time.
    """
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = deterministic  # whose one name is a property, unknown to mypy
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(before or device.type == "cpu")
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled


class _Run:
    """A training between two epochs."""

    def __init__(
        self, job: Training, rows: Split, fabric: Fabric, state: dict[str, Any] | None
    ) -> None:
        self._job = job
        self._rows = rows
        self._fabric = fabric
        self._network, self.init_errors = job.start()
        self._state = state
        self.done = 0
        self._wall_s = 0.0
        self._history: list[dict[str, Any]] = []
        self._best: dict[str, Any] | None = None
        self.batches = len(rows.trained) // job.recipe.batch

    def place(self) -> None:
        """Move to the device and take up the state of an earlier process, if there is one.

        With the channels of a pixel side by side: a CPU takes a sixth less time for a step.
        """
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = torch.optim.SGD(
            self._job.recipe.parameter_groups(self._network),
            lr=self._job.recipe.lr,
            momentum=self._job.recipe.momentum,
            nesterov=True,
        )
        state = self._state
        if state is not None:
            load_state(self._network, state["network"], "the state of the training")
        self._wrapped, self._stepper = self._fabric.setup(self._network, self._optimizer)
        self._normalised = Normalisation(self._job.data, self._fabric.device)
        if state is not None:
            self._optimizer.load_state_dict(state["optimizer"])
            self._fabric.strategy.precision.load_state_dict(state["precision"])
            self.done, self._wall_s = state["done"], state["wall_s"]
            self._history, self._best = state["history"], state["best"]

    def state(self) -> dict[str, Any]:
        """What :meth:`place` takes up."""
        return {
            "done": self.done,
            "network": _copied(self._network),
            "optimizer": self._optimizer.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "best": self._best,
            "history": self._history,
            "wall_s": self._wall_s,
        }

    def epoch(self, progress: Progress) -> EpochRecord:
        """Train for an epoch and select. Raises Diverged, DataError."""
        began = time.monotonic()
        lr = self._job.recipe.lr_at(self.done)
        loss = self._train(lr, progress)
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss is not a number any more in epoch {self.done + 1}; a lower --lr helps"
            )
        _average_buffers(self._network, self._fabric)
        held_out = accuracy(
            self._network,
            self._job.data,
            self._job.data.train,
            self._rows.held_out,
            fabric=self._fabric,
        )
        self.done += 1
        if self._best is None or held_out.top1 >= self._best["top1"]:
            self._best = {
                "epoch": self.done,
                "top1": held_out.top1,
                "state_dict": _copied(self._network),
            }
        took_s = time.monotonic() - began
        self._wall_s += took_s
        record = EpochRecord(self.done, lr, loss, held_out.top1, took_s)
        self._history.append(asdict(record))
        return record

    def _train(self, lr: float, progress: Progress) -> float:
        """One epoch at a learning rate; returns the mean loss over steps and processes."""
        job, fabric = self._job, self._fabric
        draw = (job.seed, self.done)
        # Dropout draws from torch's state: a resumed training must find it as it was.
        drawn = np.random.SeedSequence((*draw, fabric.global_rank)).generate_state(1)
        torch.manual_seed(int(drawn[0]))
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        batches = shuffled(self._rows.trained, job.recipe.batch, draw)
        mine = [batch[fabric.global_rank :: fabric.world_size] for batch in batches]
        total = torch.zeros((), device=fabric.device)
        self._wrapped.train()
        for pixels, labels in load(job.data.train, mine, fabric.device, draw=draw):
            pixels = self._normalised(pixels).contiguous(memory_format=torch.channels_last)
            logits = self._wrapped(pixels)
            loss = job.recipe.loss(logits, labels, self._network)
            fabric.backward(loss)
            self._stepper.step()
            self._stepper.zero_grad()
            total += loss.detach()
            progress.batch()
        return float(_mean(total, fabric)) / len(batches)

    def outcome(self) -> tuple[TrainedModel, dict[str, Any]]:
        """Look at the test set with the selected network. Raises DataError."""
        job, best = self._job, self._best
        assert best is not None
        began = time.monotonic()
        load_state(self._network, best["state_dict"], "the selected state")
        test = accuracy(
            self._network,
            job.data,
            job.data.test,
            np.arange(len(job.data.test.labels)),
            fabric=self._fabric,
        )
        trained = TrainedModel(
            model=job.spec.name,
            scheme=str(job.scheme),
            data=job.data.name,
            mean=job.data.mean,
            std=job.data.std,
            seed=job.seed,
            epoch=best["epoch"],
            top1=best["top1"],
            state_dict=best["state_dict"],
        )
        return trained, {
            "wanted_scheme": None if job.wanted is None else str(job.wanted),
            "sizes": list(job.spec.fit(job.scheme)),
            "parameters": count_parameters(self._network),
            "parameters_dense": job.spec.parameters,
            "init_errors": self.init_errors,
            "epochs": job.recipe.epochs,
            "selected_epoch": best["epoch"],
            "selection_top1": best["top1"],
            "test_top1": test.top1,
            "test_top5": test.top5,
            "test_images": test.images,
            "history": self._history,
            "wall_s": self._wall_s + time.monotonic() - began,
            "torch": torch.__version__,
            "device": _device_name(self._fabric.device),
            "threads": torch.get_num_threads(),
        }


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _average_buffers(network: nn.Module, fabric: Fabric) -> None:
    """Make BatchNorm's statistics the mean over the processes, each of which saw other images."""
    if fabric.world_size == 1:
        return
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.copy_(_mean(buffer, fabric))


def _mean(value: Tensor, fabric: Fabric) -> Tensor:
    mean = fabric.all_reduce(value, reduce_op="mean")
    assert isinstance(mean, Tensor)
    return mean


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

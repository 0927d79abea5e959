"""What is to be trained, and the network that it starts from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.scheme import Scheme, SchemeError
from models.sharing import share
from models.spec import ModelSpec
from models.training.batches import Split, split
from models.training.checkpoint import load_state, read, read_bytes, sha256
from models.training.datasets import DataSet
from models.training.errors import CheckpointError, DataError, TrainingError
from models.training.recipe import Recipe

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True, slots=True)
class Training:
    """One network to train on one data set under one scheme.

    ``seed`` draws the first weights, the order of the images and how they are changed.
    ``train_images`` is how many images to train on (None: all that are not held out).
    ``init_from`` is a checkpoint to start from: of the dense network, whose weights the scheme
    then approximates, or of the network under this scheme. ``precision`` is that of the training;
    evaluation is always in single precision. ``wanted`` is the scheme that was asked for where
    measuring decided over ``scheme``.
    """

    spec: ModelSpec
    scheme: Scheme
    data: DataSet
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    train_images: int | None = None
    init_from: Path | None = None
    precision: Precision = "32-true"
    wanted: Scheme | None = None

    def check(self) -> Split:
        """Return the images to train and to select on.

        Raises TrainingError, DataError or SchemeError when the parts do not fit each other.
        """
        spec, data = self.spec, self.data
        self.spec.total(self.scheme)
        if (spec.input_shape, spec.classes) != (data.shape, data.classes):
            takes, has = ("×".join(map(str, shape)) for shape in (spec.input_shape, data.shape))
            raise DataError(
                f"{spec.name} is made for images of {takes} in {spec.classes} classes, "
                f"{data.name} has {has} in {data.classes}"
            )
        rows = split(data.train, self.train_images)
        if len(rows.trained) < self.recipe.batch:
            raise TrainingError(
                f"a batch of {self.recipe.batch} takes at least as many images to train on, not "
                f"{len(rows.trained)}"
            )
        return rows

    def facts(self, rows: Split, processes: int) -> dict[str, Any]:
        """Everything that decides the outcome, as plain data; two trainings with equal facts and
        equal machines come to the same weights."""
        return {
            "model": self.spec.name,
            "scheme": str(self.scheme),
            "seed": self.seed,
            "data": self.data.name,
            "data_sha256": self.data.digest,
            "train_images": len(rows.trained),
            "selection_images": len(rows.held_out),
            "precision": self.precision,
            "processes": processes,
            "init_from_sha256": sha256(read_bytes(self.init_from)) if self.init_from else None,
            "recipe": asdict(self.recipe),
        }

    def start(self) -> tuple[nn.Module, dict[str, float]]:
        """Return the network before the first step, drawn by the seed.

        Also returns, for layers whose trained weights a scheme approximates, the relative error
        by the layer's path. Raises CheckpointError or SchemeError when ``init_from`` does not fit.
        """
        torch.manual_seed(self.seed)
        if self.init_from is None:
            return self.spec.architecture(self.scheme), {}
        scheme, state = _trained_state(self.init_from, self.spec)
        if scheme == str(self.scheme):
            network = self.spec.architecture(self.scheme)
            load_state(network, state, str(self.init_from))
            return network, {}
        if scheme != "dense":
            raise CheckpointError(
                f"{self.init_from}: is of scheme {scheme}, not {self.scheme}; start from the "
                "dense network or from this scheme"
            )
        network = self.spec.architecture(Scheme("dense"))
        try:
            report = share(network, self.scheme, groups=self.spec.groups, init_from=state)
        except SchemeError as error:
            raise CheckpointError(f"{self.init_from}: {error}") from None
        return network, {
            layer.path: layer.error for layer in report.layers if layer.error is not None
        }


def _trained_state(path: Path, spec: ModelSpec) -> tuple[str, dict[str, Tensor]]:
    """Scheme and state dict of a checkpoint; one that is only a state dict is a dense network's."""
    document = read(path)
    scheme = "dense"
    if "state_dict" in document:
        model = document.get("model", spec.name)
        if model != spec.name:
            raise CheckpointError(f"{path}: is of {model}, not {spec.name}")
        scheme, document = document.get("scheme", "dense"), document["state_dict"]
    if not all(isinstance(value, Tensor) for value in document.values()):
        raise CheckpointError(f"{path}: holds no state dict of a network")
    return scheme, document

"""How much of each unit to prune, measured on the images that are held out for selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.scheme import Scheme, SchemeError
from models.sensitivity import measure_sensitivity, scheme_by_sensitivity
from models.training.accuracy import accuracy
from models.training.errors import TrainingError
from models.training.job import Training
from models.training.loop import make_fabric

PRUNED = "prune-l1"


def with_measured_channels(job: Training, finished: Mapping[str, Any] | None) -> Training:
    """Return the training with the channels of each unit in place of the wanted reduction.

    Every unit of the dense network that ``job.init_from`` holds is pruned on its own, and the
    top-1 on the held-out images says what that costs (:mod:`models.sensitivity`). The test set
    has no part in it. The same network and images give the same channels. Under ``torchrun`` the
    processes divide the images among themselves; all of them call this. Of ``finished``, the
    content of the result.json of a training of the same wish, the channels are taken as they are.

    Raises TrainingError when the scheme is not ``prune-l1`` with a reduction or there is no
    network to measure; else as :meth:`Training.check` and :meth:`Training.start`.
    """
    wanted = job.scheme.reduction
    if job.scheme.name != PRUNED or wanted is None:
        raise TrainingError(
            f"--by-sensitivity is for {PRUNED} with a reduction, such as {PRUNED}:0.25, "
            f"not for {job.scheme}"
        )
    if job.init_from is None:
        raise TrainingError(
            "--by-sensitivity measures a trained dense network; name its checkpoint with "
            "--init-from"
        )
    rows = job.check()
    if finished is not None and finished.get("wanted_scheme") == str(job.scheme):
        chosen = Scheme.parse(str(finished.get("scheme")))
        return replace(job, scheme=chosen, wanted=job.scheme)
    dense, _ = replace(job, scheme=Scheme("dense")).start()
    fabric = make_fabric(job.precision)
    fabric.launch()
    measured = measure_sensitivity(
        dense.to(fabric.device),
        lambda network: (
            accuracy(network, job.data, job.data.train, rows.held_out, fabric=fabric).top1
        ),
    )
    try:
        scheme = scheme_by_sensitivity(measured, job.spec.parameters, wanted)
    except SchemeError as error:
        raise TrainingError(f"{job.spec.name}: {error}") from None
    return replace(job, scheme=scheme, wanted=job.scheme)

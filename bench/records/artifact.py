"""What lies on the board of a case, and whether its outputs are right."""

from __future__ import annotations

from bench.records.base import Record
from bench.records.bounded import Count, Figure, Share


class TrainingFacts(Record):
    """The ``bench train`` that deployed weights come from, as its result says.

    ``test_top1``: share (0..1) of its ``test_images`` of the data set ``data``. ``None``: not told.
    """

    seed: Count
    data: str | None = None
    epochs: Count | None = None
    test_images: Count | None = None
    test_top1: Share | None = None


class ArtifactFacts(Record):
    """The exported files of a case: what lies on the board."""

    graph_sha256: str
    weights_sha256: str | None
    file_bytes: Count
    opset: int
    ir_version: int
    parameters: int | None = None
    macs: int | None = None
    training: TrainingFacts | None = None
    """``None`` where the weights are pseudo-random or of a model of one's own."""
    shares: bool = False
    """Whether it is a torch network of one's own whose layers draw on shared templates."""


class Parity(Record):
    """Outputs on the board against the reference outputs made at export."""

    passed: bool
    max_abs_error: Figure | None
    max_rel_error: Figure | None
    cosine: Figure | None
    top1_agreement: Figure | None
    detail: str = ""


class LabelledFacts(Record):
    """A labelled set that accuracy is counted on. ``sha256``: of its images, labels and scaling."""

    name: str
    images: Count
    classes: Count
    sha256: str


class AccuracyStats(Record):
    """Shares (0..1) of a labelled set that the deployed artifact classified right on the board.

    ``top1_low`` and ``top1_high``: 95 % interval for so many images. ``top5`` is ``None`` with five
    classes or fewer. ``problem``: why there is no figure, in one line.
    """

    dataset: LabelledFacts
    top1: Share | None = None
    top1_low: Share | None = None
    top1_high: Share | None = None
    top5: Share | None = None
    problem: str = ""

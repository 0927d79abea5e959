"""What is measured: one cell of the matrix."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bench.records.base import Record


class Case(Record):
    """One cell of the matrix: what is measured, where and how it is run.

    ``weights`` is the weight mode (``load``, ``runtime``, ``factored``), ``None`` for a network
    without templates. ``threads`` is the number of CPU threads that the runtime may use.
    ``power_mode`` is the board's power mode that was asked for, ``None`` to leave it as it is.
    """

    device: str
    model: str
    scheme: str = "dense"
    weights: str | None = None
    runtime: str = "onnxruntime"
    precision: str = "fp32"
    batch: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 1
    power_mode: str | None = None

    @property
    def key(self) -> str:
        """Readable and unique within a run and device: ``model/scheme/weights/runtime/...``."""
        scheme = self.scheme if self.weights is None else f"{self.scheme}/{self.weights}"
        how = f"{self.runtime}/{self.precision}/b{self.batch}/t{self.threads}"
        key = f"{self.model}/{scheme}/{how}"
        return key if self.power_mode is None else f"{key}/{self.power_mode}"

    @property
    def label(self) -> str:
        """Short text for tables and charts (without what is the same for most cases)."""
        text = f"{self.model} {self.scheme}"
        if self.weights is not None:
            text += f" {self.weights}"
        if self.batch != 1:
            text += f" b{self.batch}"
        return text if self.power_mode is None else f"{text} @{self.power_mode}"

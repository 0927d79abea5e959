"""One case measured once."""

from __future__ import annotations

from pydantic import Field

from bench.records.artifact import AccuracyStats, ArtifactFacts, Parity
from bench.records.base import SCHEMA_VERSION, Record
from bench.records.bounded import Count
from bench.records.case import Case
from bench.records.facts import TrialFacts
from bench.records.figures import LatencyStats, LoadStats, MemoryStats, RoundFigure, SustainStats
from bench.records.power import EnergyStats, Metered
from bench.records.status import Reason, Status, Verdict


class Trial(Record):
    """One case measured once. Quantities that have no number are ``None`` with a status."""

    schema_version: int = SCHEMA_VERSION
    trial_id: str
    run_id: str
    case: Case
    attempt: Count = 0
    """0 in the run itself, then one more for each time that it was resumed; the highest counts."""
    latency_status: Verdict
    energy_status: Verdict
    memory_status: Verdict
    latency: LatencyStats | None = None
    energy: EnergyStats | None = None
    memory: MemoryStats | None = None
    load: LoadStats | None = None
    parity: Parity | None = None
    accuracy: AccuracyStats | None = None
    artifact: ArtifactFacts | None = None
    sustain: SustainStats | None = None
    rounds: tuple[RoundFigure, ...] = ()
    meter: Metered | None = None
    """``None`` where no external meter was attached."""
    facts: TrialFacts = Field(default_factory=TrialFacts)
    """What else the board told: runtime version, warm-up, health before and after."""

    @property
    def failed(self) -> bool:
        """Whether the case as a whole failed (not merely noisy or unmeasured)."""
        return any(verdict.status is Status.FAILED for verdict in self.verdicts)

    @property
    def interrupted(self) -> bool:
        """Whether the job of this trial ended before the case had all its rounds."""
        return any(Reason.INTERRUPTED in verdict.reasons for verdict in self.verdicts)

    @property
    def verdicts(self) -> tuple[Verdict, Verdict, Verdict]:
        """Those of latency, energy and memory; an external meter has its own."""
        return (self.latency_status, self.energy_status, self.memory_status)

"""Boards for ``fleet.py``: sshd servers on this machine with a runtime that sleeps, and simulated
ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy
import onnx
from bench_program import BENCH
from board_folder import tiny_model
from cable import Cable
from onnx import TensorProto, helper
from simulated_board import SimulatedBoard
from sshd import Sshd, start_sshd

from bench.agent import wire

PROJECT = Path(__file__).parents[2]
ROUNDS = 5
INFERENCE_S = 0.02
"""How long the runtime sleeps in place of an inference."""

_HOST_MODULE = """
from bench.records.recordings import GraphLimits
from bench.runtimes import RuntimeSpec, Tolerance

SLEEPING = RuntimeSpec(
    name="sleeping",
    summary="sleeps in place of computing",
    precisions={"fp32": Tolerance(atol=1e-6, rtol=1e-6, cosine=0.9999)},
    fix="nothing",
    agent="sleeping_board",
    limits=GraphLimits(opset=17, ir_version=8),
)
"""
_BOARD_MODULE = f"""
import time

PROBE = "import json; print(json.dumps({{'version': '1.0'}}))"


def import_engine():
    return None


def open_model(engine, graph, options):
    def run(names, feed):
        time.sleep({INFERENCE_S})
        return list(feed.values())

    return run, {{"runtime_version": "1.0", "providers": [], "threads": 1}}
"""


class SleepingFleet:
    """``boards`` servers, of which those called ``cabled`` are reached through a cable, and a plan
    of ``models`` models whose rounds take ``seconds`` per board."""

    def __init__(
        self,
        folder: Path,
        boards: int,
        models: int,
        seconds: float,
        cabled: Collection[str] = (),
    ) -> None:
        self.folder = folder
        self.names = names_of(boards)
        self.servers: dict[str, Sshd] = {}
        self.cables: dict[str, Cable] = {}
        self._site = self._plug_in()
        python = self._board_python()
        devices = {}
        for name in self.names:
            server = self.servers[name] = start_sshd(folder / name)
            way = server.device()
            if name in cabled:
                cable = self.cables[name] = Cable(server.host, server.port)
                way = cable.device(server, folder / name / "cable_known_hosts")
            devices[name] = {
                **way,
                "python": str(python),
                "work_dir": str(self.board(name)),
                "lock": "lock",
                "retry_s": 5,
                "power": {"sensor": "none"},
            }
        (folder / "devices.yaml").write_text(json.dumps({"devices": devices}))
        names = [f"model{number}" for number in range(models)]
        for name in names:
            _identity(folder / f"{name}.onnx", name)
        plan = {
            "models": [f"{name}.onnx" for name in names],
            "runtimes": ["sleeping"],
            # Each model is a job, so that something is finished when a fault strikes.
            "per_model": bool(cabled),
            "procedure": {
                "preset": "quick",
                "latency_rounds": ROUNDS,
                "latency_round_s": seconds / ROUNDS / models,
                "energy_rounds": 2,
                "warmup_min_s": 0.1,
                "warmup_max_s": 5.0,
                "idle_s": 0.1,
            },
        }
        (folder / "plan.yaml").write_text(json.dumps(plan))

    def board(self, name: str) -> Path:
        """The work folder of a board."""
        return self.folder / name / "board"

    def start(self, devices: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
        """Start bench on some of the boards."""
        environment = {
            **os.environ,
            "PYTHONPATH": f"{PROJECT}{os.pathsep}{self._site}",
            "BENCH_CACHE": str(self.folder / "cache"),
        }
        environment.pop("BENCH_DEVICES", None)
        command = [*BENCH, "run", "--plan", "plan.yaml", "--device", ",".join(devices), "--json"]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, **streams
        )

    def forget_boards(self) -> None:
        """Make all boards new."""
        for name in self.names:
            subprocess.run(["rm", "-rf", str(self.board(name))], check=True)

    def forget_exports(self) -> None:
        """Empty the artifact cache."""
        subprocess.run(["rm", "-rf", str(self.folder / "cache")], check=True)

    def journals(self, name: str) -> list[Path]:
        """The journals on a board."""
        return sorted(self.board(name).glob("jobs/*/journal.jsonl"))

    def is_cut(self, trial: dict[str, Any]) -> bool:
        """Whether the job of a trial did not get to its end."""
        reasons = trial["latency_status"]["reasons"]
        return bool({"interrupted", "power-loss"} & set(reasons)) or trial["latency"] is None

    def stop(self) -> None:
        """End the servers and what runs on the boards."""
        for cable in self.cables.values():
            cable.close()
        for name, server in self.servers.items():
            for journal in self.journals(name):
                kill_job(journal)
            server.stop()

    def _plug_in(self) -> Path:
        """Leave what installing a package with the runtime would leave."""
        site = self.folder / "site"
        info = site / "sleeping-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeping\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[bench.runtimes]\nsleeping = sleeping:SLEEPING\n")
        (site / "sleeping.py").write_text(_HOST_MODULE)
        (site / "sleeping_board.py").write_text(_BOARD_MODULE)
        return site

    def _board_python(self) -> Path:
        """A Python with numpy and no other package: probing for engines costs next to nothing."""
        packages = self.folder / "packages"
        packages.mkdir()
        installed = Path(numpy.__file__).parent
        for name in ("numpy", "numpy.libs"):
            if (installed.parent / name).exists():
                (packages / name).symlink_to(installed.parent / name)
        python = self.folder / "python"
        base = Path(sys.base_prefix) / "bin" / "python3"
        python.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {base} -S "$@"\n')
        python.chmod(0o755)
        return python


def names_of(boards: int) -> list[str]:
    """The names of so many boards."""
    return [f"board{number:03d}" for number in range(boards)]


def kill_job(journal: Path) -> None:
    """End a job's conductor without warning; its workers die with it."""
    records, _ = wire.decode_records(journal.read_bytes())
    if records and not any(record["kind"] == "end" for record in records):
        try:
            os.kill(records[0]["pid"], signal.SIGKILL)
        except ProcessLookupError:
            return


def measure_simulated(folder: Path, count: int, cases: int) -> int:
    """Run a plan of ``cases`` models on ``count`` simulated boards; how many trials it stored."""
    from bench.config.device_settings import SshDevice
    from bench.plan.plan import Plan
    from bench.plan.procedures import PROCEDURES
    from bench.run.session import run

    folder.mkdir()
    boards = {f"board{number:03d}": SimulatedBoard(job_s=1.0) for number in range(count)}
    names = [f"model{number}" for number in range(cases)]
    plan = Plan(
        models=tuple(names),
        schemes=("dense",),
        procedure=PROCEDURES["quick"].model_copy(update={"latency_rounds": 4, "energy_rounds": 2}),
        files={name: tiny_model(folder / f"{name}.onnx") for name in names},
    )

    def connect(device: Any, cancel: object = None, tell: object = None) -> Any:
        return boards[device.host].connect()

    with mock.patch("bench.fleet.contact.open_transport", connect):
        outcome = run(
            plan,
            {name: SshDevice(transport="ssh", host=name) for name in boards},
            results_dir=folder / "results",
            cache=folder / "cache",
            command=["fleet.py"],
            observer=_Silent(),
        )
    return len(outcome.run.trials)


class _Silent:
    def planned(self, run_id: str, cases: object) -> None: ...

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None: ...

    def note(self, device: str, text: str) -> None: ...

    def heard(self, device: str, text: str) -> None: ...

    def ended(self, device: str, problem: str) -> None: ...

    def trial(self, trial: object) -> None: ...


def _identity(path: Path, name: str) -> None:
    """A model that gives back its input; ``name`` makes it another model."""
    value = [helper.make_tensor_value_info(what, TensorProto.FLOAT, [1, 64]) for what in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"], name=name)
    graph = helper.make_graph([node], name, value[:1], value[1:])
    opsets = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=7), path)

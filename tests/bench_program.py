"""`bench` as a process of its own in a working folder, with runs that take some seconds."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from board_folder import tiny_model

BENCH = [sys.executable, "-c", "import sys; from bench.cli import main; sys.exit(main())"]
LIMIT_S = 120
PROCEDURE = {
    "preset": "quick",
    "latency_rounds": 5,
    "latency_round_s": 0.05,
    "energy_rounds": 2,
    "energy_window_s": 0.2,
    "warmup_min_s": 0.05,
    "warmup_max_s": 0.5,
    "idle_s": 0.2,
}


@dataclass
class Program:
    """A folder with two small models, plans that measure them, and devices.yaml.

    ``board`` is a device over ssh; its work folder lies in the folder of that name.
    """

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def devices(self, **devices: dict[str, Any]) -> None:
        """Write devices.yaml; each device has a work folder of its name and a lock of its own."""
        document = {
            name: {
                "transport": "local",
                "work_dir": str(self.folder / name),
                "lock": "lock",
                "power": {"estimate": {"idle_w": 2, "busy_w": 6}},
                **settings,
            }
            for name, settings in devices.items()
        }
        (self.folder / "devices.yaml").write_text(json.dumps({"devices": document}))

    def plan(self, *models: str, **procedure: Any) -> None:
        """Write plan.yaml for models of this folder; ``procedure`` changes fields of it."""
        for name in models:
            if not (self.folder / f"{name}.onnx").exists():
                tiny_model(self.folder / f"{name}.onnx")
        plan = {
            "models": [f"{name}.onnx" for name in models],
            "procedure": {**PROCEDURE, **procedure},
        }
        (self.folder / "plan.yaml").write_text(json.dumps(plan))

    def run(
        self, *arguments: str, limit_bytes: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Call bench and wait for it; it may write no file larger than ``limit_bytes``."""
        process = self.start(*arguments, limit_bytes=limit_bytes)
        stdout, stderr = process.communicate(timeout=LIMIT_S)
        assert "Traceback" not in stderr, stderr
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def start(self, *arguments: str, limit_bytes: int | None = None) -> subprocess.Popen[str]:
        """Call bench and leave it to itself."""

        def limit() -> None:
            if limit_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

        environment = {
            **os.environ,
            "BENCH_CACHE": str(self.folder / "cache"),
            "PYTHONUNBUFFERED": "1",
        }
        environment.pop("BENCH_DEVICES", None)
        process = subprocess.Popen(
            [*BENCH, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """End what is left running."""
        for process in self.started:
            process.kill()
            process.communicate()

    def json(self, *arguments: str) -> Any:
        """What a command prints with --json, whatever its exit code."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def run_ids(self) -> list[str]:
        """The runs in the results folder, oldest first."""
        return [entry["run_id"] for entry in self.json("results", "list")]

    def journals(self, device: str = "board") -> list[Path]:
        """The journals on a device, oldest first."""
        found = (self.folder / device / "jobs").glob("*/journal.jsonl")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def wait_for_rounds(self, count: int, device: str = "board") -> Path:
        """Return the newest journal on a device once it has that many finished rounds."""

        def rounds() -> bool:
            journals = self.journals(device)
            return bool(journals) and journals[-1].read_bytes().count(b'"kind":"round"') >= count

        wait_until(rounds, "no round was finished")
        return self.journals(device)[-1]


def wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    """Return as soon as something holds."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)

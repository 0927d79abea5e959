"""`bench` on a virtual board: the commands as processes, the board's own words beside them."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from bench_program import Program
from ruamel.yaml import YAML
from virtual_board import machine
from virtual_board.board import Board

from bench.agent import wire
from bench.store.reader import Run, open_run

LIMIT_S = 900
"""For one command of bench: everything on the board is emulated, and others may use this host."""
RUN = ("run", "--plan", "plan.yaml", "--device", "board")
RETRY_S = 300
TRIES = 150
WORK_DIR = "/root/.cache/bench-agent"
ROUND = b'"kind":"round"'


@dataclass
class BoardProgram(Program):
    """A working folder in which ``board`` is a virtual board that is on."""

    board: Board = field(kw_only=True)
    seen: set[bytes] = field(default_factory=set)
    """Finished rounds that were seen on the board."""
    work_dir: str = WORK_DIR
    sensor: str = "none"
    """What `power.sensor` says: a run without energy is over sooner."""

    def write_devices(self, **settings: Any) -> None:
        """Write devices.yaml from what `up` wrote, with other settings changed."""
        entry = YAML(typ="safe").load(self.board.devices_file)["devices"][self.board.name]
        own = {"work_dir": self.work_dir, "retry_s": RETRY_S, "power": {"sensor": self.sensor}}
        document = {"devices": {"board": {**entry, **own, **settings}}}
        (self.folder / "devices.yaml").write_text(json.dumps(document), encoding="utf-8")

    def run(
        self, *arguments: str, limit_bytes: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Call bench and wait for it."""
        return self.end_of(self.start(*arguments, limit_bytes=limit_bytes))

    def end_of(self, process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
        """Wait for a command that was started; what it says on stderr is kept in the folder."""
        stdout, stderr = process.communicate(timeout=LIMIT_S)
        with (self.folder / "stderr.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {process.args!r}\n{stderr}exit {process.returncode}\n")
        assert "Traceback" not in stderr, stderr
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def the_run(self) -> Run:
        """The newest run in the results folder."""
        newest = max((self.folder / "results").glob("*/manifest.json"))
        return open_run(newest.parent, newest.parents[1])

    def on_board(self, command: str) -> str:
        """What a shell command prints on the board, which must succeed."""
        done = self.board.way.run(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def until(self, condition: str, otherwise: str) -> None:
        """Return once a shell command succeeds on the board: it asks itself, the link is idle."""
        for _ in range(TRIES):
            done = self.board.way.run(
                f"for try in $(seq 3); do {condition} && exit 0; sleep 1; done; exit 1"
            )
            if done.returncode == 0:
                return
        raise AssertionError(otherwise)

    def until_console_says(self, text: str) -> None:
        """Return once the board has written something to its serial console."""
        console = self.board.folder / machine.CONSOLE
        deadline_s = time.monotonic() + LIMIT_S
        while text not in console.read_text(encoding="utf-8", errors="replace"):
            assert time.monotonic() < deadline_s, f"the board never said: {text}"
            time.sleep(0.1)

    def until_rounds(self, count: int) -> None:
        """Return once the jobs on the board have finished so many rounds together."""
        counted = f"cat {self.journals_on_board} 2>/dev/null | grep -c {ROUND.decode()!r}"
        self.until(f'[ "$({counted})" -ge {count} ]', f"no {count} rounds were finished")

    def look(self) -> None:
        """Remember the rounds that are finished on the board by now."""
        found = self.on_board(f"cat {self.journals_on_board} 2>/dev/null || true")
        self.seen |= rounds_in(found.encode())

    @property
    def journals_on_board(self) -> str:
        """The journals of all jobs, as a shell pattern."""
        return f"{self.work_dir}/jobs/*/{wire.JOURNAL_FILE}"

    def rounds_here(self) -> set[bytes]:
        """The finished rounds in the journals of all run folders."""
        journals = (self.folder / "results").glob("*/journals/*.jsonl")
        return {line for path in journals for line in rounds_in(path.read_bytes())}

    def records(self) -> list[dict[str, Any]]:
        """What the newest job's journal in the run folder holds."""
        records, problems = wire.decode_records(self.the_run().jobs[-1].journal())
        assert not [problem for problem in problems if "damaged" in problem], problems
        return records


def rounds_in(journal: bytes) -> set[bytes]:
    """Return the whole lines of a journal that are rounds."""
    whole = [line for line in journal.split(b"\n") if ROUND in line]
    return {line for line in whole if wire.decode_records(line + b"\n")[0]}

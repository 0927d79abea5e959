"""A labgrid of its own on 127.0.0.1: a coordinator, exporters, places, and a power switch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench_program import wait_until
from sshd import Sshd

from bench.device.labgrid.coordinator import Coordinator

LIMIT_S = 60.0
US = "bench"
THEM = "ada"
HOST = "host"


class Switch(ThreadingHTTPServer):
    """A power switch for labgrid's backend `rest`; remembers what it was told."""

    daemon_threads = True

    def __init__(self) -> None:
        self.told: list[str] = []
        told = self.told

        class Answer(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                told.append(f"{self.path} {body}")
                self.send_response(500 if "broken" in self.path else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def port_of(self, what: str) -> dict[str, Any]:
        """A NetworkPowerPort of it."""
        url = f"http://127.0.0.1:{self.server_port}/{what}/{{index}}"
        return {"model": "rest", "host": url, "index": 3}


@dataclass
class Lab:
    """``address`` of the coordinator; everything runs in and below ``folder``."""

    folder: Path
    address: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def client(self, *arguments: str, user: str = THEM) -> str:
        """What labgrid-client of a user says."""
        done = subprocess.run(
            [sys.executable, "-m", "labgrid.remote.client", *arguments],
            env={**os.environ, **environment(user), "LG_COORDINATOR": self.address},
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        )
        return done.stdout

    @contextmanager
    def session(self, user: str) -> Iterator[Coordinator]:
        """What labgrid-client of a user would use, without the second that it takes to start."""
        made = Coordinator(self.address)
        made.owner = f"{HOST}/{user}"
        with made:
            yield made

    @contextmanager
    def taken(self, place: str, user: str = THEM) -> Iterator[None]:
        """Have a place in a user's hands."""
        with self.session(user) as session:
            session.acquire(place)
            try:
                yield
            finally:
                session.release(place)

    def reservations(self) -> int:
        """How many there are."""
        with Coordinator(self.address) as session:
            return len(session._call("GetReservations").reservations)

    def holder(self, place: str) -> str | None:
        """Who has a place."""
        with Coordinator(self.address) as session:
            holder: str | None = session.places[place].acquired
        return holder

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program of labgrid; what it says lies in a file."""
        log = self.folder / f"{len(self.processes)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        self.processes.append(process)
        return process

    def export(
        self, name: str, groups: Mapping[str, Any], *options: str
    ) -> subprocess.Popen[bytes]:
        """Start an exporter and wait for its resources."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(groups))
        process = self.start(
            "labgrid.remote.exporter", "-c", self.address, "-n", name, *options, str(path)
        )
        count = sum(map(len, groups.values()))

        def complete() -> bool:
            with Coordinator(self.address) as session:
                return sum(path[0] == name for path in session.resources) == count

        wait_until(complete, f"exporter {name} is not there")
        return process

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def start_lab(folder: Path, places: Mapping[str, Mapping[str, Any]]) -> Lab:
    """Start a coordinator that knows these places: ``matches`` and ``tags`` of each."""
    document = {
        name: {
            "comment": "",
            "tags": dict(place.get("tags", {})),
            "aliases": list(place.get("aliases", ())),
            "matches": [_match(text) for text in place["matches"]],
            "created": 1.0,
            "changed": 1.0,
        }
        for name, place in places.items()
    }
    (folder / "places.yaml").write_text(json.dumps(document))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    lab = Lab(folder, address)
    process = lab.start("labgrid.remote.coordinator", "-l", address)

    def listens() -> bool:
        assert process.poll() is None, (folder / "0.log").read_text()
        with socket.socket() as probe:
            host, _, port = address.partition(":")
            return probe.connect_ex((host, int(port))) == 0

    wait_until(listens, "the coordinator does not start")
    return lab


def service(sshd: Sshd, **changes: Any) -> dict[str, Any]:
    """The NetworkService of a board."""
    return {"address": sshd.host, "username": sshd.user, "port": sshd.port, **changes}


def environment(user: str) -> dict[str, str]:
    """What makes a program one of this user of the lab."""
    return {"LG_HOSTNAME": HOST, "LG_USERNAME": user}


def _match(text: str) -> dict[str, str | None]:
    parts: Sequence[str] = text.split("/")
    names = ("exporter", "group", "cls", "name")
    return {**dict.fromkeys(names), **dict(zip(names, parts, strict=False)), "rename": None}

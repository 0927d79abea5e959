"""How fast files reach a board, compared with ``scp``: python scripts/benchmarks/transfer.py

Starts a private sshd on this machine and sends the same random file with ``scp`` and with
bench's own transport, one after the other in each round, so that other load hits both. Ours
includes the verification by sha256 on the receiving side; ``scp`` verifies nothing. Given are
medians of the ratio to the ``scp`` of the same round: over the connection that is open for the
whole run anyway, and with the time to connect. Last comes the time of a push that finds
everything in place.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from sshd import Sshd, start_sshd  # noqa: E402

from bench.device.ssh import SshSettings, connect  # noqa: E402
from bench.device.transport import Push  # noqa: E402


def timed(action: Callable[[], object]) -> float:
    """Return how long an action takes, in seconds."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def copy_with_scp(server: Sshd, local: Path, remote: Path) -> None:
    """Send a file as a careful user would by hand."""
    options = ["-q", "-F", "none", "-P", str(server.port), "-i", str(server.key)]
    options += ["-o", f"UserKnownHostsFile={server.known_hosts}", "-o", "BatchMode=yes"]
    target = f"{server.user}@{server.host}:{remote}"
    subprocess.run(["scp", *options, str(local), target], check=True)


def settings_for(server: Sshd, folder: Path) -> SshSettings:
    """Return settings that read no file of the user's."""
    config = folder / "ssh_config"
    config.touch()
    return SshSettings(
        server.host, server.port, server.user, server.key, server.known_hosts, config
    )


def compare(server: Sshd, folder: Path, size_mb: int, rounds: int) -> None:
    """Measure and print."""
    local = folder / "local"
    local.write_bytes(os.urandom(size_mb * 10**6))
    sha256 = hashlib.sha256(local.read_bytes()).hexdigest()
    settings = settings_for(server, folder)
    scp_s: list[float] = []
    push_s: list[float] = []
    connect_s: list[float] = []
    again_s: list[float] = []
    for number in range(rounds + 1):
        scp = timed(lambda: copy_with_scp(server, local, folder / "by-scp"))
        start = time.perf_counter()
        transport = connect(settings)
        connecting = time.perf_counter() - start
        files = [Push(local, f"{folder}/board/{number}-{sha256[:16]}", sha256)]
        push = timed(lambda: transport.push(files))  # noqa: B023
        again = min(timed(lambda: transport.push(files)) for _ in range(3))  # noqa: B023
        transport.close()
        (folder / "by-scp").unlink()
        Path(files[0].remote).unlink()
        if number == 0:
            continue  # the first round fills caches
        print(f"round {number}: scp {scp:.3f} s, connect {connecting:.3f} s, push {push:.3f} s")
        for values, value in ((scp_s, scp), (push_s, push), (connect_s, connecting)):
            values.append(value)
        again_s.append(again)
    open_ratio = statistics.median(p / s for p, s in zip(push_s, scp_s, strict=True))
    whole_ratio = statistics.median(
        (p + c) / s for p, c, s in zip(push_s, connect_s, scp_s, strict=True)
    )
    print(f"{size_mb} MB: scp = 1, ours verified = {open_ratio:.2f} over the open connection,")
    print(
        f"  {whole_ratio:.2f} with connecting; unchanged: {statistics.median(again_s) * 1e3:.1f} ms"
    )


def main() -> None:
    """Read the command line, start the server, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size-mb", type=int, default=100, help="size of the file (default: 100)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server = start_sshd(Path(name) / "sshd", lines=["Subsystem sftp internal-sftp"])
        try:
            compare(server, Path(name), arguments.size_mb, arguments.rounds)
        finally:
            server.stop()


if __name__ == "__main__":
    main()

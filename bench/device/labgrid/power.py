"""Power-cycles a place's board with labgrid's own drivers, by labgrid-client."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.errors import PlaceError

CYCLE_S = 120.0
# What labgrid-client does is to depend on the coordinator and the place alone.
_OF_ITS_USER = ("LG_ENV", "LG_STATE", "LG_INITIAL_STATE", "LG_PLACE", "PLACE", "STATE")
_NO_SWITCH = "target has no compatible resource available"


def cycle_power(coordinator: str, place: str) -> None:
    """Switch a place's board off and on again; the place must be held by this login.

    Raises:
        PlaceError: the place has no switch that labgrid drives, or that failed; its words are in
            ``detail``.
    """
    command = [sys.executable, "-m", "labgrid.remote.client", "-x", coordinator, "-p", place]
    environment = {key: text for key, text in os.environ.items() if key not in _OF_ITS_USER}
    try:
        done = subprocess.run(
            [*command, "power", "cycle"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CYCLE_S,
            text=True,
            errors="replace",
            check=False,
            # Ctrl-C in between off and on would leave the board without power.
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise PlaceError(
            f"place {place}: its power switch did not answer within {CYCLE_S:g} s; look at it with "
            f"`labgrid-client -p {place} power get`"
        ) from None
    if done.returncode == 0:
        return
    lines = done.stdout.strip().splitlines()
    if any(_NO_SWITCH in line for line in lines):
        raise PlaceError(
            f"place {place} has no power switch that labgrid drives by itself (NetworkPowerPort, "
            "PDUDaemonPort, USBPowerPort …); add one to its exporter's file and to its matches"
        )
    said = lines[-1] if lines else f"exit status {done.returncode}"
    raise PlaceError(
        f"place {place}: labgrid could not power-cycle its board: {said}", detail=done.stdout
    )

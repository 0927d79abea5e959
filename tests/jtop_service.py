"""A stand-in for jtop's service: the real manager, queue and power code of jetson-stats, without
the rest of the service, which needs a Jetson and root.

``python jtop_service.py SOCKET TREE`` serves the power that jetson-stats reads from the i2c devices
below TREE, ten times a second, until its stdin ends. It then stops without a word to its clients.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

INTERVAL_S = 0.1


def power_service(tree: Path) -> Any:
    """jetson-stats' own reader of power, on the i2c devices below ``tree``."""
    from jtop.core import power

    service = power.PowerService.__new__(power.PowerService)
    sensors = power.find_all_i2c_power_monitor(str(tree / "sys/bus/i2c/devices"))
    service._power_sensor = dict(sorted(sensors.items()))
    service._power_avg = {}
    return service


def serve(socket: str, tree: Path) -> None:
    """Serve until stdin ends."""
    import jtop
    from jtop import service

    service.JTOP_PIPE = socket
    requests: queue.Queue[Any] = queue.Queue()
    data: dict[str, Any] = {"gpu": {}, "mem": {}, "fan": {}}
    event = threading.Event()
    power = power_service(tree)
    data["power"] = power.get_status()
    service.JtopManager.register("get_queue", callable=lambda: requests)
    service.JtopManager.register("sync_data", callable=lambda: data)
    service.JtopManager.register("sync_event", callable=lambda: event)
    server = service.JtopManager().get_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    init = {
        "interval": INTERVAL_S,
        "version": jtop.__version__,
        "board": {"hardware": {}},
        "memory": {},
        "fan": {},
        "jc": False,
    }
    threading.Thread(target=_answer, args=(requests, init), daemon=True).start()
    threading.Thread(target=_wait_for_end, daemon=True).start()
    print("serving", flush=True)
    while True:
        data["power"] = power.get_status()
        event.set()
        threading.Event().wait(INTERVAL_S)


def _answer(requests: queue.Queue[Any], init: dict[str, Any]) -> None:
    while True:
        asked = requests.get()
        if "interval" in asked:
            requests.put({"init": init})
        elif "init" in asked:
            requests.put(asked)
            threading.Event().wait(0.01)


def _wait_for_end() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))

"""Power rails as jetson-stats (jtop) tells them, for boards whose own files cannot be read.

jtop is a service of root's with a client library; names and shapes are those of jetson-stats 3.1,
4.0, 4.3 and 7.2. It reads the same chips as the sensors ``ina3221`` and ``ina2xx``, once a second
by default, and costs CPU time of its own. **Its total is not used**: it adds rails that feed each
other (AGX Orin), or leaves parts out. Which rails are the total is board data, here too.

In 4.3 and 7 ``power`` is ``{"rail": {name: {"power": mW, …}}, "tot": {"power": mW, "name": …}}``;
the rail that jtop takes for the total is in ``tot`` under its ``name`` and not in ``rail``. In 3
and still in 4.0 it is ``(total, {name: {"cur": mW}})`` with VDD_ and POM_ cut off the names, and
the rail in ``total`` has none: it is called INPUT here (the one rail that has IN in its name).
"""

import importlib.util
import os
import sys
import threading
import time

from bench.agent import sysfs
from bench.agent.failure import one_line

SOCKET = "/run/jtop.sock"
INPUT = "input rail"
INTERVAL_S = 1.0
LARGEST_MW = 1e9
CONNECT_S = 10.0
"""A service that hangs takes the connection and never answers."""
LATE_S = 3.0
"""Without news for so many intervals the service is taken for stuck."""


def describe(root, options):
    """All rails as channels; empty where neither the service nor the library is there."""
    serves = os.path.exists(sysfs.under(root, SOCKET))
    has_library = importlib.util.find_spec("jtop") is not None
    is_jetson = any("nvidia,tegra" in name for name in sysfs.compatible(root))
    if not serves and not (has_library and is_jetson):
        return []
    names, interval_s, problem, version = [], None, None, "?"
    try:
        client = _connect(root)
        try:
            names, interval_s, version = sorted(client.rails_w()), client.interval_s, client.version
        finally:
            client.close()
    except OSError as error:
        problem = one_line(error)
    return [
        {
            "name": "jtop",
            "source": "measured",
            "unit": "W",
            "channels": [{"name": name, "resolution_w": None} for name in names],
            "lag_s": None,
            "scope": None,
            "samples": None,
            "update_interval_ms": None if interval_s is None else 1000 * interval_s,
            "refresh_s": interval_s,
            "note": "rails as jetson-stats %s tells them, with its own delay and its own use of "
            "the CPU; its total is not used" % version,
            "problem": problem,
        }
    ]


def open_sensor(root, options, channels):
    """Connect to the service; raises OSError with the fix, ValueError for an unknown rail."""
    client = _connect(root)
    rails = client.rails_w()
    names = list(channels) or sorted(rails)
    missing = [name for name in names if name not in rails]
    if missing or not names:
        client.close()
        raise ValueError(
            "jtop has no rail %s (has: %s)"
            % (", ".join(missing), ", ".join(sorted(rails)) or "none")
        )
    return Jtop(client, names)


class Jtop(object):
    """Watts per rail, with the time at which each update came: ``take`` has those since the last
    call."""

    unit = "W"

    def __init__(self, client, channels):
        self.channels = channels
        self._client = client
        self._lock = threading.Lock()
        self._ready = [(time.monotonic(), self._values())]
        self._last_s = self._ready[0][0]
        client.on_update(self._update)

    def take(self):
        """``[(monotonic seconds, [watts])]`` since the last call, oldest first."""
        with self._lock:
            taken, self._ready = self._ready, []
            now_s = time.monotonic()
            if not taken and now_s - self._last_s > LATE_S * (
                self._client.interval_s or INTERVAL_S
            ):
                self._last_s = now_s
                taken = [(now_s, [None] * len(self.channels))]
            return taken

    def close(self):
        """Leave the service."""
        self._client.close()

    def _update(self):
        """In the thread of the library."""
        with self._lock:
            self._last_s = time.monotonic()
            self._ready.append((self._last_s, self._values()))

    def _values(self):
        rails_w = self._client.rails_w()
        return [rails_w.get(name) for name in self.channels]


class Client(object):
    """jetson-stats' ``jtop`` object, connected."""

    def __init__(self, library):
        self.version = str(getattr(library, "__version__", "?"))
        self._jtop = library.jtop(interval=INTERVAL_S)
        self._start()
        self.interval_s = float(self._jtop.interval)

    def _start(self):
        """Connect; the library itself knows no limit. Raises what it raises, or OSError."""
        raised = []

        def start():
            try:
                self._jtop.start()
            except Exception as error:
                raised.append(error)

        thread = threading.Thread(target=start, daemon=True)
        thread.start()
        thread.join(CONNECT_S)
        if raised:
            raise raised[0]
        if thread.is_alive():
            raise OSError("it does not answer within %g s: restart it" % CONNECT_S)

    def rails_w(self):
        """``{rail: watts}`` of the last update."""
        return rails_w(self._jtop.power)

    def on_update(self, action):
        """Have ``action()`` called after each update."""
        self._jtop.attach(lambda _: action())

    def close(self):
        self._jtop.close()


def rails_w(power):
    """``{rail: watts}`` of what ``jtop.power`` is; a rail without a power is left out."""
    if isinstance(power, dict):
        told, total, key = dict(power.get("rail") or {}), power.get("tot") or {}, "power"
        if total.get("name"):
            told[total["name"]] = total
    else:
        total, told = power
        told, key = dict(told), "cur"
        if _milliwatts(total, key) != sum(_milliwatts(rail, key) or 0 for rail in told.values()):
            told[INPUT] = total
    found = {str(name): _milliwatts(rail, key) for name, rail in told.items()}
    return {name: power_mw / 1e3 for name, power_mw in found.items() if power_mw is not None}


def _milliwatts(rail, key):
    """A rail's power, ``None`` if it has none that is a number."""
    power_mw = rail.get(key)
    number = isinstance(power_mw, (int, float)) and abs(power_mw) < LARGEST_MW
    return power_mw if number else None


def _connect(root):
    """A connected client.

    Raises:
        OSError: there is none, in words that say what helps.
    """
    old = sys.version_info < (3, 7)
    wanted = "'jetson-stats<7'" if old else "jetson-stats"
    install = "sudo %s -m pip install %s" % (sys.executable, wanted)
    try:
        import jtop as library
    except ImportError:
        raise OSError("jtop runs here, but this Python lacks its library: %s" % install)
    except SyntaxError:
        raise OSError("this jetson-stats needs Python 3.7 or newer: %s" % install)
    service = _service(getattr(library, "__version__", ""))
    socket = sysfs.under(root, SOCKET)
    if not os.path.exists(socket):
        raise OSError(
            "%s is missing: the service %s is not active: sudo systemctl enable --now %s (if it "
            "fails: sudo jtop --install-service)" % (SOCKET, service[0], service[0])
        )
    if not os.access(socket, os.R_OK | os.W_OK):
        raise OSError(
            "no access to %s: it belongs to the group %s: sudo usermod -aG %s $USER, then log in "
            "again" % (SOCKET, service[1], service[1])
        )
    try:
        return Client(library)
    except Exception as error:  # JtopException, but also what its queues and its parser raise
        raise OSError("the service %s cannot be used: %s" % (service[0], one_line(error)))


def _service(version):
    """``(service, group)`` of a version of jetson-stats."""
    if version.split(".")[0] in ("1", "2", "3") or version.startswith("4.0"):
        return "jetson_stats.service", "jetson_stats"
    return "jtop.service", "jtop"

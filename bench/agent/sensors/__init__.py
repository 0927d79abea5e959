"""The power sensors that the sampler can read.

A sensor is a module with two functions; both read below ``root``:

``describe(root, options)``
    what is there, as a list of dicts ``{"name", "source" ("measured"|"counter"|"estimated"),
    "unit" ("W"|"J"), "channels": [{"name", "resolution_w", and maybe "resolution_j" (one step
    of a counter), "problem"}], "lag_s", "scope", "samples", "update_interval_ms",
    "problem"}``; what is unknown is ``None``;
    ``problem`` says in one line why it cannot be read and what helps. Empty when the board has
    no such sensor. May be left out: ``refresh_s`` (how often the value is renewed), ``gain_error``
    (relative, the maker's figure), ``period_s`` (reading more often is of no use, or disturbs) and
    ``note`` (what whoever reads a result must know).

``open_sensor(root, options, channels)``
    an object with ``channels`` (names), ``unit`` and ``read()``: one value per channel, ``None``
    where the read failed. ``channels`` empty means all. A ``"J"`` sensor is a running counter,
    already unwrapped. Raises OSError or ValueError when the sensor is not there.
    A sensor whose values come by themselves, with times of their own, has ``take()`` in place of
    ``read()``: a list of ``(monotonic seconds, values)`` since the last call, oldest first. One
    that holds something has ``close()``.
"""

from bench.agent import plugged
from bench.agent.failure import one_line
from bench.agent.sensors import (
    battery,
    command,
    estimate,
    ina2xx,
    ina3221,
    jtop,
    nvml,
    rapl,
    replay,
    rpi_pmic,
)

SENSORS = {
    "ina3221": ina3221,
    "ina2xx": ina2xx,
    "rpi-pmic": rpi_pmic,
    "jtop": jtop,
    "rapl": rapl,
    "battery": battery,
    "nvml": nvml,
    "command": command,
    "replay": replay,
    "estimate": estimate,
}
SENSORS.update(plugged.sensors())


def described(root, options):
    """``[(name, description)]`` of all sensors here; ``options``: by the sensor's name.

    A sensor that cannot even be described (a library of another version, a driver of its own mind)
    costs itself alone: its description is a problem.
    """
    found = []
    for name in sorted(SENSORS):
        try:
            found += [(name, each) for each in SENSORS[name].describe(root, options.get(name, {}))]
        except Exception as error:
            problem = one_line("%s: %s" % (type(error).__name__, error))
            found.append((name, _indescribable(name, problem)))
    return found


def _indescribable(name, problem):
    return {
        "name": name,
        "source": "measured",
        "unit": "W",
        "channels": [],
        "lag_s": None,
        "scope": None,
        "samples": None,
        "update_interval_ms": None,
        "problem": problem,
    }

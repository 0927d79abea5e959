"""The power sensors that the sampler can read.

A sensor is a module with two functions; both read below ``root``:

``describe(root, options)``
    what is there, as a list of dicts ``{"name", "source" ("measured"|"counter"|"estimated"),
    "unit" ("W"|"J"), "channels": [{"name", "resolution_w", "problem" (may be left out)}],
    "lag_s", "scope", "samples", "update_interval_ms", "problem"}``; what is unknown is ``None``;
    ``problem`` says in one line why it cannot be read and what helps. Empty when the board has
    no such sensor.

``open_sensor(root, options, channels)``
    an object with ``channels`` (names), ``unit`` and ``read()``: one value per channel, ``None``
    where the read failed. ``channels`` empty means all. A ``"J"`` sensor is a running counter,
    already unwrapped. Raises OSError or ValueError when the sensor is not there.
"""

from bench.agent import plugged
from bench.agent.sensors import estimate, ina3221, nvml, rapl, replay

SENSORS = {
    "ina3221": ina3221,
    "rapl": rapl,
    "nvml": nvml,
    "replay": replay,
    "estimate": estimate,
}
SENSORS.update(plugged.sensors())

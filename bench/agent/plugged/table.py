"""Which plug-ins are packed beside this file. Empty here; the host writes it into the agent that it
sends (bench/device/deploy.py)::

    SENSORS, RUNTIMES = {name: {"module": name of a module of this package, "package": whose}}
"""

SENSORS = {}
RUNTIMES = {}

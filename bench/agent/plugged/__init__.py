"""Sensors and runtimes of other packages, which the host has packed into this agent.

Each is one module of this package, named by ``table.py``. It is as those of ``bench.agent.sensors``
and ``bench.agent.runtimes``, but nobody here has read it: what it gets wrong must cost nothing but
itself, so it is asked through the classes below.
"""

import importlib
import sys

from bench.agent.failure import one_line
from bench.agent.plugged import table

UNITS = ("W", "J")
SOURCES = ("measured", "counter", "estimated")
NUMBER = (int, float)
KINDS = {
    "lag_s": NUMBER,
    "scope": str,
    "samples": NUMBER,
    "update_interval_ms": NUMBER,
    "problem": str,
}
"""What a description may leave out, and the type of what it says."""


def sensors():
    """``{name: sensor}`` of those that are packed here."""
    return {name: Sensor(name, table.SENSORS[name]) for name in sorted(table.SENSORS)}


def runtimes():
    """``{name: runtime}`` of those that are packed here."""
    return {name: Runtime(table.RUNTIMES[name]) for name in sorted(table.RUNTIMES)}


class Sensor(object):
    """What :mod:`bench.agent.sensors` says; its facts are brought into the shape of that."""

    def __init__(self, name, entry):
        self._name = name
        self._module, self._problem = _load(entry)

    def describe(self, root, options):
        """What the module describes, or that it cannot be asked."""
        if self._problem is not None:
            return [self._described({"problem": self._problem})]
        try:
            found = [self._described(each) for each in self._module.describe(root, options)]
        except Exception as error:
            text = "%s: %s" % (type(error).__name__, error)
            return [self._described({"problem": one_line(text)})]
        # The channels of all of them would be added up to one total.
        return found[:1]

    def open_sensor(self, root, options, channels):
        """The module's sensor; raises ValueError when the module cannot be used."""
        if self._problem is not None:
            raise ValueError(self._problem)
        try:
            return self._module.open_sensor(root, options, channels)
        except (OSError, ValueError):
            raise
        except Exception as error:
            raise ValueError("%s: %s" % (type(error).__name__, error))

    def _described(self, given):
        """All facts of a description: what was not given is not known."""
        facts = dict(dict.fromkeys(KINDS), source="measured", unit="W", channels=[])
        facts.update((key, given[key]) for key in facts if key in given)
        if facts["unit"] not in UNITS or facts["source"] not in SOURCES:
            raise ValueError("no unit %r or no source %r" % (facts["unit"], facts["source"]))
        for key in KINDS:
            if facts[key] is not None and not isinstance(facts[key], KINDS[key]):
                raise ValueError("%s is %.40r" % (key, facts[key]))
        facts["channels"] = [
            {
                "name": str(each["name"]),
                "resolution_w": each.get("resolution_w"),
                "problem": each.get("problem"),
            }
            for each in facts["channels"]
        ]
        facts["name"] = self._name
        return facts


class Runtime(object):
    """What :mod:`bench.agent.runtimes` says."""

    def __init__(self, entry):
        self._module, self._problem = _load(entry)
        self.PROBE = "import sys; sys.exit(%r)" % self._problem
        if self._problem is None:
            self.PROBE = self._module.PROBE

    def __getattr__(self, name):
        """``build`` and ``build_s`` are there where the module has them."""
        return getattr(self._module, name)

    def complaint(self, facts):
        """What the module has against the package that was found."""
        try:
            return self._module.complaint(facts) if hasattr(self._module, "complaint") else None
        except Exception as error:
            return one_line("%s: %s" % (type(error).__name__, error))

    def import_engine(self):
        """The module's engine; raises ImportError when the module cannot be used."""
        if self._problem is not None:
            raise ImportError(self._problem)
        return self._module.import_engine()


def _load(entry):
    """``(module, None)``, or ``(None, problem)`` of one that cannot be imported here."""
    try:
        return importlib.import_module("%s.%s" % (__name__, entry["module"])), None
    except (Exception, SystemExit) as error:
        text = "the plug-in of package %s cannot be used with Python %d.%d: %s: %s"
        words = (entry["package"],) + sys.version_info[:2] + (type(error).__name__, error)
        return None, one_line(text % words)

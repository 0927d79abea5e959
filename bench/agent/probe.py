"""Facts of the board: what it is, what runs on it, what it can measure."""

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time

from bench.agent import board, health, identity, launch, lease, packages, power_mode, sysfs, wire
from bench.agent.child import numpy_environment, signal_name
from bench.agent.clock import now_ns
from bench.agent.failure import one_line
from bench.agent.runtimes import RUNTIMES
from bench.agent.sensors import SENSORS, described

NUMPY_PROBE = "import json, numpy; print(json.dumps({'version': numpy.__version__}))"
IMPORT_LIMIT_S = 60
TIMED_READS = 5
MOST_COMPATIBLE = 20
VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}(\D|$)")
"""How the host expects a version to begin."""


def probe(root, options, wanted_lock):
    """The document of the ``probe`` command; ``options``: JSON of options by sensor name.

    A board that is measuring is left alone: the answer is who it measures for.
    """
    work_dir = board.folder()
    # What this finds must be the board's own state, not one that a dead job left behind.
    left_behind = launch.restore(wanted_lock)
    if "busy" in left_behind:
        return left_behind
    paths = packages.search_path(work_dir)
    return {
        "version": wire.WIRE_VERSION,
        "board": identify(root),
        "os": operating_system(root),
        "python": python(),
        "packages": packages.in_use(work_dir),
        "numpy": probe_import(NUMPY_PROBE, paths),
        "runtimes": runtimes(paths),
        "cpu": {
            "model": cpu_model(root),
            "count": os.cpu_count(),
            "governor": health.governors(root),
            "frequency_khz": health.frequencies_khz(root),
        },
        "memory": {
            "total_bytes": health.memory_bytes(root, "MemTotal"),
            "available_bytes": health.memory_bytes(root, "MemAvailable"),
        },
        "disk": {"free_bytes": shutil.disk_usage(work_dir).free},
        "temperature_c": health.temperatures_c(root),
        "state": {
            "power_mode": power_mode.name(root, power_mode.current(root)),
            "power_modes": {str(id): name for id, name in power_mode.modes(root).items()},
            "restored": left_behind["restored"],
            "problem": left_behind["problem"],
        },
        "lock": lease.place(wanted_lock, work_dir),
        "sensors": sensors(root, json.loads(options)),
        "boot_id": identity.boot_id(),
        "monotonic_ns": now_ns(),
        "wall_s": time.time(),
    }


def python():
    """This interpreter, and what a wheel must be built for to run in it."""
    bits = 64 if sys.maxsize > 2**32 else 32
    return {
        "version": platform.python_version(),
        "executable": sys.executable,
        "implementation": sys.implementation.name,
        "abi_flags": sys.abiflags,
        "platform": sysconfig.get_platform(),
        "bits": bits,
        "glibc": glibc(),
    }


def glibc():
    """Version of the GNU C library, as ``2.27``; ``None`` where there is another one."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (OSError, ValueError):
        return None
    return version if name == "glibc" and version else None


def runtimes(paths):
    """Facts of each runtime by name; what several are made of is imported once."""
    codes = {runtime.PROBE for runtime in RUNTIMES.values()}
    found = {code: probe_import(code, paths) for code in codes}
    return {name: _runtime(RUNTIMES[name], found[RUNTIMES[name].PROBE]) for name in RUNTIMES}


def identify(root):
    """Model and compatible strings of the device tree (``None`` and empty without one)."""
    tree = sysfs.under(root, "/proc/device-tree")
    names = sysfs.compatible(root)
    return {
        "model": sysfs.read_name(os.path.join(tree, "model")),
        "compatible": [name[: sysfs.NAME_CHARACTERS] for name in names[:MOST_COMPATIBLE]],
    }


def operating_system(root):
    """Name, kernel, machine and, on a Jetson, the L4T release such as ``32.7.1``."""
    release = sysfs.read_text(sysfs.under(root, "/etc/os-release")) or ""
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', release, re.MULTILINE)
    tegra = sysfs.read_name(sysfs.under(root, "/etc/nv_tegra_release")) or ""
    l4t = re.search(r"R([0-9]+) .*?REVISION: ([0-9.]+)", tegra)
    return {
        "pretty_name": name.group(1)[: sysfs.NAME_CHARACTERS] if name else None,
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "l4t": "%s.%s" % l4t.groups() if l4t else None,
    }


def cpu_model(root):
    """Name of the CPU as /proc/cpuinfo has it (Arm kernels tell only numbers), or ``None``."""
    text = sysfs.read_text(sysfs.under(root, "/proc/cpuinfo")) or ""
    lines = [line.partition(":") for line in text.split("\n")]
    fields = {name.strip(): value.strip() for name, _, value in lines}
    name = fields.get("model name") or fields.get("Hardware")
    if not name and fields.get("CPU part"):
        name = "Arm part %s (implementer %s)" % (fields["CPU part"], fields.get("CPU implementer"))
    return name[: sysfs.NAME_CHARACTERS] if name else None


def probe_import(code, paths=()):
    """What ``code`` prints as JSON plus ``problem``, or ``None`` when the package is missing.

    ``paths``: folders to search before the board's own. It runs in a process of its own: an import
    can kill its process (a wheel built for another CPU does), and then ``version`` is ``None`` and
    ``problem`` says what happened.
    """
    environment = numpy_environment()
    present = environment.get("PYTHONPATH")
    searched = list(paths) + ([present] if present else [])
    if searched:
        environment["PYTHONPATH"] = os.pathsep.join(searched)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=IMPORT_LIMIT_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return _broken("the import took longer than %d s" % IMPORT_LIMIT_S)
    lines = done.stderr.decode("utf-8", "replace").strip().split("\n")
    if done.returncode < 0:
        return _broken("the import died: %s" % signal_name(-done.returncode))
    if done.returncode:
        return None if lines[-1].startswith("ModuleNotFoundError") else _broken(lines[-1])
    try:
        facts = dict(json.loads(done.stdout.decode("utf-8").strip().split("\n")[-1]), problem=None)
        if "providers" in facts:
            facts["providers"] = [str(name) for name in facts["providers"]]
    except (TypeError, ValueError):
        return _broken("the import printed something else than its version")
    if not VERSION.match(str(facts.get("version"))):
        return _broken("it gives %.40r for its version, not such as 1.2" % facts.get("version"))
    return facts


def _runtime(runtime, package):
    """The facts of the package, with what keeps it from serving this runtime."""
    if package is None or package["problem"] or not hasattr(runtime, "complaint"):
        return package
    return dict(package, problem=runtime.complaint(package))


def _broken(problem):
    return {"version": None, "problem": problem}


def sensors(root, options):
    """Descriptions of all sensors here, each with ``read_s``: the measured cost of one read."""
    found = []
    for name, description in described(root, options):
        description["read_s"] = None
        if description["problem"] is None:
            try:
                sensor = SENSORS[name].open_sensor(root, options.get(name, {}), [])
                description["read_s"] = read_cost_s(sensor)
                if hasattr(sensor, "close"):
                    sensor.close()
            except Exception as error:  # one sensor must not cost the others
                description["problem"] = one_line(error) or type(error).__name__
        found.append(description)
    return found


def read_cost_s(sensor):
    """Median seconds of one read of all channels (of taking over what came, where it comes by
    itself)."""
    read = sensor.take if hasattr(sensor, "take") else sensor.read
    costs = []
    for _ in range(TIMED_READS):
        began = time.monotonic()
        read()
        costs.append(time.monotonic() - began)
    return statistics.median(costs)

"""CPU clock limits and governors (cpufreq), and jetson_clocks where a board has it.

A *policy* is a group of CPUs that share a clock; its folder holds ``scaling_min_freq`` and so on.
"""

import os

from bench.agent import power_mode, privilege, sysfs
from bench.agent.privilege import StateProblem

GOVERNOR = "scaling_governor"
MIN = "scaling_min_freq"
MAX = "scaling_max_freq"


def snapshot(root, names=(GOVERNOR, MIN, MAX)):
    """``{policy folder: {file name: text}}`` of governor and limits."""
    found = {}
    for link in sysfs.find(root, "/sys/devices/system/cpu/cpu[0-9]*/cpufreq"):
        folder = os.path.realpath(link)
        texts = {name: sysfs.read_text(os.path.join(folder, name)) for name in names}
        # A driver that cannot tell a limit says so in words.
        found[folder] = {
            name: text
            for name, text in texts.items()
            if text and (name == GOVERNOR or _is_clock(text))
        }
    return found


def is_capped(root):
    """Whether the kernel holds CPU clocks down for heat: the upper limits then read too low."""
    for folder in sysfs.find(root, "/sys/class/thermal/cooling_device*"):
        kind = sysfs.read_text(os.path.join(folder, "type")) or ""
        if "cpu" in kind.lower() and sysfs.read_int(os.path.join(folder, "cur_state")):
            return True
    return False


def files(policies, names):
    """Paths of some files of all policies, in order."""
    return [
        os.path.join(folder, name)
        for folder in sorted(policies)
        for name in names
        if name in policies[folder]
    ]


def check_pinning(root):
    """Raise StateProblem where clocks cannot be pinned at all."""
    limits = files(snapshot(root), [MIN, MAX])
    if not limits:
        raise StateProblem(
            "clocks cannot be pinned: the board has no cpufreq limits (%s is missing)"
            % sysfs.under(root, "/sys/devices/system/cpu/cpu0/cpufreq/" + MIN)
        )


def check_governor(root, governor):
    """Raise StateProblem unless every policy offers the governor."""
    policies = snapshot(root)
    if not files(policies, [GOVERNOR]):
        raise StateProblem("governor %r cannot be set: the board has no cpufreq" % governor)
    for folder in sorted(policies):
        path = os.path.join(folder, "scaling_available_governors")
        offered = (sysfs.read_text(path) or "").split()
        if governor not in offered:
            raise StateProblem(
                "the board has no governor %r; it has: %s" % (governor, ", ".join(offered))
            )


def set_governor(root, governor):
    """Give every policy the governor."""
    for path in files(snapshot(root), [GOVERNOR]):
        privilege.write(root, path, governor)


def pin(root):
    """Pin the clocks to the highest that the power mode allows.

    ``jetson_clocks`` pins those of GPU and memory as well. Without it the limits of the CPUs are
    lifted to what the hardware can do, unless a power mode sets them.
    """
    command = privilege.find_command(root, "jetson_clocks")
    if command is not None:
        _jetson_clocks(root, command)
        return
    for folder, texts in sorted(snapshot(root).items()):
        highest = sysfs.read_text(os.path.join(folder, "cpuinfo_max_freq"))
        if not _is_clock(highest) or power_mode.current(root) is not None:
            highest = texts.get(MAX)
        if highest is not None:
            _write_limits(root, folder, {MIN: highest, MAX: highest})


def store(root, path):
    """Let jetson_clocks write to ``path`` what it would change; whether there is such a file."""
    command = privilege.find_command(root, "jetson_clocks")
    if command is None:
        return False
    if os.path.exists(path):
        os.remove(path)  # jetson_clocks would ask whether to overwrite it
    _jetson_clocks(root, command, "--store", path)
    return True


def restore(root, policies, stored):
    """Put back a snapshot of policies and, if not ``None``, the file that ``store`` wrote."""
    if stored is not None:
        command = privilege.find_command(root, "jetson_clocks")
        if command is None:
            raise StateProblem("the board's jetson_clocks is gone")
        _jetson_clocks(root, command, "--restore", stored)
    for folder, texts in sorted(policies.items()):
        path = os.path.join(folder, GOVERNOR)
        if GOVERNOR in texts and texts[GOVERNOR] != sysfs.read_text(path):
            privilege.write(root, path, texts[GOVERNOR])
        _write_limits(root, folder, texts)


def differences(root, policies):
    """How the present differs from a snapshot, in words; limits may read lower for heat."""
    capped = is_capped(root)
    found = []
    for folder, texts in sorted(policies.items()):
        for name, text in sorted(texts.items()):
            path = os.path.join(folder, name)
            present = sysfs.read_text(path)
            lowered = (
                capped and name != GOVERNOR and _is_clock(present) and int(present) < int(text)
            )
            if present != text and not lowered:
                found.append("%s is %s, was %s" % (path, present or "missing", text))
    return found


def unpinned(root):
    """Policies whose clock may still change, in words."""
    return [
        "%s has a clock between %s and %s kHz" % (folder, texts[MIN], texts.get(MAX, "unknown"))
        for folder, texts in sorted(snapshot(root).items())
        if MIN in texts and texts[MIN] != texts.get(MAX)
    ]


def other_governors(root, governor):
    """Policies with another governor, in words."""
    return [
        "%s has governor %s" % (folder, texts[GOVERNOR])
        for folder, texts in sorted(snapshot(root).items())
        if texts.get(GOVERNOR, governor) != governor
    ]


def _is_clock(text):
    return text is not None and sysfs.counts([text]) is not None


def _write_limits(root, folder, texts):
    """Write limits that differ, in an order in which the lower one never exceeds the upper."""
    present = {name: sysfs.read_text(os.path.join(folder, name)) for name in (MIN, MAX)}
    order = (MIN, MAX)
    if MIN in texts and _is_clock(present[MAX]) and int(texts[MIN]) > int(present[MAX]):
        order = (MAX, MIN)
    for name in order:
        if name in texts and texts[name] != present[name]:
            privilege.write(root, os.path.join(folder, name), texts[name])


def _jetson_clocks(root, command, *arguments):
    """Run it; it often ends with status 0 when something failed, but says ``Error``."""
    said = privilege.run(root, [command] + list(arguments))
    errors = [line for line in said.split("\n") if line.startswith("Error")]
    if errors:
        raise StateProblem("jetson_clocks failed: %s" % errors[0])

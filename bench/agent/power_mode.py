"""Power modes of Jetson boards (nvpmodel): ids and names differ by board and by JetPack."""

import os
import re

from bench.agent import privilege, sysfs
from bench.agent.privilege import StateProblem

CONFIG = "/etc/nvpmodel.conf"
STATUS = "/var/lib/nvpmodel/status"


def modes(root):
    """``{id: name}`` in the order of the board's configuration; empty where there are none."""
    text = sysfs.read_text(sysfs.under(root, CONFIG)) or ""
    pattern = r"^[ \t]*<[ \t]*POWER_MODEL[ \t]+ID=([0-9]{1,9})[ \t]+NAME=([^\s>]{1,80})"
    pairs = re.findall(pattern, text, re.MULTILINE)
    return {int(number): name for number, name in pairs}


def current(root):
    """Id of the mode that the board is in, or ``None`` when that cannot be told."""
    nvpmodel = privilege.find_command(root, "nvpmodel")
    if nvpmodel is None:
        return None
    lines = privilege.query([nvpmodel, "-q"]).strip().split("\n")
    if re.match(r"\s*[0-9]{1,9}\s*$", lines[-1]):
        return int(lines[-1])
    status = sysfs.read_text(sysfs.under(root, STATUS)) or ""
    number = re.search(r"pmode:([0-9]{1,9})", status)
    return int(number.group(1)) if number else None


def name(root, number):
    """Name of a mode, its number as text where the configuration does not list it."""
    return None if number is None else modes(root).get(number, str(number))


def find(root, wanted):
    """Id of the mode that is called ``wanted`` (a name in any case, or an id).

    Raises:
        StateProblem: the board has no such mode, or none at all.
    """
    if privilege.find_command(root, "nvpmodel") is None:
        raise StateProblem(
            "power mode %r cannot be set: the board has no nvpmodel (it belongs to NVIDIA Jetson)"
            % wanted
        )
    known = modes(root)
    for number, label in known.items():
        if label.lower() == wanted.lower():
            return number
    if wanted.isdigit() and int(wanted) in known:
        return int(wanted)
    listed = ", ".join("%s (id %d)" % (label, number) for number, label in known.items())
    raise StateProblem(
        "the board has no power mode %r; it has: %s" % (wanted, listed or "none in " + CONFIG)
    )


def switch(root, number):
    """Bring the board into a mode, unless it is in it: nvpmodel would undo pinned clocks.

    Raises:
        StateProblem: nvpmodel failed, or the board is in another mode after it.
    """
    if current(root) == number:
        return
    nvpmodel = privilege.find_command(root, "nvpmodel")
    if nvpmodel is None:
        raise StateProblem("the board's nvpmodel is gone")
    said = privilege.run(root, [nvpmodel, "-m", str(number)])
    if current(root) != number:
        raise StateProblem(
            "`%s -m %d` left the board in power mode %s: %s"
            % (
                os.path.basename(nvpmodel),
                number,
                name(root, current(root)),
                privilege.last_line(said),
            )
        )

"""A constructed board whose power mode, clocks and governor can be set; no Jetson was at hand.

Its ``nvpmodel``, ``jetson_clocks`` and ``sudo`` are doubles: shell scripts that keep what they were
told in files. They behave as NVIDIA's do where it matters: a change of the power mode sets the
clock limits and so undoes ``jetson_clocks``, a mode may ask for a reboot and then is not taken, and
an existing file is not overwritten.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from board_folder import BoardFolder

MODES = {0: "MAXN", 1: "15W", 2: "10W"}
LIMITS_KHZ = {0: 1984000, 1: 1420000, 2: 1190000}
LOWEST_KHZ = 115200
ASKED_ALL = {"power_mode": "15W", "clocks": "max", "governor": "performance"}
POLICY = "sys/devices/system/cpu/cpu0/cpufreq"
GPU = "sys/class/devfreq/17000000.ga10b"
GPU_LIMITS_KHZ = (306000, 624750)

NVPMODEL = """#!/bin/sh
# Double of nvpmodel.
echo "nvpmodel $*" >> {root}/calls
status={root}/var/lib/nvpmodel/status
policy={root}/{policy}
case "$1" in
-q) echo "NV Power Mode: x"; sed 's/pmode:0*\\([0-9]\\)/\\1/' $status ;;
-m)
    if [ -e {root}/slow ]; then sleep 5; fi
    if [ -e {root}/needs-reboot ]; then
        echo "NVPM WARN: Reboot required for changing to this power mode: $2"
        read answer || exit 0
    fi
    if [ -e {root}/broken ]; then echo "NVPM ERROR: no such device"; exit 255; fi
    printf 'pmode:%04d\\n' "$2" > $status
    case "$2" in {limits} esac
    echo {lowest} > $policy/scaling_min_freq
    echo $limit > $policy/scaling_max_freq ;;
esac
"""

JETSON_CLOCKS = """#!/bin/sh
# Double of jetson_clocks.
echo "jetson_clocks $1" >> {root}/calls
policy={root}/{policy}
case "$1" in
--show) ;;
--store)
    if [ -e "$2" ]; then echo "File $2 already exists. Can I overwrite it? Y/N:"; exit 1; fi
    cat $policy/scaling_min_freq > "$2" ;;
--restore) cat "$2" > $policy/scaling_min_freq ;;
*)
    if [ ! -e {root}/unpinnable ]; then
        cat $policy/scaling_max_freq > $policy/scaling_min_freq
    fi
    if [ -e {root}/{gpu} ] && [ ! -e {root}/unpinnable-gpu ]; then
        cat {root}/{gpu}/max_freq > {root}/{gpu}/min_freq
    fi ;;
esac
"""

SUDO = """#!/bin/sh
# Double of sudo that grants everything. As in sysfs, opening a file alone changes nothing.
shift
case "$1" in
*/tee) text=$(cat); [ -z "$text" ] || printf '%s\\n' "$text" > "$2" ;;
*) exec "$@" ;;
esac
"""

NO_SUDO = """#!/bin/sh
# Double of sudo that would ask for a password.
echo "sudo: a password is required" >&2
exit 1
"""


class StatefulBoard:
    """A root folder with nvpmodel, jetson_clocks, cpufreq and sudo."""

    def __init__(
        self, root: Path, *, nvpmodel: bool = True, jetson_clocks: bool = True, sudo: str = SUDO
    ) -> None:
        self.root = root
        policy = root / POLICY
        policy.mkdir(parents=True)
        for name, text in {
            "scaling_governor": "schedutil",
            "scaling_available_governors": "schedutil performance powersave",
            "scaling_min_freq": str(LOWEST_KHZ),
            "scaling_max_freq": str(LIMITS_KHZ[0]),
            "cpuinfo_max_freq": str(LIMITS_KHZ[0]),
        }.items():
            (policy / name).write_text(text + "\n")
        self._script("usr/bin/sudo", sudo)
        if nvpmodel:
            self._add_power_modes()
        if jetson_clocks:
            self._script("usr/bin/jetson_clocks", JETSON_CLOCKS)

    @property
    def power_mode(self) -> str:
        """Name of the mode that the board is in."""
        return MODES[int((self.root / "var/lib/nvpmodel/status").read_text().split(":")[1])]

    @property
    def limits_khz(self) -> tuple[int, int]:
        """Lower and upper limit of the CPU clock."""
        low, high = (self.read(name) for name in ("scaling_min_freq", "scaling_max_freq"))
        return int(low), int(high)

    @property
    def calls(self) -> list[str]:
        """Calls of the doubles so far, those that change something."""
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.endswith((" -q", " --show"))]

    def read(self, name: str) -> str:
        """Text of a cpufreq file."""
        return (self.root / POLICY / name).read_text().strip()

    def write(self, name: str, text: object) -> None:
        """Set a cpufreq file, as somebody else on the board would."""
        (self.root / POLICY / name).write_text(f"{text}\n")

    def touch(self, name: str) -> None:
        """Make the doubles misbehave.

        ``slow``, ``needs-reboot``, ``broken``, ``unpinnable``, ``unpinnable-gpu``.
        """
        (self.root / name).touch()

    def add_gpu(self) -> None:
        """Give the board a GPU whose clock jetson_clocks pins, in Hz as devfreq has it."""
        folder = self.root / GPU
        folder.mkdir(parents=True)
        for name, khz in zip(("min_freq", "max_freq"), GPU_LIMITS_KHZ, strict=True):
            (folder / name).write_text(f"{khz * 1000}\n")

    def _add_power_modes(self) -> None:
        lines = [f"< POWER_MODEL ID={number} NAME={name} >" for number, name in MODES.items()]
        config = self.root / "etc/nvpmodel.conf"
        config.parent.mkdir()
        config.write_text("# < POWER_MODEL ID=9 NAME=COMMENT >\n" + "\nx\n".join(lines) + "\n")
        status = self.root / "var/lib/nvpmodel/status"
        status.parent.mkdir(parents=True)
        status.write_text("pmode:0000\n")
        self._script("usr/sbin/nvpmodel", NVPMODEL)

    def _script(self, path: str, text: str) -> None:
        limits = " ".join(f"{number}) limit={khz} ;;" for number, khz in LIMITS_KHZ.items())
        values = {"{root}": self.root, "{policy}": POLICY, "{lowest}": LOWEST_KHZ, "{gpu}": GPU}
        for name, value in {**values, "{limits}": limits}.items():
            text = text.replace(name, str(value))
        script = self.root / path
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(text)
        script.chmod(0o755)


def stateful_job(board: BoardFolder, jetson: StatefulBoard, **changes: Any) -> Path:
    """A short job on the constructed board; ``changes`` as in ``BoardFolder.job``."""
    settings = {"root": str(jetson.root), "latency_round_s": 0.01, **changes}
    return board.job([board.case("a")], **settings)


def states(board: BoardFolder, job: Path) -> dict[str, dict[str, Any]]:
    """The ``state`` records of a job by where they were taken."""
    return {r["where"]: r for r in board.records(job) if r["kind"] == "state"}


def assert_untouched(jetson: StatefulBoard) -> None:
    """Assert that the board is as it was made."""
    assert jetson.limits_khz == (LOWEST_KHZ, LIMITS_KHZ[0])
    assert jetson.read("scaling_governor") == "schedutil"
    assert jetson.power_mode == "MAXN"

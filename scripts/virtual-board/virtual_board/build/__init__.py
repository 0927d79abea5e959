"""Makes what all virtual boards share: kernel, root file system, device tree, warm snapshot.

Everything is made in a folder beside the final one, which gets its name only when it is whole. One
build at a time: a second waits for the first and then finds its work done. Nothing is emulated
until the snapshot is taken.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from virtual_board import places
from virtual_board.build import device_tree, modules, packages, snapshot
from virtual_board.build.commands import Log, as_root
from virtual_board.build.debian import Debian

Say = Callable[[str], None]


def build(say: Say) -> Path:
    """Return the folder of the build that belongs to these scripts; make it if it is not there.

    Args:
        say: takes a line about each finished step.

    Raises:
        BoardError: a step failed; the message names the log.
    """
    found = places.find_build()
    if found is not None:
        return found
    home = places.home()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = places.find_build()
        return found if found is not None else _build(home, say)


def _build(home: Path, say: Say) -> Path:
    began = time.monotonic()

    def step(text: str) -> None:
        say(f"{time.monotonic() - began:4.0f} s  {text}")

    folder = home / "building"
    if folder.exists():
        shutil.rmtree(folder)
    work = folder / "work"
    work.mkdir(parents=True)
    with (home / "build.log").open("w", encoding="utf-8") as stream:
        log = Log(stream)
        debian = Debian(work / "apt", log)
        step(f"package lists; the kernel is {debian.kernel}")
        packages.install(log)
        step("host packages")
        modules.compile_modules(debian, work, log)
        step("kernel modules")
        debian.download_root_packages()
        packages.download_wheels(work / "wheels", log)
        step("packages and wheels of the board")
        log.run(*as_root("virtual_board.build.rootfs", str(work), debian.kernel))
        device_tree.write(folder / "board.dtb", log)
        for name in (
            "kernel",
            "initrd",
            "base.img",
            "id_ed25519",
            "id_ed25519.pub",
            "host_key.pub",
        ):
            (work / name).rename(folder / name)
        shutil.rmtree(work)
        step("root file system")
        snapshot.take(folder, log)
        step("warm snapshot")
    final = home / f"{debian.abi}-{places.scripts_hash()}"
    folder.rename(final)
    return final

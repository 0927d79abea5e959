"""Kernel modules that Debian's arm64 kernel leaves out, compiled here for it.

``i2c-stub`` (an I2C chip that is only registers) and the ``ina3221`` driver are the kernel's own
sources, unchanged. ``virtual_rails`` is ours: it ties the two to the device tree.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from virtual_board import places
from virtual_board.build.commands import Log
from virtual_board.build.debian import Debian

KERNEL_SOURCES = ("drivers/i2c/i2c-stub.c", "drivers/hwmon/ina3221.c")
OWN_SOURCES = ("virtual_rails.c",)
CROSS = "aarch64-linux-gnu-"


def compile_modules(debian: Debian, work: Path, log: Log) -> None:
    """Put the modules into ``work/modules`` and the unpacked kernel package into ``work/kernel``.

    Raises:
        BoardError: they cannot be fetched or compiled.
    """
    packages = work / "packages"
    headers = f"linux-headers-{debian.kernel}"
    image = f"linux-image-{debian.kernel}"
    debian.download(packages, headers, image, debian.common, debian.source, debian.host_kbuild)
    built = work / "modules"
    built.mkdir()
    sources = work / "headers"
    for name in (headers, debian.common, debian.kbuild):
        unpack(packages, name, sources, log)
    unpack(packages, image, work / "kernel-package", log)
    unpack(packages, debian.source, work / "source", log)
    archive = next((work / "source").glob("usr/src/*.tar.xz"))
    paths = [f"{debian.source}/{path}" for path in KERNEL_SOURCES]
    log.run("tar", "-xf", str(archive), "-C", str(work), "--occurrence=1", *paths)
    for path in paths:
        shutil.copy(work / path, built)
    for name in OWN_SOURCES:
        shutil.copy(places.ON_BOARD / name, built)
    objects = [f"{path.stem}.o" for path in built.glob("*.c")]
    (built / "Makefile").write_text(f"obj-m := {' '.join(objects)}\n", encoding="utf-8")
    tree = sources / "usr" / "src" / headers
    for name in ("Makefile", ".kernelvariables"):
        text = (tree / name).read_text(encoding="utf-8")
        moved = text.replace("/usr/src/", f"{sources}/usr/src/")
        (tree / name).write_text(moved, encoding="utf-8")
    make = ("make", "-C", str(tree), f"M={built}", "ARCH=arm64", f"CROSS_COMPILE={CROSS}")
    log.run(*make, "modules")
    log.run(f"{CROSS}strip", "--strip-debug", *map(str, built.glob("*.ko")))


def unpack(packages: Path, name: str, target: Path, log: Log) -> None:
    """Unpack one of the downloaded packages.

    Raises:
        BoardError: it is damaged.
    """
    archive = next(packages.glob(f"{name.partition(':')[0]}_*.deb"))
    log.run("dpkg-deb", "-x", str(archive), str(target))

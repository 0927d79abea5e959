"""The board's disk image: Debian packages that are only unpacked, wheels, and our own files.

No program of the board runs while this is made, so what the packages' scripts would do is done
here as far as the board needs it. It is run as root or under fakeroot, as
``python -m virtual_board.build.rootfs WORK KERNEL``, and makes ``base.img``, ``kernel``,
``initrd`` and the keys in the folder WORK.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from virtual_board import BoardError, places
from virtual_board.build.commands import Log
from virtual_board.build.packages import BOARD_PYTHON

IMAGE_BYTES = 1500 << 20
LEFT_OUT = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/info/*")
MERGED = ("bin", "sbin", "lib")
BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
"""What it takes to mount the disk; the rest is loaded by ``on_board/boot``."""
LATER_MODULES = ("virtio_net", "virtio_rng", "i2c-dev", "af_packet")
COMPILE_ONCE = "compile_once.py"
BUSYBOX_COMMANDS = ("awk", "less", "ping", "vi")
FILES = {
    "etc/hostname": "virtual-orin-nano\n",
    "etc/hosts": "127.0.0.1 localhost virtual-orin-nano\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n",
    "etc/inittab": (
        "::sysinit:/usr/local/lib/virtual-board/boot\n"
        "::respawn:/usr/sbin/sshd -D\n"
        "::respawn:/usr/local/lib/virtual-board/injector.py\n"
        "::shutdown:/bin/umount -a -r\n"
    ),
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=7W >\n",
    "var/lib/nvpmodel/status": "pmode:0000\n",
    "etc/ssh/sshd_config": (
        "HostKey /etc/ssh/ssh_host_ed25519_key\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nUseDNS no\n"
        "MaxSessions 50\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
    ),
}


def main(work: Path, kernel: str) -> None:
    """Make everything; the log is this program's own output.

    Raises:
        BoardError: a step failed.
    """
    log = Log(sys.stdout)
    root = work / "root"
    root.mkdir()
    _unpack(work / "apt" / "cache" / "archives", root)
    _set_up(root)
    _install_own_files(root)
    _make_keys(work, root, log)
    _install_wheels(work / "wheels", root)
    _install_kernel(work, root, kernel, log)
    _make_initrd(work, root, kernel, log)
    image = work / "base.img"
    with image.open("wb") as stream:
        stream.truncate(IMAGE_BYTES)
    log.run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", str(root), str(image))


def _unpack(archives: Path, root: Path) -> None:
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    left_out = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    tar = ["tar", "-x", "-p", "--keep-directory-symlink", *left_out, "-C", str(root)]
    for package in sorted(archives.glob("*.deb")):
        contents = subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
        )
        done = subprocess.run(tar, stdin=contents.stdout, check=False)
        if contents.wait() or done.returncode:
            raise BoardError(f"cannot unpack {package.name}")


def _set_up(root: Path) -> None:
    """Do what the packages' scripts would have done."""
    for name in ("passwd", "group"):
        shutil.copy(root / "usr/share/base-passwd" / f"{name}.master", root / "etc" / name)
    passwd = root / "etc/passwd"
    users = passwd.read_text(encoding="utf-8").replace("root:*:", "root:x:")
    passwd.write_text(f"{users}sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n", encoding="utf-8")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "etc/shadow").chmod(0o640)
    if not (root / "bin/sh").exists():
        (root / "bin/sh").symlink_to("dash")
    for name in BUSYBOX_COMMANDS:
        if not (root / "usr/bin" / name).exists():
            (root / "usr/bin" / name).symlink_to("/bin/busybox")
    for name in ("init", "poweroff", "reboot"):
        (root / "sbin" / name).unlink(missing_ok=True)
        (root / "sbin" / name).symlink_to("/bin/busybox")
    for name in ("proc", "sys", "dev", "run", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def _install_own_files(root: Path) -> None:
    target = root / "usr/local/lib/virtual-board"
    target.mkdir(parents=True)
    for source in places.ON_BOARD.iterdir():
        if source.suffix in ("", ".py") and source.is_file() and source.name != COMPILE_ONCE:
            shutil.copy(source, target)
            (target / source.name).chmod(0o755)
    (root / "usr/sbin/nvpmodel").symlink_to("/usr/local/lib/virtual-board/nvpmodel")
    (root / "etc/virtual-board").mkdir()
    (root / "var/cache/virtual-board").mkdir(parents=True)


def _make_keys(work: Path, root: Path, log: Log) -> None:
    """Make the board's host key and the user's key; every board of this build has the same."""
    host_key = root / "etc/ssh/ssh_host_ed25519_key"
    for path, comment in ((host_key, "virtual board"), (work / "id_ed25519", "virtual board user")):
        log.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    shutil.copy(host_key.with_name(host_key.name + ".pub"), work / "host_key.pub")
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700)
    shutil.copy(work / "id_ed25519.pub", ssh / "authorized_keys")
    for path, mode in ((root / "root", 0o700), (ssh, 0o700), (ssh / "authorized_keys", 0o600)):
        path.chmod(mode)


def _install_wheels(wheels: Path, root: Path) -> None:
    target = root / f"usr/local/lib/python{BOARD_PYTHON}/dist-packages"
    target.mkdir(parents=True)
    shutil.copy(places.ON_BOARD / COMPILE_ONCE, target)
    (target / "compile_once.pth").write_text("import compile_once\n", encoding="utf-8")
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)


def _install_kernel(work: Path, root: Path, kernel: str, log: Log) -> None:
    """Copy the modules that the board loads, and no others, and let depmod list them."""
    package = work / "kernel-package"
    shutil.copy(package / f"boot/vmlinuz-{kernel}", work / "kernel")
    every, kept = package / "lib/modules" / kernel, root / "usr/lib/modules" / kernel
    log.run("depmod", "-b", str(package), kernel)
    for path in _with_dependencies(package, kernel, (*BOOT_MODULES, *LATER_MODULES), log):
        (kept / path.relative_to(every)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept / path.relative_to(every))
    own = kept / "extra"
    own.mkdir(parents=True)
    for path in (work / "modules").glob("*.ko"):
        shutil.copy(path, own)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(every / name, kept)
    log.run("depmod", "-b", str(root), kernel)


def _with_dependencies(folder: Path, kernel: str, names: tuple[str, ...], log: Log) -> list[Path]:
    """Return the files of modules and of those that they need, in the order of loading."""
    shown = log.read("modprobe", "-a", "-d", str(folder), "-S", kernel, "--show-depends", *names)
    lines = [line.split() for line in shown.splitlines()]
    return list(dict.fromkeys(Path(words[1]) for words in lines if words[0] == "insmod"))


def _make_initrd(work: Path, root: Path, kernel: str, log: Log) -> None:
    """Make the ramdisk that loads the disk's drivers and hands over to it."""
    folder = work / "ramdisk"
    for name in ("bin", "dev", "proc", "disk", "modules"):
        (folder / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", folder / "bin")
    files = _with_dependencies(root, kernel, BOOT_MODULES, log)
    for path in files:
        shutil.copy(path, folder / "modules")
    shutil.copy(places.ON_BOARD / "ramdisk-init", folder / "init")
    (folder / "init").chmod(0o755)
    order = "".join(f"{path.name}\n" for path in files)
    (folder / "modules/order").write_text(order, encoding="utf-8")
    names = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    archive = ("cpio", "--create", "--format=newc", "--quiet", f"--file={work / 'initrd'}")
    log.run(*archive, cwd=folder, data=names.encode())


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except BoardError as error:
        sys.exit(str(error))

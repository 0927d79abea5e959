"""Debian's arm64 packages, through the mirrors that the host's own apt is set up for.

A private apt state, so that the host needs no foreign architecture and no rights.
"""

from __future__ import annotations

import re
from pathlib import Path

from virtual_board import BoardError
from virtual_board.build.commands import Log

RELEASE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ROOT_PACKAGES = (
    "base-files",
    "base-passwd",
    "bash",
    "busybox-static",
    "coreutils",
    "dash",
    "debianutils",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "iproute2",
    "kmod",
    "libstdc++6",
    "login",
    "mount",
    "openssh-server",
    "procps",
    "python3",
    "sed",
    "tar",
    "util-linux",
)
"""A small system that bench's agent and a person find their way in. ONNX Runtime needs no more
than Python and libstdc++."""


class Debian:
    """The packages of the release; ``kernel`` is its present arm64 kernel, as ``uname -r`` has it.

    ``abi``: the same without the architecture. ``common``, ``kbuild`` and ``source``: names of the
    packages that modules for this kernel are made from; ``host_kbuild``: the second one with the
    architecture of this host, where it runs.
    """

    def __init__(self, folder: Path, log: Log) -> None:
        """Fetch the package lists into ``folder``.

        Raises:
            BoardError: the host is no Debian of that release, or the mirrors do not answer.
        """
        self.archives = folder / "cache" / "archives"
        self._folder, self._log = folder, log
        self._host = log.read("dpkg", "--print-architecture").strip()
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(self._sources(), encoding="utf-8")
        self._apt("apt-get", "update")
        metapackage = self._depends("linux-image-arm64")
        images = [name for name in metapackage if name.startswith("linux-image-")]
        if not images:
            raise BoardError("the package lists hold no arm64 kernel; try again later")
        self.kernel = images[0].removeprefix("linux-image-")
        self.abi = self.kernel.removesuffix("-arm64")
        headers = self._depends(f"linux-headers-{self.kernel}")
        self.kbuild = next(name for name in headers if name.startswith("linux-kbuild-"))
        self.common = next(name for name in headers if name.endswith("-common"))
        self.source = "linux-source-" + ".".join(self.kernel.split(".")[:2])
        self.host_kbuild = f"{self.kbuild}:{self._host}"

    def download(self, folder: Path, *names: str) -> None:
        """Fetch packages into a folder, without what they depend on.

        Raises:
            BoardError: apt could not.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._apt("apt-get", "download", *names, cwd=folder)

    def download_root_packages(self) -> None:
        """Fetch the packages of the board with all that they depend on into ``archives``.

        Raises:
            BoardError: apt could not.
        """
        flags = ("--download-only", "--no-install-recommends", "--yes")
        self._apt("apt-get", "install", *flags, *ROOT_PACKAGES)

    def _sources(self) -> str:
        targets = self._log.read("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)")
        lines = {}
        for target in targets.splitlines():
            suite, _, uri = target.partition(" ")
            if suite in (RELEASE, f"{RELEASE}-security", f"{RELEASE}-updates"):
                lines[suite] = f"deb [signed-by={KEYRING}] {uri} {suite} main\n"
        if RELEASE not in lines:
            raise BoardError(
                f"virtual boards are built on Debian 12: apt here has no source for {RELEASE}"
            )
        return "".join(lines.values())

    def _depends(self, package: str) -> list[str]:
        shown = self._log.read("apt-cache", *self._options(), "show", "--no-all-versions", package)
        line = re.search(r"^Depends: (.*)$", shown, re.MULTILINE)
        return re.findall(r"([^\s,(|]+)(?:\s*\([^)]*\))?", line.group(1)) if line else []

    def _apt(self, program: str, *arguments: str, cwd: Path | None = None) -> None:
        self._log.run(program, *self._options(), *arguments, cwd=cwd)

    def _options(self) -> list[str]:
        settings = {
            "APT::Architecture": "arm64",
            "APT::Architectures::": "arm64",
            "Dir::State::Lists": self._folder / "lists",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::SourceList": self._folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        words = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        # What modules are built with runs here, the rest on the board.
        return [*words, "-o", f"APT::Architectures::={self._host}"]

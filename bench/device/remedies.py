"""What helps when a board cannot write, in words that follow what went wrong."""

from __future__ import annotations

import errno
import os
import re

_REMEDIES = {
    errno.ENOSPC: "free space there (`bench devices clean NAME`), or set `work_dir` of this "
    "device to another disk",
    errno.EDQUOT: "the login's quota is used up: free space there, or set `work_dir` of this "
    "device to another disk",
    errno.EROFS: "its file system is mounted read-only, often after an error on the card: look at "
    "`dmesg` there, or set `work_dir` of this device to a folder that can be written",
    errno.EACCES: "set `work_dir` of this device to a folder that the login may write",
    errno.EPERM: "set `work_dir` of this device to a folder that the login may write",
}


def remedy(said: str) -> str:
    """Return ``; `` and what helps, or nothing.

    ``said`` is what a program wrote in the C locale: it ends in the C library's words for the
    error, or a shell's for a program that is missing.
    """
    if re.search(r"sha256sum: .*not found", said):
        return "; it belongs to coreutils: `sudo apt-get install coreutils` there (or openssl)"
    for number, text in _REMEDIES.items():
        if os.strerror(number) in said:
            return f"; {text}"
    return ""

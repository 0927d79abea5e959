"""Lets Python compile a module of a zip file once instead of in every process.

bench's agent is a zip file, from which Python never keeps what it has compiled. A real board hardly
notices; here, where everything is emulated, that is half of the time that a short job takes. Every
Python on this board imports this first (a .pth file sees to it).
"""

import marshal
import os
import zipimport
import zlib

FOLDER = "/var/cache/virtual-board"

_compile = zipimport._compile_source


def _compiled(pathname, source):
    """The code of a module, from an earlier process if it had the very same source."""
    name = pathname.rpartition("/")[2]
    path = f"{FOLDER}/{name}-{len(source)}-{zlib.crc32(source):08x}"
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 (pathlib would cost every Python here)
            return marshal.load(stream)
    except (OSError, EOFError, ValueError, TypeError):
        code = _compile(pathname, source)
    try:
        with open(f"{path}.{os.getpid()}", "wb") as stream:  # noqa: PTH123
            marshal.dump(code, stream)
        os.rename(stream.name, path)  # noqa: PTH104
    except OSError:
        pass  # a full disk, say: then it is compiled again
    return code


zipimport._compile_source = _compiled

"""Whether TensorRT can be used here: what the probe runs in a process of its own."""

import glob
import importlib
import json
import os
import sys

from bench.agent.failure import Failure, one_line

MODULES = ("tensorrt", "tensorrt_rtx")
"""TensorRT, and TensorRT for RTX, which has the same API."""
LIBRARY = "libnvinfer.so.*"
LIBRARY_FOLDERS = ("usr/lib/*-linux-gnu", "usr/lib", "usr/local/lib")
SYSTEM_BINDINGS = "usr/lib/python3*/dist-packages/tensorrt"
BINDINGS_PACKAGE = "python3-libnvinfer"


def import_tensorrt():
    """The module of TensorRT.

    Raises:
        ModuleNotFoundError: there is none.
        ImportError: TensorRT is there, but cannot be used from this Python; with the fix.
    """
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise ImportError("%s is not whole: %s" % (name, error))
            continue
        # An empty folder of that name (type stubs make one) can be imported, too.
        if hasattr(module, "Builder"):
            return module
    why = missing("/")
    if why is not None:
        raise ImportError(why)
    raise ModuleNotFoundError("No module named 'tensorrt'")


def missing(root):
    """Why there is no module although TensorRT is installed, with the fix; ``None`` where it is
    not installed. Files are looked for below ``root``."""
    found = glob.glob(os.path.join(root, SYSTEM_BINDINGS))
    if found:
        return (
            "TensorRT's Python bindings are in %s, for the system's Python and not for %s: set "
            "`python` of this device to python3 of the system" % (found[0], sys.executable)
        )
    folders = [os.path.join(root, folder) for folder in LIBRARY_FOLDERS]
    folders += filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))
    libraries = [path for folder in folders for path in glob.glob(os.path.join(folder, LIBRARY))]
    if libraries:
        return (
            "TensorRT is installed (%s), but its Python bindings are not; on the board: "
            "sudo apt-get install %s" % (libraries[0], BINDINGS_PACKAGE)
        )
    return None


def main():
    """Print the version of a TensorRT that can be used; exit with one line that says what is
    wrong, which begins with ``ModuleNotFoundError`` where there is none at all."""
    try:
        module = import_tensorrt()
    except ModuleNotFoundError as error:
        sys.exit("ModuleNotFoundError: %s" % error)
    except ImportError as error:
        sys.exit(one_line(error))
    from bench.agent.tensorrt import cuda

    try:
        cuda.open_device().close()
    except Failure as failure:
        title = "TensorRT for RTX" if module.__name__ == MODULES[1] else "TensorRT"
        sys.exit("%s %s cannot be used: %s" % (title, module.__version__, failure.text))
    print(json.dumps({"version": module.__version__, "providers": ["TensorRT"]}))

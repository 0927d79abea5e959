"""The TensorRT at hand (8.0 to 11, or TensorRT for RTX) and what it says while it works."""

import collections
from typing import TYPE_CHECKING

from bench.agent.failure import Failure, one_line

if TYPE_CHECKING:
    import tensorrt as trt
else:
    from bench.agent.tensorrt import presence

    trt = presence.import_tensorrt()

IS_RTX = trt.__name__ == "tensorrt_rtx"
LETTERS = "FEWIV"
"""Fatal, error, warning, information, verbose: the severities from 0 on."""
ERROR, WARNING = 1, 2
KEPT_LINES = 60
MEMORY_SIGNS = (
    "out of memory",
    "outofmemory",
    "could not be allocated",
    "insufficient workspace",
    "bad_alloc",
)
FREE_MEMORY = "free memory on the board, add swap, or choose a smaller batch"


class Log(trt.ILogger):
    """Keeps the last warnings and worse. There is one, ``LOG``: TensorRT takes the first logger
    of a process and ignores others."""

    def __init__(self):
        trt.ILogger.__init__(self)
        self._lines = collections.deque(maxlen=KEPT_LINES)

    def log(self, severity, msg):
        """Called by TensorRT for every message."""
        level = int(severity)
        if level <= WARNING:
            self._lines.append((level, one_line(msg)))

    def clear(self):
        """Forget what was said so far."""
        self._lines.clear()

    def lines(self):
        """``["E: ...", "W: ..."]``, oldest first."""
        return ["%s: %s" % (LETTERS[level], text) for level, text in self._lines]

    def errors(self):
        """The errors alone, without their letters."""
        return [text for level, text in self._lines if level <= ERROR]

    def last_error(self):
        """The last of them, or that there is none."""
        return (self.errors() or ["TensorRT gave no reason"])[-1]

    def text(self):
        """All lines, one below the other."""
        return "\n".join(self.lines())


LOG = Log()


def out_of_memory():
    """The first error of the log which says that memory ran out, ``None`` if none does."""
    for line in LOG.errors():
        if any(sign in line.lower() for sign in MEMORY_SIGNS):
            return line
    return None


def refused(doing, text):
    """The Failure of an engine that could not be ``doing`` (``built``, ``loaded``, ``run``), with
    the log: out of memory where that says so, else ``text`` with the last error."""
    line = out_of_memory()
    if line is not None:
        lack = "memory ran out while the engine was %s (%s): %s"
        return Failure("out-of-memory", lack % (doing, line, FREE_MEMORY), LOG.text())
    reason = "crash" if doing == "run" else "load"
    return Failure(reason, text % LOG.last_error(), LOG.text())


def has_precision_flags():
    """Whether the builder chooses precisions by flags: up to TensorRT 10. Later ones, and that
    for RTX, take the types as the graph has them."""
    return hasattr(trt.BuilderFlag, "FP16")


def numpy_dtype(dtype):
    """Name of the numpy type of a TensorRT type (``trt.nptype`` fails with newer numpy).

    Raises Failure for one that numpy has not.
    """
    names = {"FLOAT": "float32", "HALF": "float16", "INT32": "int32", "INT64": "int64"}
    names.update(INT8="int8", UINT8="uint8", BOOL="bool")
    if dtype.name not in names:
        text = "inputs and outputs of type %s cannot be passed: export the model with others"
        raise Failure("unsupported", text % dtype.name)
    return names[dtype.name]

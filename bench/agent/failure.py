"""The exceptions of a measurement: a case, or the sensor, cannot go on."""

import traceback

OUT_OF_MEMORY_SIGNS = ("bad_alloc", "failed to allocate memory", "out of memory", "memoryerror")


class Failure(Exception):
    """``reason`` is a value of records.Reason, ``text`` one line, ``detail`` longer evidence.

    ``parity`` holds the figures of a failed comparison.
    """

    def __init__(self, reason, text, detail="", parity=None):
        Exception.__init__(self, text)
        self.reason = reason
        self.text = one_line(text)
        self.detail = detail
        self.parity = parity


class SensorLost(Exception):
    """The sampler cannot go on; ``text`` and ``detail`` as in Failure."""

    def __init__(self, failure):
        Exception.__init__(self, failure.text)
        self.text = failure.text
        self.detail = failure.detail


def from_exception(error, reason):
    """Failure of a Python exception; ``reason`` holds unless it speaks of memory."""
    if isinstance(error, Failure):
        return error
    text = "%s: %s" % (type(error).__name__, error)
    if any(sign in text.lower() for sign in OUT_OF_MEMORY_SIGNS):
        reason = "out-of-memory"
    return Failure(reason, text, traceback.format_exc())


def one_line(text, limit=300):
    """``text`` with all white space runs as one blank, cut to ``limit`` characters."""
    words = " ".join(str(text).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"

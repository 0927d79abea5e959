"""What NVIDIA's driver tells of a GPU through its management library (NVML), by ctypes.

Names and the layout of ``nvmlMemory_t`` are those of NVIDIA's nvml.h. The one GPU that is asked is
the first one. On a Jetson the library opens, but tells neither energy nor memory.
"""

import ctypes

LIBRARY = "libnvidia-ml.so.1"
NAME_BYTES = 96
SUCCESS = 0
AMPERE = 7
"""In ``nvmlDeviceArchitecture_t``."""


class NvmlError(OSError):
    """NVML is not there, or refuses; the text says what it was asked and what it said."""


class Memory(ctypes.Structure):
    """``nvmlMemory_t``."""

    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class Gpu(object):
    """The first GPU of this machine, until ``close``.

    Raises:
        NvmlError: there is no driver, or no GPU.
    """

    def __init__(self, library=None):
        self._library = _load() if library is None else library
        self._call("nvmlInit_v2")
        self._handle = ctypes.c_void_p()
        try:
            self._call(
                "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(self._handle)
            )
        except NvmlError:
            self.close()
            raise

    def close(self):
        """Let go of the library."""
        self._library.nvmlShutdown()

    def name(self):
        """Such as ``NVIDIA GeForce RTX 3060``."""
        return self._text("nvmlDeviceGetName", self._handle)

    def driver_version(self):
        """Such as ``580.95.05``."""
        return self._text("nvmlSystemGetDriverVersion")

    def energy_mj(self):
        """Millijoules since the driver was loaded (Volta and newer)."""
        value = ctypes.c_ulonglong()
        self._call("nvmlDeviceGetTotalEnergyConsumption", self._handle, ctypes.byref(value))
        return value.value

    def power_mw(self):
        """Milliwatts that the whole card draws: the mean of a second from Ampere on."""
        value = ctypes.c_uint()
        self._call("nvmlDeviceGetPowerUsage", self._handle, ctypes.byref(value))
        return value.value

    def architecture(self):
        """``nvmlDeviceArchitecture_t``, ``None`` where the driver is too old to tell."""
        value = ctypes.c_uint()
        try:
            self._call("nvmlDeviceGetArchitecture", self._handle, ctypes.byref(value))
        except NvmlError:
            return None
        return value.value

    def used_bytes(self):
        """Memory of the GPU in use, by all processes."""
        memory = Memory()
        self._call("nvmlDeviceGetMemoryInfo", self._handle, ctypes.byref(memory))
        return memory.used

    def _text(self, function, *arguments):
        buffer = ctypes.create_string_buffer(NAME_BYTES)
        self._call(function, *(arguments + (buffer, ctypes.c_uint(NAME_BYTES))))
        return buffer.value.decode("utf-8", "replace")

    def _call(self, function, *arguments):
        try:
            code = getattr(self._library, function)(*arguments)
        except AttributeError:
            raise NvmlError("this driver's NVML has no %s" % function)
        if code != SUCCESS:
            say = self._library.nvmlErrorString
            say.restype = ctypes.c_char_p
            raise NvmlError("%s: %s" % (function, (say(code) or b"?").decode("ascii", "replace")))


def used_bytes():
    """Memory of the first GPU in use, ``None`` where nobody tells."""
    try:
        gpu = Gpu()
    except NvmlError:
        return None
    try:
        return gpu.used_bytes()
    except NvmlError:
        return None
    finally:
        gpu.close()


def _load():
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NvmlError("no NVIDIA driver here: %s" % error)

"""What NVIDIA's driver tells of a GPU through its management library (NVML), by ctypes.

Names and layouts are those of NVIDIA's nvml.h. The one GPU that is asked is the one that CUDA
computes on: the first of ``CUDA_VISIBLE_DEVICES``, else of the machine. On a Jetson the library
opens, but tells neither energy nor memory.
"""

import ctypes
import os

LIBRARY = "libnvidia-ml.so.1"
NAME_BYTES = 96
SUCCESS = 0
AMPERE = 7
"""In ``nvmlDeviceArchitecture_t``."""
POWER_INSTANT = 186
"""``NVML_FI_DEV_POWER_INSTANT``, in milliwatts."""
UNSIGNED_INT = 1
"""In ``nvmlValueType_t``."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
OWN_ORDER = "PCI_BUS_ID"
"""NVML's order of GPUs, and CUDA's wherever the agent has a say (child.py)."""


class NvmlError(OSError):
    """NVML is not there, or refuses; the text says what it was asked and what it said."""


class OtherGpuError(NvmlError):
    """CUDA computes on none of the GPUs, or on one that NVML cannot be asked about."""


class Memory(ctypes.Structure):
    """``nvmlMemory_t``."""

    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class Value(ctypes.Union):
    """``nvmlValue_t``."""

    _fields_ = [
        ("dVal", ctypes.c_double),
        ("uiVal", ctypes.c_uint),
        ("ulVal", ctypes.c_ulong),
        ("ullVal", ctypes.c_ulonglong),
        ("sllVal", ctypes.c_longlong),
        ("siVal", ctypes.c_int),
        ("usVal", ctypes.c_ushort),
    ]


class FieldValue(ctypes.Structure):
    """``nvmlFieldValue_t``."""

    _fields_ = [
        ("fieldId", ctypes.c_uint),
        ("scopeId", ctypes.c_uint),
        ("timestamp", ctypes.c_longlong),
        ("latencyUsec", ctypes.c_longlong),
        ("valueType", ctypes.c_uint),
        ("nvmlReturn", ctypes.c_uint),
        ("value", Value),
    ]


class Gpu(object):
    """The GPU of this machine that CUDA computes on, until ``close``.

    Raises:
        OtherGpuError: which one that is cannot be told, or it is none.
        NvmlError: there is no driver, or no GPU.
    """

    def __init__(self, library=None):
        self._library = _load() if library is None else library
        self._call("nvmlInit_v2")
        self._handle = ctypes.c_void_p()
        try:
            self._find(os.environ)
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

    def instant_power_mw(self):
        """Milliwatts that the whole card draws at this moment, where the driver tells them."""
        field = FieldValue(fieldId=POWER_INSTANT)
        self._call("nvmlDeviceGetFieldValues", self._handle, ctypes.c_int(1), ctypes.byref(field))
        self._check("NVML_FI_DEV_POWER_INSTANT", field.nvmlReturn)
        if field.valueType != UNSIGNED_INT:
            raise NvmlError("NVML_FI_DEV_POWER_INSTANT has a value of type %d" % field.valueType)
        return field.value.uiVal

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

    def _find(self, environment):
        visible = environment.get(VISIBLE)
        first = "0" if visible is None else visible.split(",")[0].strip()
        if not first or first == "-1":
            raise OtherGpuError("%s=%s hides every GPU: unset it there" % (VISIBLE, visible))
        handle = ctypes.byref(self._handle)
        if not first.isdigit():
            try:
                self._call("nvmlDeviceGetHandleByUUID", ctypes.c_char_p(first.encode()), handle)
            except NvmlError as error:
                raise OtherGpuError(
                    "%s=%s names a GPU that NVML does not find (%s): give its number, or its whole "
                    "UUID as `nvidia-smi -L` prints it" % (VISIBLE, visible, error)
                )
            return
        order = environment.get(ORDER, OWN_ORDER)
        if order != OWN_ORDER and self._count() > 1:
            raise OtherGpuError(
                "%s=%s: NVML does not number GPUs like that, so which one computes cannot be told: "
                "unset it there, or name the GPU's UUID in %s" % (ORDER, order, VISIBLE)
            )
        try:
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(int(first)), handle)
        except NvmlError as error:
            if visible is None:
                raise
            raise OtherGpuError("%s=%s: there is no such GPU (%s)" % (VISIBLE, visible, error))

    def _count(self):
        value = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(value))
        return value.value

    def _text(self, function, *arguments):
        buffer = ctypes.create_string_buffer(NAME_BYTES)
        self._call(function, *(arguments + (buffer, ctypes.c_uint(NAME_BYTES))))
        return buffer.value.decode("utf-8", "replace")

    def _call(self, function, *arguments):
        try:
            code = getattr(self._library, function)(*arguments)
        except AttributeError:
            raise NvmlError("this driver's NVML has no %s" % function)
        self._check(function, code)

    def _check(self, what, code):
        if code != SUCCESS:
            say = self._library.nvmlErrorString
            say.restype = ctypes.c_char_p
            raise NvmlError("%s: %s" % (what, (say(code) or b"?").decode("ascii", "replace")))


def used_bytes():
    """Memory in use of the GPU that CUDA computes on, ``None`` where nobody tells."""
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

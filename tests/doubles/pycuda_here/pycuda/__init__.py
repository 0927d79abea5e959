"""A double of pycuda over gpu_double."""

VERSION_TEXT = "2026.1"

"""As cuda.bindings."""

__version__ = "13.5.0"

"""TensorRT on the board: build an engine of a graph, keep it, run it, time it.

Modules that need TensorRT itself import it through library.py and are only imported once a worker
asks for the runtime; presence.py, engines.py and bound.py need nothing but the standard library.
"""

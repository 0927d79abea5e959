"""The GPU through pycuda, or through cuda-python where there is no pycuda.

Both offer the same (``PycudaDevice``, ``CudaPythonDevice``):

``backend``, ``name``, ``capability`` (``"8.7"``), ``has_graphs``
``memory()``                    ``(free, total)`` bytes of the GPU
``allocate(size)``, ``free(memory)``, ``address(memory)``   device memory; its address is an int
``pinned(shape, dtype)``, ``free_pinned(array)``            page-locked numpy arrays
``upload(memory, array)``       copy in and wait
``stream()``, ``handle(stream)``, ``synchronize(stream)``, ``free_stream(stream)``
``copy_in(memory, array, stream)``, ``copy_out(array, memory, stream)``   queue a copy
``event()``, ``record(event, stream)``, ``elapsed_ns(event, event)``, ``free_event(event)``
``begin_capture(stream)``, ``end_capture(stream)``, ``launch(graph, stream)``, ``free_graph(graph)``
``close()``                     give the GPU's context back

The context is the device's primary one, which TensorRT uses too.
"""

from bench.agent.failure import Failure, one_line

INSTALL = "on the board: python3 -m pip install %s"


def open_device(with_graphs=False):
    """The first GPU of the board; one that can replay CUDA graphs if ``with_graphs``.

    Raises:
        Failure: neither package can be imported, or there is no GPU that can be used.
    """
    problems = []
    for name, opener in BACKENDS:
        if with_graphs and name == "pycuda":
            problems.append("pycuda has no CUDA graphs")
            continue
        try:
            return opener()
        except ImportError as error:
            problems.append("%s: %s" % (name, error))
        except Exception as error:
            raise Failure("load", "%s finds no usable GPU: %s" % (name, one_line(error)))
    wanted, package = "pycuda or cuda-python is needed", "pycuda, or cuda-python"
    if with_graphs:
        wanted, package = "CUDA graphs need cuda-python", "cuda-python"
    raise Failure("load", "%s (%s); %s" % (wanted, "; ".join(problems), INSTALL % package))


def _pycuda():
    from bench.agent.tensorrt.cuda_pycuda import PycudaDevice

    return PycudaDevice()


def _cuda_python():
    from bench.agent.tensorrt.cuda_python import CudaPythonDevice

    return CudaPythonDevice()


BACKENDS = (("pycuda", _pycuda), ("cuda-python", _cuda_python))

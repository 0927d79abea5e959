"""Reads an ONNX graph into a TensorRT network, or says which node the parser refuses."""

import re

from bench.agent.failure import Failure
from bench.agent.tensorrt.library import LOG, has_precision_flags, trt

NODE_IN_LOG = re.compile(r"While parsing node number (\d+) \[(.*?)(?: -> .*)?\]")
"""How parsers before TensorRT 10 tell an operator: not with the error, but in the log."""
DAMAGED = "MODEL_DESERIALIZE_FAILED"


class Parsed(object):
    """A network with what must live as long: the builder, and the parser, which owns weights."""

    def __init__(self, graph):
        self.builder = trt.Builder(LOG)
        self.network = self.builder.create_network(creation_flags())
        self._parser = trt.OnnxParser(self.network, LOG)
        # By path, since the graph's weights lie in another file beside it.
        if not self._parser.parse_from_file(graph):
            raise refusal(self._parser, graph)

    def types(self):
        """Names of the types (``HALF``, ...) that layers put out."""
        layers = (self.network.get_layer(index) for index in range(self.network.num_layers))
        return {
            layer.get_output_type(output).name
            for layer in layers
            for output in range(layer.num_outputs)
        }

    def is_quantized(self):
        """Whether the graph itself says how it is quantized (Q/DQ nodes)."""
        layers = (self.network.get_layer(index) for index in range(self.network.num_layers))
        return any(layer.type == trt.LayerType.QUANTIZE for layer in layers)

    def inputs(self):
        """The network's inputs."""
        return [self.network.get_input(index) for index in range(self.network.num_inputs)]


def creation_flags():
    """Explicit batch where that is still a choice (before TensorRT 10 it is not the default);
    strong types where the builder has no flags for precisions."""
    flags = trt.NetworkDefinitionCreationFlag
    wanted = ["EXPLICIT_BATCH"] if has_precision_flags() else ["STRONGLY_TYPED"]
    return sum(1 << int(getattr(flags, name)) for name in wanted if hasattr(flags, name))


def refusal(parser: "trt.OnnxParser", graph):
    """The Failure of a graph that the parser did not take."""
    version = "TensorRT %s" % trt.__version__
    if not parser.num_errors:
        return Failure("load", "%s cannot read %s: %s" % (version, graph, LOG.last_error()))
    error = parser.get_error(0)
    if error.code().name == DAMAGED:
        text = "%s finds no ONNX graph in %s: %s"
        return Failure("load", text % (version, graph, error.desc()), LOG.text())
    text = "%s does not take %s: %s; leave the model out or choose another runtime"
    return Failure("unsupported", text % (version, _node(error), error.desc()), LOG.text())


def _node(error: "trt.ParserError"):
    """``node 5 (Einsum "logits")`` as far as it can be told."""
    number = error.node()
    if number < 0:
        return "the graph"
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    name = error.node_name() if hasattr(error, "node_name") else ""
    if not operator:
        told = [NODE_IN_LOG.search(line) for line in LOG.errors()]
        operators = [found.group(2) for found in told if found and int(found.group(1)) == number]
        operator = operators[-1] if operators else "operator unknown"
    return "node %d (%s%s)" % (number, operator, ' "%s"' % name if name else "")

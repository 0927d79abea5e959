"""A board with a double of TensorRT and of a GPU, on the real agent."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from board_folder import PROJECT, BoardFolder, make_reference, tiny_model
from onnx import TensorProto, helper

DOUBLES = Path(__file__).parent / "doubles"
SIZE = 64
BYTES = 4 * SIZE


class TensorRtBoard:
    """Runs jobs with ``runtime: tensorrt``; ``said`` is what the doubles were asked to do."""

    def __init__(self, board: BoardFolder, version: str = "10.3.0", cuda: str = "pycuda") -> None:
        self.board = board
        board.pack("agent-0123456789abcdef.pyz")
        self._log = board.folder.parent / "gpu.log"
        self._log.touch()
        parts = ["gpu", "tensorrt_here"] + ([f"{cuda.replace('-', '_')}_here"] if cuda else [])
        self.environment = {
            "PYTHONPATH": ":".join(str(DOUBLES / part) for part in parts),
            "GPU_DOUBLE_LOG": str(self._log),
            "TENSORRT_DOUBLE": version,
        }

    def graph(self, name: str = "tiny", operator: str = "Relu") -> dict[str, Any]:
        """The paths of a tiny model, from x (1, SIZE) to y, and of its reference."""
        graph = self.board.folder / "artifacts" / f"{name}.onnx"
        if not graph.exists():
            relu = tiny_model(graph.with_suffix(".relu.onnx"))
            make_reference(relu, graph.with_suffix(".npz"))
            relu.unlink()
            tiny_model(graph, operator)
        return {"graph": f"artifacts/{name}.onnx", "reference": f"artifacts/{name}.npz"}

    def bound_graph(self) -> dict[str, Any]:
        """The same with the weight as an input whose values lie in a weights file."""
        folder = self.board.folder / "artifacts"
        weight = np.random.default_rng(3).standard_normal((SIZE, SIZE)).astype(np.float32)
        (folder / "weights.bin").write_bytes(b"\0" * 12 + weight.tobytes())
        entry = {"file": "weights.bin", "offset": 12, "bytes": weight.nbytes}
        entry.update(shape=list(weight.shape), dtype="float32")
        (folder / "bound.json").write_text(json.dumps({"inputs": {"w": entry}}))
        inputs = [
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [SIZE, SIZE]),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, SIZE]),
        ]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, SIZE])]
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
        graph = helper.make_graph(nodes, "g", inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        onnx.save(model, folder / "bound.onnx")
        x = np.random.default_rng(4).standard_normal((1, SIZE)).astype(np.float32)
        names = np.array(json.dumps({"inputs": ["x"], "outputs": ["y"]}))
        np.savez(folder / "bound.npz", in0=x, out0=x @ weight, names=names)
        return {"graph": "artifacts/bound.onnx", "reference": "artifacts/bound.npz"}

    def typed_graph(self, inputs: int, outputs: int) -> Path:
        """x (1, SIZE) to y, of these types of ONNX's, computed in float32."""
        nodes = [
            helper.make_node("Cast", ["x"], ["a"], to=TensorProto.FLOAT),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Cast", ["b"], ["y"], to=outputs),
        ]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", inputs, [1, SIZE])],
            [helper.make_tensor_value_info("y", outputs, [1, SIZE])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        path = self.board.folder / "artifacts" / f"typed-{inputs}-{outputs}.onnx"
        onnx.save(model, path)
        return path

    def case(self, key: str = "a", paths: dict[str, Any] | None = None, **options: Any) -> Any:
        """A case; ``options`` are those of the runtime."""
        options = {"threads": 1, **options}
        paths = self.graph() if paths is None else paths
        return self.board.case(key, runtime="tensorrt", options=options, **paths)

    def measure(
        self, name: str, *cases: Any, gpu_together: bool = False, **environment: str
    ) -> list[dict[str, Any]]:
        """The records of a job, done to its end."""
        self._log.write_text("")
        job = self.board.job(list(cases), job_id=name, gpu_together=gpu_together)
        self.board.start(job, env={**self.environment, **environment})
        self.board.wait_for_end(job)
        return self.board.records(job)

    def probe(self, **environment: str) -> Any:
        """What the probe says of TensorRT."""
        env = {**self.environment, **environment}
        return self.board.ask("probe", "/", "{}", "lock", env=env)["runtimes"]["tensorrt"]

    def drive(self, code: str, **environment: str) -> Any:
        """What a few lines over a ``session`` (see tensorrt/session.py) print as JSON; faster than
        a job. ``graph`` is the tiny model, ``options(...)`` those of a case."""
        self._log.write_text("")
        graph = str(self.board.folder / self.graph()["graph"])
        cache = str(self.board.folder / "engines")
        lines = [
            "import json",
            "from bench.agent.tensorrt.session import Session",
            "session = Session()",
            f"options = lambda **more: dict({{'engine_cache': {cache!r}}}, **more)",
            f"graph = {graph!r}",
            code,
        ]
        env = {**os.environ, **self.environment, **environment}
        env["PYTHONPATH"] += f":{PROJECT}"
        done = subprocess.run(
            [self.board.python, "-c", "\n".join(lines)],
            capture_output=True,
            text=True,
            check=False,
            env=env,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def said(self) -> dict[int, list[list[Any]]]:
        """Calls by process."""
        calls: dict[int, list[list[Any]]] = {}
        for line in self._log.read_text().splitlines():
            pid, *words = json.loads(line)
            calls.setdefault(pid, []).append(words)
        return calls

    def calls(self, what: str) -> list[list[Any]]:
        """All calls of a kind, without its name."""
        return [words[1:] for calls in self.said.values() for words in calls if words[0] == what]


def kinds(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]

"""An ONNX file of somebody else brings no other file of this machine along."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from board_folder import tiny_model

from bench.errors import ConfigError
from bench.export.onnx_files import import_onnx
from bench.records.recordings import GraphLimits


@pytest.mark.parametrize("way", ["above", "absolute", "link"])
def test_external_data_elsewhere_is_refused(tmp_path: Path, way: str) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(64 * 64 * 4))
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link.bin").symlink_to(secret)
    model = onnx.load(tiny_model(folder / "a.onnx"))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    places = {"above": "../secret.bin", "absolute": str(secret), "link": "link.bin"}
    for key, value in (("location", places[way]), ("length", str(64 * 64 * 4))):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    (folder / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ConfigError, match=r"a\.onnx: not a valid ONNX model"):
        import_onnx(folder / "a.onnx", None, {}, GraphLimits(17, 8), tmp_path / "cache")

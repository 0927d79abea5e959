"""From a model and a weight mode to files that a board's runtime can load.

:func:`bench.export.cases.export_case` exports a model of the table ``models.MODELS``;
:func:`bench.export.onnx_files.import_onnx` takes in a user's own ONNX file. Both give a
:class:`bench.records.recordings.Artifact` from a cache that is keyed by everything the result
depends on.
"""

"""KitFox: MobileNetV3 on any CPU, from a checkpoint to int8.

>>> import kitfox
>>> model = kitfox.load()
>>> model.info.quantized
False
"""
from ._call import (ArgumentError, Cancelled, Error, FileError, FormatError, LimitError, MissingFileError,
                    OutOfMemoryError, UnsupportedError, lib as _lib, text as _text)
from ._graph import Graph, graph
from ._model import Model, load
from ._results import Classification, ModelInfo, Preprocess, Score, Step, TensorInfo

__version__ = _text(_lib.kf_version())

__all__ = ["ArgumentError", "Cancelled", "Classification", "Error", "FileError", "FormatError", "Graph", "LimitError",
           "MissingFileError", "Model", "ModelInfo", "OutOfMemoryError", "Preprocess", "Score", "Step", "TensorInfo",
           "UnsupportedError", "graph", "load"]

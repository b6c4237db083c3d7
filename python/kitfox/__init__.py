"""KitFox: MobileNetV3 on any CPU, from a checkpoint to int8.

>>> import kitfox
>>> model = kitfox.load()
>>> model.info.quantized
False
"""
from ._call import (ArgumentError, Cancelled, Error, FileError, FormatError, LimitError, MissingFileError,
                    OutOfMemoryError, UnsupportedError, lib as _lib, text as _text)
from ._graph import Graph, graph
from ._lab import (Architecture, Bench, Check, CheckedNode, ComparedNode, Comparison, Evaluation, Prediction, Rewritten,
                   Verification, Weights, bench, check, compare, evaluate, export_onnx, pull, simplify, verify, weights,
                   zoo)
from ._model import Model, load
from ._quantize import Quantization, QuantizedNode, quantize, quantize_config
from ._results import Classification, ModelInfo, Preprocess, Score, Step, TensorInfo
from ._torch import from_state_dict, from_timm

__version__ = _text(_lib.kf_version())

__all__ = [name for name in dir() if not name.startswith("_")]

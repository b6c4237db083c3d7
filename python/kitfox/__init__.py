"""KitFox: MobileNetV3 on any CPU, from a checkpoint to int8.

>>> import kitfox
>>> model = kitfox.load()
>>> model.info.quantized
False
>>> print(kitfox.load().name)
everyday10
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from ._call import (
    ArgumentError,
    Cancelled,
    Error,
    FileError,
    FormatError,
    LimitError,
    MissingFileError,
    OutOfMemoryError,
    UnsupportedError,
    lib as _lib,
    text as _text,
)
from ._model import Model, load
from ._pictures import limit_pixels
from ._results import Classification, ModelInfo, Preprocess, Score, Step, TensorInfo

if TYPE_CHECKING:
    from ._graph import Graph, graph
    from ._lab import (
        Architecture,
        Bench,
        Check,
        CheckedNode,
        ComparedNode,
        Comparison,
        Evaluation,
        Prediction,
        Rewritten,
        Verification,
        Weights,
        bench,
        check,
        compare,
        evaluate,
        export_onnx,
        pull,
        simplify,
        verify,
        weights,
        zoo,
    )
    from ._quantize import Quantization, QuantizedNode, quantize, quantize_config
    from ._torch import from_state_dict, from_timm

__version__: str = _text(_lib.kf_version()) or ""

# What a service that classifies does not need is imported when it is first asked for.
_LATER = {
    "_graph": ("Graph", "graph"),
    "_lab": (
        "Architecture",
        "Bench",
        "Check",
        "CheckedNode",
        "ComparedNode",
        "Comparison",
        "Evaluation",
        "Prediction",
        "Rewritten",
        "Verification",
        "Weights",
        "bench",
        "check",
        "compare",
        "evaluate",
        "export_onnx",
        "pull",
        "simplify",
        "verify",
        "weights",
        "zoo",
    ),
    "_quantize": ("Quantization", "QuantizedNode", "quantize", "quantize_config"),
    "_torch": ("from_state_dict", "from_timm"),
}

__all__ = [
    "Architecture",
    "ArgumentError",
    "Bench",
    "Cancelled",
    "Check",
    "CheckedNode",
    "Classification",
    "ComparedNode",
    "Comparison",
    "Error",
    "Evaluation",
    "FileError",
    "FormatError",
    "Graph",
    "LimitError",
    "MissingFileError",
    "Model",
    "ModelInfo",
    "OutOfMemoryError",
    "Prediction",
    "Preprocess",
    "Quantization",
    "QuantizedNode",
    "Rewritten",
    "Score",
    "Step",
    "TensorInfo",
    "UnsupportedError",
    "Verification",
    "Weights",
    "bench",
    "check",
    "compare",
    "evaluate",
    "export_onnx",
    "from_state_dict",
    "from_timm",
    "graph",
    "limit_pixels",
    "load",
    "pull",
    "quantize",
    "quantize_config",
    "simplify",
    "verify",
    "weights",
    "zoo",
]


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            import importlib

            found = importlib.import_module("." + module, __name__)
            globals().update({n: getattr(found, n) for n in names})
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> List[str]:
    return [*__all__, "__version__"]

"""Stands in for `hobot_dnn.pyeasy_dnn`: load, models, tensors and their properties, on a CPU.

    models = dnn.load("MobileNetV3_224x224_nv12.kfx")
    outputs = models[0].forward(nv12)
    logits = outputs[0].buffer.reshape(1000)
"""
from __future__ import annotations

import os
from typing import Any, List, Sequence, Tuple, Union

import numpy as np

from .._call import ArgumentError
from . import _board


class TensorProperties:
    """`tensor_type`, `dtype`, `layout`, `shape`; `scale_data` is empty where outputs are float32, as here."""

    def __init__(self, tensor_type: str, dtype: str, layout: str, shape: Tuple[int, ...]):
        self.tensor_type, self.dtype, self.layout, self.shape = tensor_type, dtype, layout, shape
        self.scale_data = np.empty(0, np.float32)

    def __repr__(self) -> str:
        return f"<{self.tensor_type} {self.dtype} {self.layout} {self.shape}>"


class pyDNNTensor:
    """A tensor: `properties`, `buffer` (numpy) and `name`."""

    def __init__(self, name: str, properties: TensorProperties, buffer: Any = None):
        self.name, self.properties, self.buffer = name, properties, buffer


class Model:
    """One model of a file: `name`, `inputs`, `outputs`, `forward`."""

    def __init__(self, path: Any):
        self._model = m = _board.open_model(path)
        self.name = os.path.splitext(os.path.basename(os.fsdecode(path)))[0]
        pictures = m.preprocess is not None
        self.inputs = tuple(pyDNNTensor(i.name, TensorProperties(
            "NV12" if pictures else i.dtype, "uint8" if pictures else i.dtype, "NCHW", _board.input_shape(m, k)))
            for k, i in enumerate(m.inputs))
        self.outputs = tuple(pyDNNTensor(o.name, TensorProperties(o.dtype, o.dtype, "NCHW", _board.four(o.shape)),
                                         np.zeros(_board.four(o.shape), o.dtype)) for o in m.outputs)

    def forward(self, arrays: Union[np.ndarray, Sequence[np.ndarray]], core_id: int = 0, priority: int = 0
                ) -> List[pyDNNTensor]:
        """Run; new tensors with the outputs. `core_id` (0 to 2) and `priority` (0 to 255) are the accelerator's."""
        if core_id not in (0, 1, 2) or not 0 <= priority <= 255:
            raise ArgumentError(f"core_id {core_id} and priority {priority}: 0 to 2 and 0 to 255 are possible")
        fed = list(arrays) if isinstance(arrays, (list, tuple)) else [arrays]
        if len(fed) != len(self.inputs):
            raise ArgumentError(f"{len(fed)} arrays; the model has {len(self.inputs)} inputs")
        found = _board.run(self._model, [np.asarray(a) for a in fed])
        return [pyDNNTensor(t.name, t.properties, a) for t, a in zip(self.outputs, found)]


def load(path: Union[str, Sequence[str]]) -> List[Model]:
    """The models of a file, or of several."""
    return [Model(p) for p in (path if isinstance(path, (list, tuple)) else [path])]

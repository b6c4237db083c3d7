"""Stands in for `bpu_infer_lib`: the calls of the zoo's notebooks, on a CPU.

inf = bpu_infer_lib.Infer(False)
inf.load_model("MobileNetV3_224x224_nv12.kfx")
inf.read_img_to_nv12("kit_fox.JPEG", 0)
inf.forward(more=True)
logits = inf.get_infer_res_np_float32(0)
"""

from __future__ import annotations

import os
import sys
from typing import Any, List, Optional, Tuple

import numpy as np

from .._call import ArgumentError, Error
from . import _board


class _Properties:
    """`tensorLayout` and `tensorType` by the board's names."""

    def __init__(self, kind: str, layout: str, shape: Tuple[int, ...]):
        self.tensorType, self.tensorLayout, self.validShape = kind, layout, shape

    def __repr__(self) -> str:
        return f"<tensorType {self.tensorType}, tensorLayout {self.tensorLayout}, validShape {self.validShape}>"


class _Tensor:
    """`properties`, and after `get_output` the numbers in `data`."""

    def __init__(self, name: str, properties: _Properties):
        self.name, self.properties = name, properties
        self.data: Optional[np.ndarray] = None


class Infer:
    """One model and the inputs of its next run. `debug` prints what is done."""

    def __init__(self, debug: bool = False):
        self._debug = bool(debug)
        self._model: Any = None
        self._fed: List[Optional[np.ndarray]] = []
        self._results: List[np.ndarray] = []
        self.inputs: List[_Tensor] = []
        self.outputs: List[_Tensor] = []

    def _say(self, line: str) -> None:
        if self._debug:
            print(line)

    def load_model(self, path: Any) -> bool:
        """Load a model; False, with the reason on standard error, where that fails."""
        try:
            self._model = _board.open_model(path)
        except (Error, OSError) as e:
            print(f"[ERROR] {e}", file=sys.stderr)
            return False
        print("The model path is valid and points to a regular file.")
        m = self._model
        self._fed, self._results = [None] * len(m.inputs), []
        pictures = m.preprocess is not None
        kind = "HB_DNN_IMG_TYPE_NV12" if pictures else "HB_DNN_TENSOR_TYPE_F32"
        self.inputs = [
            _Tensor(i.name, _Properties(kind, "HB_DNN_LAYOUT_NCHW", _board.input_shape(m, k)))
            for k, i in enumerate(m.inputs)
        ]
        self.outputs = [
            _Tensor(
                o.name,
                _Properties("HB_DNN_TENSOR_TYPE_" + _board.types(m, k)[0], "HB_DNN_LAYOUT_NCHW", _board.four(o.shape)),
            )
            for k, o in enumerate(m.outputs)
        ]
        return True

    def _ready(self, idx: int) -> None:
        if self._model is None:
            raise ArgumentError("no model is loaded; call load_model first")
        if not 0 <= idx < len(self._fed):
            raise ArgumentError(f"input {idx}; the model has {len(self._fed)}, counted from 0")

    def read_img_to_nv12(self, path: Any, idx: int = 0) -> bool:
        """Read a picture file into input `idx`, as an NV12 frame that is resized and cropped as the model says."""
        self._ready(idx)
        self._fed[idx] = _board.picture_to_nv12(self._model, os.fsdecode(os.fspath(path)))
        return True

    def read_input(self, array: Any, idx: int = 0) -> bool:
        """Feed an array: an NV12 frame (uint8), or a tensor as the model takes it."""
        self._ready(idx)
        data = np.asarray(array)
        shape = self._model.inputs[idx].shape
        frame = (
            data.dtype == np.uint8
            and self._model.preprocess is not None
            and data.size == _board.frame_bytes(self._model)
        )
        if not frame and data.size != int(np.prod(shape)):
            raise ArgumentError(f"{data.size} elements; input {idx} takes {list(shape)}")
        self._fed[idx] = data
        return True

    def _typed(self, array: Any, idx: int, dtype: Any) -> bool:
        data = np.asarray(array)
        if data.dtype != dtype:
            raise ArgumentError(f"the array is {data.dtype}; {np.dtype(dtype)} is needed")
        return self.read_input(data, idx)

    def read_numpy_arr_uint8(self, array: Any, idx: int = 0) -> bool:
        """Feed a uint8 array."""
        return self._typed(array, idx, np.uint8)

    def read_numpy_arr_float32(self, array: Any, idx: int = 0) -> bool:
        """Feed a float32 array."""
        return self._typed(array, idx, np.float32)

    def read_numpy_arr_nv12(self, array: Any, idx: int = 0) -> bool:
        """Feed an NV12 frame of the model's size."""
        return self._typed(array, idx, np.uint8)

    def read_input_float32(self, path: Any, n: int, idx: int = 0) -> bool:
        """Feed the `n` float32 numbers of a raw file."""
        data = np.fromfile(path, "<f4")
        if data.size != n:
            raise ArgumentError(f"{os.fsdecode(path)}: {data.size} numbers of float32; {n} are announced")
        return self.read_input(data, idx)

    def forward(self, more: bool = False) -> bool:
        """Run. `more` prints what went in."""
        for idx in range(max(1, len(self._fed))):
            self._ready(idx)
            if self._fed[idx] is None:
                raise ArgumentError(f"input {idx} was not read; call read_img_to_nv12 or read_input first")
        self._results = _board.run(self._model, [a for a in self._fed if a is not None])
        if more:
            self._say(f"inputs {[list(a.shape) for a in self._fed if a is not None]}")
        return True

    def _result(self, idx: int) -> np.ndarray:
        if not self._results:
            raise ArgumentError("nothing was run; call forward first")
        if not 0 <= idx < len(self._results):
            raise ArgumentError(f"output {idx}; the model has {len(self._results)}, counted from 0")
        return self._results[idx].reshape(-1)

    def get_infer_res(self, idx: int = 0, n: Optional[int] = None) -> List[float]:
        """The first `n` numbers of output `idx`, or all."""
        out = self._result(idx)
        n = out.size if n is None else n
        if not 0 <= n <= out.size:
            raise ArgumentError(f"{n} numbers; output {idx} has {out.size}")
        return [float(v) for v in out[:n]]

    def get_infer_res_np_float32(self, idx: int = 0, n: Optional[int] = None) -> np.ndarray:
        """Output `idx` as a flat array of float32, or its first `n` numbers."""
        out = self._result(idx).astype(np.float32)
        return out if n is None else out[:n]

    def get_infer_res_np_int32(self, idx: int = 0, n: Optional[int] = None) -> np.ndarray:
        """Output `idx` as a flat array of int32: rounded toward zero, as a cast does."""
        out = self._result(idx).astype(np.int32)
        return out if n is None else out[:n]

    def get_output(self) -> bool:
        """Put the results into `outputs[i].data`."""
        for idx, tensor in enumerate(self.outputs):
            if idx < len(self._results):
                tensor.data = self._results[idx]
        return bool(self._results)

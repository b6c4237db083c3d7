"""What the three stand-in modules share: a model by the board's path, NV12 frames in, float outputs out."""

from __future__ import annotations

import os
from typing import Any, List, Tuple

import numpy as np

from .. import _pictures
from .._call import ArgumentError, UnsupportedError, address, check, ffi, lib, new_error
from .._model import Model, _head, compiled, load

MACHINE_CODE = (
    "{}: this is machine code of the board's accelerator (a .bin of hb_mapper); a CPU cannot run it. Quantize "
    "the float model with the same YAML (`kitfox quantize CONFIG.yaml`) and give the .kfx file, or put it "
    "beside this one under the same stem"
)


def open_model(path: Any) -> Model:
    """The model that a board's path means: a KitFox file, or the `.kfx` beside a `.bin`."""
    path = os.fsdecode(os.fspath(path))
    stem, suffix = os.path.splitext(path)
    if suffix.lower() in (".bin", ".hbm"):
        if os.path.isfile(stem + ".kfx"):
            return load(stem + ".kfx")
        if os.path.isfile(path) and not _is_kfx(path):
            raise UnsupportedError(MACHINE_CODE.format(path), "unsupported")
    return load(path)


def _is_kfx(path: str) -> bool:
    return compiled("", _head(path))


def size(model: Model) -> Tuple[int, int]:
    """Width and height of the pictures that the model takes."""
    if model.preprocess is None:
        raise UnsupportedError(f"{model.name}: this model has no picture input; feed numbers instead", "unsupported")
    return model.preprocess.width, model.preprocess.height


def input_shape(model: Model, k: int) -> Tuple[int, ...]:
    """Shape of input `k` as the board has it: (1, 3, height, width) of pictures, four numbers in any case."""
    if k == 0 and model.preprocess is not None:
        width, height = size(model)
        return 1, 3, height, width
    return four(model.inputs[k].shape)


def four(shape: Tuple[int, ...]) -> Tuple[int, ...]:
    """The board's tensors have four dimensions: (1, 1000, 1, 1) of scores."""
    return tuple(shape) + (1,) * (4 - len(shape))


def types(model: Model, k: int) -> Tuple[str, str]:
    """Names of output `k`'s type: of the tensor, and of numpy."""
    dtype = model.outputs[k].dtype
    word = {"float32": "F32", "int64": "S64", "int32": "S32"}.get(dtype, dtype.upper())
    return word, dtype


def frame_bytes(model: Model) -> int:
    width, height = size(model)
    if width % 2 or height % 2:
        raise UnsupportedError(
            f"{model.name}: an NV12 frame needs even sides; this model takes {width}x{height}", "unsupported"
        )
    return width * height * 3 // 2


def picture_to_nv12(model: Model, path: Any) -> np.ndarray:
    """A picture file as an NV12 frame of the model's size and range, prepared as the model says."""
    frame = np.empty(frame_bytes(model), np.uint8)
    picture, held = _pictures.load(path, exif=False)
    small, err = ffi.gc(ffi.new("kf_image *"), lib.kf_image_free), new_error()
    check(lib.kf_image_preprocess(picture, model._how, small, err), err)
    check(lib.kf_image_to_nv12(small, model._range, ffi.from_buffer("uint8_t[]", frame), frame.nbytes, err), err)
    return frame


def run_nv12(model: Model, frame: Any) -> List[np.ndarray]:
    """Output 0 of one NV12 frame of the model's size: float32, as the network gives it (logits, mostly)."""
    data = np.ascontiguousarray(frame).reshape(-1)
    width, height = size(model)
    if data.dtype != np.uint8 or data.size != frame_bytes(model):
        raise ArgumentError(
            f"{data.size} elements of {data.dtype}; an NV12 frame of {width}x{height} is "
            f"{frame_bytes(model)} of uint8"
        )
    nv12, rgb, err = ffi.new("kf_nv12 *"), ffi.gc(ffi.new("kf_image *"), lib.kf_image_free), new_error()
    at = ffi.cast("uint8_t *", address(data))
    nv12.width, nv12.height, nv12.stride_y, nv12.stride_uv = width, height, width, width
    nv12.y, nv12.uv = at, at + width * height
    nv12.limited = model._range
    check(lib.kf_image_from_nv12(nv12, rgb, err), err)
    out = np.empty(model.outputs[0].shape, np.float32)
    session = model._take()
    try:
        check(
            lib.kf_session_run_rgb(session.c, rgb.pixels, rgb.stride, ffi.from_buffer("float[]", out), out.size, err),
            err,
        )
    finally:
        model._give(session)
    return [out.reshape(four(out.shape))]


def run(model: Model, arrays: List[np.ndarray]) -> List[np.ndarray]:
    """Outputs of what a program of the board feeds: an NV12 frame (uint8, flat or [1, H * 3 / 2, W, 1]), or tensors."""
    if len(arrays) == 1 and model.preprocess is not None and arrays[0].dtype == np.uint8:
        if arrays[0].size == frame_bytes(model):
            return run_nv12(model, arrays[0])
    inputs = [
        np.ascontiguousarray(a).reshape(spec.shape) if a.size == np.prod(spec.shape) else a
        for a, spec in zip(arrays, model.inputs)
    ]
    out = model.run(*inputs)
    return [a.reshape(four(a.shape)) for a in (out if isinstance(out, tuple) else (out,))]

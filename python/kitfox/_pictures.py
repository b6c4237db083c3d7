"""Pictures of every form that Python programs have, as the pixels that C takes.

A path, the bytes of a file, a PIL image, or a numpy array of uint8 in HWC order. Contiguous arrays are borrowed.
"""
from __future__ import annotations

import os
import weakref
from typing import Any

import numpy as np

from ._call import ArgumentError, check, ffi, lib, new_error, options, path_bytes


def _loaded(call, *args) -> Any:
    out = ffi.new("kf_image *")
    err = new_error()
    status = call(*args, out, err)
    return out, status, err


def _owned(image: Any) -> Any:
    return ffi.gc(image, lib.kf_image_free)


def from_path(path: Any, exif: bool, limits: dict) -> Any:
    o = options("kf_image_options")
    o.no_exif = 0 if exif else 1
    for key, value in limits.items():
        setattr(o, key, value)
    image, status, err = _loaded(lib.kf_image_load, path_bytes(path), o)
    check(status, err, os.fsdecode(path))
    return _owned(image)


def from_bytes(data: Any, exif: bool, limits: dict) -> Any:
    view = memoryview(data).cast("B")
    o = options("kf_image_options")
    o.no_exif = 0 if exif else 1
    for key, value in limits.items():
        setattr(o, key, value)
    held = ffi.from_buffer(view)
    image, status, err = _loaded(lib.kf_image_load_memory, held, len(view), o)
    check(status, err)
    return _owned(image)


def from_array(array: np.ndarray) -> Any:
    """Borrows the pixels of a uint8 array [height, width, 3] in RGB whose rows are contiguous; copies others.

    Refuses what is no picture: other types, other shapes, an empty one.
    """
    if array.dtype != np.uint8:
        hint = "multiply by 255 and round" if array.dtype.kind == "f" else "convert them"
        raise ArgumentError(f"pixels are uint8; this array is {array.dtype}: {hint}, or give tensors to run()")
    if array.ndim != 3 or array.shape[2] != 3:
        hint = ""
        if array.ndim == 3 and array.shape[0] == 3:
            hint = "; it looks like CHW: transpose(1, 2, 0)"
        elif array.ndim == 2:
            hint = "; a grey picture has to be repeated three times"
        raise ArgumentError(f"a picture is [height, width, 3] in RGB; this array is {list(array.shape)}{hint}")
    height, width = array.shape[:2]
    if not height or not width:
        raise ArgumentError(f"the picture is empty: {list(array.shape)}")
    if array.strides[2] != 1 or array.strides[1] != 3 or array.strides[0] < 3 * width:
        array = np.ascontiguousarray(array)
    image = ffi.new("kf_image *")
    image.width, image.height, image.stride = width, height, array.strides[0]
    image.pixels = ffi.cast("uint8_t *", array.__array_interface__["data"][0])
    _HELD[image] = array
    return image


# cffi's own: what a structure borrows lives as long as the structure.
_HELD: "weakref.WeakKeyDictionary[Any, np.ndarray]" = weakref.WeakKeyDictionary()


def _is_pil(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "mode") and hasattr(value, "size")


def load(value: Any, exif: bool = True, limits: dict = {}) -> Any:
    """A `kf_image *` of any picture. Errors: as of the form that it has; ArgumentError for what is none."""
    if isinstance(value, np.ndarray):
        return from_array(value)
    if isinstance(value, (str, os.PathLike)):
        return from_path(value, exif, limits)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return from_bytes(value, exif, limits)
    if _is_pil(value):
        # What training pipelines do: CMYK, palettes and grey become RGB, and nobody turns the picture.
        return from_array(np.asarray(value if value.mode == "RGB" else value.convert("RGB")))
    if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
        return from_array(np.asarray(value))
    raise ArgumentError(f"a picture is a path, bytes, a PIL image or a uint8 array; this is {type(value).__name__}")

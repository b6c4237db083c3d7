"""Pictures of every form that Python programs have, as the pixels that C takes.

A path, the bytes of a file, a PIL image, or a numpy array of uint8 in HWC order. Contiguous arrays are borrowed. Each
function gives a `kf_image *` and what has to live as long as it is used.
"""

from __future__ import annotations

import os
from typing import Any, Tuple

import numpy as np

from ._call import ArgumentError, address, check, ffi, lib, new_error, options, path_bytes


def _options(exif: bool) -> Any:
    o = options("kf_image_options")
    o.no_exif = 0 if exif else 1
    return o


def limit_pixels(most: int) -> None:
    """Bound the pixels of a picture, width times height, for all that this process decodes from now on.

    0: the library's limit again. More pixels are a LimitError. Call it before pictures are decoded: it is not thread
    safe. ArgumentError: below 0, or over 2**32.
    """
    err = new_error()
    check(lib.kf_image_limit(most, err), err)


def from_path(path: Any, exif: bool) -> Tuple[Any, Any]:
    """Decode a picture file."""
    image, err = ffi.new("kf_image *"), new_error()
    check(lib.kf_image_load(path_bytes(path), _options(exif), image, err), err, os.fsdecode(path))
    return ffi.gc(image, lib.kf_image_free), None


def from_bytes(data: Any, exif: bool) -> Tuple[Any, Any]:
    """Decode the bytes of a picture file."""
    image, err = ffi.new("kf_image *"), new_error()
    try:
        held = ffi.from_buffer(data)
    except (TypeError, ValueError, BufferError) as e:
        raise ArgumentError(f"the bytes of a picture: {e}") from None
    check(lib.kf_image_load_memory(held, len(held), _options(exif), image, err), err)
    return ffi.gc(image, lib.kf_image_free), None


def _wrong_shape(array: np.ndarray) -> ArgumentError:
    hint = ""
    if array.ndim == 4:
        hint = "; give several pictures as a list"
    elif array.ndim == 3 and array.shape[0] == 3:
        hint = "; it looks like CHW: transpose(1, 2, 0)"
    elif array.ndim == 3 and array.shape[2] == 4:
        hint = "; drop the fourth channel: array[:, :, :3]"
    elif array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
        hint = "; a grey picture has to be repeated three times"
    return ArgumentError(f"a picture is [height, width, 3] in RGB; this array is {list(array.shape)}{hint}")


def from_array(array: np.ndarray) -> Tuple[Any, Any]:
    """Borrows the pixels of a uint8 array [height, width, 3] in RGB whose rows are contiguous; copies others.

    Refuses what is no picture: other types, other shapes, an empty one.
    """
    if array.dtype != np.uint8:
        hint = "multiply by 255 and round" if array.dtype.kind == "f" else "convert them"
        raise ArgumentError(f"pixels are uint8; this array is {array.dtype}: {hint}, or give tensors to run()")
    if array.ndim != 3 or array.shape[2] != 3:
        raise _wrong_shape(array)
    height, width = array.shape[:2]
    if not height or not width:
        raise ArgumentError(f"the picture is empty: {list(array.shape)}")
    stride = array.strides[0]
    if array.flags.c_contiguous or array.strides[2] != 1 or array.strides[1] != 3 or stride < 3 * width:
        array, stride = np.ascontiguousarray(array), 3 * width  # of one row any stride may be written there
    image = ffi.new("kf_image *")
    image.width, image.height, image.stride, image.pixels = width, height, stride, ffi.cast("uint8_t *", address(array))
    return image, array


def _is_pil(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "mode") and hasattr(value, "size")


def load(value: Any, exif: bool = True) -> Tuple[Any, Any]:
    """Any picture. Errors: as of the form that it has; ArgumentError for what is none."""
    if isinstance(value, np.ndarray):
        return from_array(value)
    if isinstance(value, (str, os.PathLike)):
        return from_path(value, exif)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return from_bytes(value, exif)
    if _is_pil(value):
        # What training pipelines do: CMYK, palettes and grey become RGB, and nobody turns the picture.
        return from_array(np.asarray(value if value.mode == "RGB" else value.convert("RGB")))
    if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
        return from_array(np.asarray(value))
    raise ArgumentError(f"a picture is a path, bytes, a PIL image or a uint8 array; this is {type(value).__name__}")

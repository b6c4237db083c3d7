#!/usr/bin/env python3
"""All 2^24 (Y, Cb, Cr) through libkitfox and through numpy: float64 by the published formulas (at most one level apart, and equal nearly
everywhere), and the fixed point redone in numpy integers, whose SHA-256 is the one that tests/unit/test_nv12.c expects.

Arguments: libkitfox.so, the source root. Re-executes itself with the interpreter of KITFOX_PEERS when numpy is missing; skips (77) without.
"""
import ctypes
import hashlib
import os
import re
import sys

import kit

try:
    import numpy as np
except ImportError:
    kit.rerun_with_numpy()

SIDE, ROWS = 4096, 256
FULL = dict(y=1.0, y0=0, rv=1.402, gu=-0.344136, gv=-0.714136, bu=1.772)
LIMITED = dict(y=1.164383, y0=16, rv=1.596027, gu=-0.391762, gv=-0.812968, bu=2.017232)


class Image(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int32), ("height", ctypes.c_int32), ("stride", ctypes.c_size_t), ("pixels", ctypes.POINTER(ctypes.c_uint8))]


class Nv12(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int32), ("height", ctypes.c_int32), ("y", ctypes.c_void_p), ("uv", ctypes.c_void_p),
                ("stride_y", ctypes.c_size_t), ("stride_uv", ctypes.c_size_t), ("limited", ctypes.c_int32)]


def blocks(stripe):
    """Luma [ROWS, SIDE] and chroma [ROWS/2, SIDE/2] of a stripe, as test_nv12.c numbers them."""
    b = (stripe * ROWS // 2 + np.arange(ROWS // 2)[:, None]) * (SIDE // 2) + np.arange(SIDE // 2)[None, :]
    luma = np.empty((ROWS, SIDE), np.uint8)
    for k in range(4):
        luma[k // 2::2, k % 2::2] = 4 * (b >> 16) + k
    return luma, (b & 255).astype(np.uint8), (b >> 8 & 255).astype(np.uint8)


def spread(c):
    return c.repeat(2, 0).repeat(2, 1)


def real(luma, u, v, k):
    y, u, v = k["y"] * (luma.astype(np.float64) - k["y0"]), spread(u).astype(np.float64) - 128, spread(v).astype(np.float64) - 128
    return np.stack([y + k["rv"] * v, y + k["gu"] * u + k["gv"] * v, y + k["bu"] * u], -1).clip(0, 255)


def fixed(luma, u, v, k):
    q = {n: int(np.rint(k[n] * 65536)) for n in ("y", "rv", "gu", "gv", "bu")}
    y, u, v = q["y"] * (luma.astype(np.int64) - k["y0"]), spread(u).astype(np.int64) - 128, spread(v).astype(np.int64) - 128
    rgb = np.stack([y + q["rv"] * v, y + q["gu"] * u + q["gv"] * v, y + q["bu"] * u], -1)
    return ((rgb + 32768) >> 16).clip(0, 255).astype(np.uint8)


def library(lib, luma, u, v, limited):
    chroma = np.ascontiguousarray(np.stack([u, v], -1))
    frame = Nv12(SIDE, ROWS, luma.ctypes.data, chroma.ctypes.data, SIDE, SIDE, limited)
    out = Image()
    assert lib.kf_image_from_nv12(ctypes.byref(frame), ctypes.byref(out), None) == 0
    rgb = np.ctypeslib.as_array(out.pixels, (ROWS, SIDE, 3)).copy()
    lib.kf_image_free(ctypes.byref(out))
    return rgb


@kit.case
def every_colour():
    lib = ctypes.CDLL(sys.argv[1])
    with open(os.path.join(sys.argv[2], "tests", "unit", "test_nv12.c")) as f:
        expected = re.findall(r'"([0-9a-f]{64})"', f.read())
    for limited, k in enumerate((FULL, LIMITED)):
        sha, worst, unequal = hashlib.sha256(), 0, 0
        for stripe in range(SIDE // ROWS):
            parts = blocks(stripe)
            got, want = library(lib, *parts, limited).astype(np.int16), np.floor(real(*parts, k) + 0.5).astype(np.int16)
            diff = np.abs(got - want)
            worst, unequal = max(worst, int(diff.max())), unequal + int((diff > 0).sum())
            sha.update(fixed(*parts, k).tobytes())
        digest = sha.hexdigest()
        ok = worst <= 1 and unequal < 3 * 2**24 / 100 and len(expected) == 2 and expected[limited] == digest
        kit.check(f"{'limited' if limited else 'full'}: worst {worst}, {unequal} of {3 * 2**24} values differ from float64, fixed point {digest}", ok)


sys.exit(kit.run_cases())

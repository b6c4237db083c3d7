#!/usr/bin/env python3
"""Make the expected pixels of tests/data/pillow with the Pillow that is installed: NAME.13 from Pillow 13 on, else NAME.12.

Run from the repository root, once with each of the two: pip install pillow==13.0.0, then pillow==12.3.0. The results are
committed, so tests need no Pillow. The picture is scene() of tests/unit/test_pillow.c. Each file: width and height as
32-bit little-endian integers, then RGB bytes.
"""
import os
import struct

import PIL
from PIL import Image

OUT = "tests/data/pillow"
MAJOR = int(PIL.__version__.split(".")[0])
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
# Name, width and height before, and after. Pillow 13 begins with the columns of "tall", "wider" and "over": their height shrinks by more than twice as much.
SIZES = [("tall", 24, 96, 20, 12), ("wider", 16, 90, 22, 40), ("square", 40, 40, 13, 13), ("flat", 96, 24, 12, 20), ("twice", 40, 50, 30, 30),
         ("over", 40, 51, 30, 30), ("larger", 12, 20, 17, 31)]


def scene(w, h):
    return Image.frombytes("RGB", (w, h), bytes((x * 37 + y * 11 + c * 80 ^ x * y) & 255 for y in range(h) for x in range(w) for c in range(3)))


os.makedirs(OUT, exist_ok=True)
for name, w, h, to_w, to_h in SIZES:
    for word, number in FILTERS.items():
        im = scene(w, h).resize((to_w, to_h), number)
        with open(os.path.join(OUT, f"{name}-{word}.{13 if MAJOR >= 13 else 12}"), "wb") as f:
            f.write(struct.pack("<II", *im.size) + im.tobytes())

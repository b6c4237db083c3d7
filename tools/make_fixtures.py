#!/usr/bin/env python3
"""Make the picture fixtures of tests/data with Pillow: each file beside the RGB pixels that Pillow decodes (raw .rgb).

Run from the repository root with Pillow installed; the results are committed, so tests need no Pillow.
"""
import io
import os
import struct

from PIL import Image, ImageDraw

OUT = "tests/data/pictures"


def scene(w=37, h=23):
    """A small picture with gradients, edges and an upright mark, so that every orientation differs."""
    im = Image.new("RGB", (w, h))
    im.putdata([((x * 7) % 256, (y * 11) % 256, (x * y) % 256) for y in range(h) for x in range(w)])
    d = ImageDraw.Draw(im)
    d.rectangle([2, 2, 12, 8], fill=(250, 40, 30))
    d.line([0, h - 1, w - 1, h // 2], fill=(10, 240, 90), width=2)
    return im


def exif(orientation, big):
    order, mark = (">", b"MM") if big else ("<", b"II")
    body = mark + struct.pack(order + "HI", 42, 8) + struct.pack(order + "HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"Exif\0\0" + body


def save(name, im, expect=None, **options):
    path = os.path.join(OUT, name)
    im.save(path, **options)
    expected = expect or Image.open(path).convert("RGB")
    with open(path + ".rgb", "wb") as f:
        f.write(struct.pack("<II", *expected.size) + expected.tobytes())


def main():
    os.makedirs(OUT, exist_ok=True)
    im = scene()
    for sub in (0, 1, 2):
        save(f"sub{sub}.jpg", im, quality=85, subsampling=sub)
    save("progressive.jpg", im, quality=80, progressive=True)
    save("grey.jpg", im.convert("L"), quality=85)
    save("cmyk.jpg", im.convert("CMYK"), quality=90)
    upright = Image.open(io.BytesIO(open(os.path.join(OUT, "sub0.jpg"), "rb").read())).convert("RGB")
    turns = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE, 6: Image.ROTATE_270,
             7: Image.TRANSVERSE, 8: Image.ROTATE_90}
    for o, turn in turns.items():
        save(f"exif{o}.jpg", im, expect=upright.transpose(turn) if turn is not None else upright, quality=85, subsampling=0, exif=exif(o, o % 2))
    save("exif0.jpg", im, expect=upright, quality=85, subsampling=0, exif=exif(0, False))
    save("exifbad.jpg", im, expect=upright, quality=85, subsampling=0, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    save("rgb.png", im)
    save("palette.png", im.quantize(16))
    save("grey.png", im.convert("L"))
    rgba = im.convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(im.size))
    save("rgba.png", rgba)
    save("lossless.webp", im, lossless=True)
    save("lossy.webp", im, quality=80)
    lossless = im.copy()
    save("exif6.webp", im, expect=lossless.transpose(Image.ROTATE_270), lossless=True, exif=exif(6, True))
    jpeg = open(os.path.join(OUT, "sub0.jpg"), "rb").read()
    scans = open(os.path.join(OUT, "progressive.jpg"), "rb").read()
    # Both make libjpeg warn of extraneous bytes.
    damaged = {"stray.jpg": scans[:-2] + b"\x12\x34\x56" * 20 + scans[-2:], "flipped.jpg": jpeg[:-673] + bytes([jpeg[-673] ^ 0x10]) + jpeg[-672:]}
    for name, data in damaged.items():
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)
        with open(os.path.join(OUT, name + ".rgb"), "wb") as f:
            f.write(struct.pack("<II", *im.size) + Image.open(io.BytesIO(data)).convert("RGB").tobytes())
    wide = Image.frombytes("I;16", (5, 3), struct.pack("<15H", *range(100, 65500, 4360)))
    save("grey16.png", wide, expect=Image.frombytes("L", (5, 3), bytes(v >> 8 for v in range(100, 65500, 4360))).convert("RGB"))
    save("colour.ppm", im)
    save("grey.pgm", im.convert("L"))
    save("one.png", im.crop((0, 0, 1, 1)))


if __name__ == "__main__":
    main()

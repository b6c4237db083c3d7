#!/usr/bin/env python3
"""Make the picture fixtures of tests/data with Pillow: each file beside the RGB pixels that Pillow decodes (raw .rgb).

Run from the repository root with Pillow installed; the results are committed, so tests need no Pillow.
"""
import io
import os
import struct
import zlib

from PIL import Image, ImageDraw, ImageOps

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


def bmp_runs(rows, four):
    """A run-length coded BMP: encoded and absolute runs, a delta, an early end."""
    data = bytearray()
    w = len(rows[0])
    for y, row in enumerate(rows):
        if y % 3 == 0:
            for x in range(0, w, 5):
                part = row[x:x + 5]
                if len(part) < 3:
                    data += bytes([len(part), part[0] << 4 | part[0] if four else part[0]])
                    continue
                data += bytes([0, len(part)])
                packed = bytes((part[i] << 4 | (part[i + 1] if i + 1 < len(part) else 0)) for i in range(0, len(part), 2)) if four else bytes(part)
                data += packed + bytes(len(packed) % 2)
        else:
            for x in range(w):
                data += bytes([1, row[x] << 4 if four else row[x]])
        data += b"\0\0" if y % 2 or y == 0 else b""
    data += b"\0\2\3\1" + bytes([w, 7 << 4 | 1 if four else 7]) + b"\0\0" * 2 + bytes([w, 0x31 if four else 3])
    return bytes(data)


def bmp(w, h, bits, pixels, compression=0, palette=b"", masks=b"", header=40, colors=0):
    size = struct.pack("<HHHH", w, h, 1, bits) if header == 12 else struct.pack("<iiHHIIiiII", w, h, 1, bits, compression, len(pixels), 0, 0, colors, 0)
    info = struct.pack("<I", header) + size
    if header > 40:
        info += masks
        masks = b""
    info = info.ljust(header, b"\0")
    offset = 14 + header + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + masks + palette + pixels


def bitmaps(im):
    """{name: file}: what Pillow does not write itself."""
    noise = bytes((i * 2654435761 >> 11) & 255 for i in range(4 * 13 * 9))
    ramp = bytes(v for i in range(256) for v in (i, 255 - i, i * 7 & 255, 0))
    core = bytes(v for i in range(256) for v in (255 - i, i, i * 5 & 255))
    rows = [[(x * 3 + y * y) % 11 for x in range(13)] for y in range(7)]
    masks = lambda *m: struct.pack(f"<{len(m)}I", *m)
    return {
        "bits1.bmp": bmp(13, 9, 1, noise[:4 * 9], palette=ramp[40:48], colors=2), "bits4.bmp": bmp(13, 9, 4, noise[:8 * 9], palette=ramp[:64]),
        "short.bmp": bmp(13, 9, 8, noise[:16 * 9], palette=ramp[:400], colors=100), "core.bmp": bmp(13, 9, 8, noise[:16 * 9], palette=core, header=12),
        "bits16.bmp": bmp(13, 9, 16, noise[:28 * 9]), "masks565.bmp": bmp(13, 9, 16, noise[:28 * 9], 3, masks=masks(0xf800, 0x7e0, 0x1f)),
        "down.bmp": bmp(13, -9, 24, noise[:40 * 9]), "bits32.bmp": bmp(13, 9, 32, noise), "rgba.bmp": bmp(13, 9, 32, noise, 3, masks=masks(0xff, 0xff00, 0xff0000, 0xff000000), header=108),
        "abgr.bmp": bmp(13, 9, 32, noise, 3, masks=masks(0xff000000, 0xff0000, 0xff00, 0xff), header=124),
        "rle8.bmp": bmp(13, 9, 8, bmp_runs(rows, False), 1, palette=ramp[:80], colors=20), "rle4.bmp": bmp(13, 9, 4, bmp_runs(rows, True), 2, palette=ramp[:64], colors=16),
    }


def more_formats(im):
    save("rgb.bmp", im)
    save("palette.bmp", im.quantize(16))
    files = bitmaps(im)
    save("plain.gif", im.quantize(64))
    save("one.gif", im.crop((0, 0, 1, 1)).quantize(2))
    many = Image.new("L", (211, 97))
    many.putdata([(i * i * 2654435761 >> 13) & 255 for i in range(211 * 97)])
    save("long.gif", many.convert("P"), interlace=1)
    save("moving.gif", im.quantize(16), save_all=True, append_images=[im.rotate(90).quantize(16)], transparency=3)
    gif = bytearray(open(os.path.join(OUT, "plain.gif"), "rb").read())
    gif[6:10] = struct.pack("<HH", 50, 20)  # a canvas of another size than the frame
    files["canvas.gif"] = bytes(gif)
    colors = 2 << (gif[10] & 7)
    rest = bytes(gif[13 + 3 * colors:])
    files["few.gif"] = bytes(gif[:10]) + bytes([gif[10] & 0xf8 | 1]) + bytes(gif[11:25]) + rest  # indices past the palette
    files["grey.gif"] = bytes(gif[:10]) + bytes([gif[10] & 0x78]) + bytes(gif[11:13]) + rest  # no palette
    save("moving.webp", im, save_all=True, append_images=[im.rotate(180)], lossless=True)
    part = im.convert("RGBA")
    part.putalpha(Image.linear_gradient("L").resize(im.size))
    save("moving_alpha.webp", part, save_all=True, append_images=[part.rotate(180)], quality=70)
    webp = bytearray(open(os.path.join(OUT, "moving.webp"), "rb").read())
    at = webp.index(b"ANMF") + 8
    webp[24:30] = (59).to_bytes(3, "little") + (39).to_bytes(3, "little")
    webp[at:at + 6] = (7).to_bytes(3, "little") + (4).to_bytes(3, "little")
    files["offset.webp"] = bytes(webp)
    for name, data in files.items():
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)
        with open(os.path.join(OUT, name + ".rgb"), "wb") as f:
            shown = Image.open(io.BytesIO(data)).convert("RGB")
            f.write(struct.pack("<II", *shown.size) + shown.tobytes())


def tiff(w, h, samples, bits, photometric, order="<", planar=1, tile=None, rows=None, big=False, deflate=False, **tags):
    """A TIFF of noise as Pillow does not write it; `tags` such as t338=[1] are added."""
    block_w, block_h = tile or (w, rows or h)
    blocks, n = [], 0
    for plane in range(samples if planar == 2 else 1):
        for y in range(0, h, block_h):
            for _ in range(0, w, block_w):
                row = (block_w * (1 if planar == 2 else samples) * bits + 7) // 8
                size = row * (block_h if tile else min(block_h, h - y))
                block = bytes((i * i * 40503 + i * 2654435761 >> 15) & 255 for i in range(n, n + size))
                blocks.append(zlib.compress(block) if deflate else block)
                n += size
    at, offsets = 16 if big else 8, []
    for block in blocks:
        offsets.append(at)
        at += len(block) + len(block) % 2
    fields = {256: (4, [w]), 257: (4, [h]), 258: (3, [bits] * samples), 259: (3, [8 if deflate else 1]), 262: (3, [photometric]), 277: (3, [samples]),
              284: (3, [planar]), 324 if tile else 273: (4, offsets), 325 if tile else 279: (4, [len(b) for b in blocks])}
    fields.update({322: (4, [tile[0]]), 323: (4, [tile[1]])} if tile else {278: (4, [block_h])})
    fields.update({int(name[1:]): (3, value) for name, value in tags.items()})
    wide, room = ("Q", 8) if big else ("I", 4)
    behind = at + (8 if big else 2) + len(fields) * (4 + 2 * room) + room
    entries, more = struct.pack(order + ("Q" if big else "H"), len(fields)), b""
    for tag, (kind, values) in sorted(fields.items()):
        value = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        entries += struct.pack(order + "HH" + wide, tag, kind, len(values))
        entries += value.ljust(room, b"\0") if len(value) <= room else struct.pack(order + wide, behind + len(more))
        more += value if len(value) > room else b""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + ("HHHQ" if big else "HI"), *([43, 8, 0, at] if big else [42, at]))
    return head + b"".join(b + bytes(len(b) % 2) for b in blocks) + entries + bytes(room) + more


def loaded_formats(im):
    """TIFF and AVIF, which are decoded by libraries that are loaded at run time. lossless.heic is not made here: libheif
    encoded scene() with x265, lossless, 4:4:4 and the identity matrix, and its .rgb is scene() itself."""
    ramp = [i * 40503 & 65535 for i in range(48)]
    made = {
        "planar.tif": tiff(13, 9, 3, 8, 2, ">", planar=2, rows=4), "tile16.tif": tiff(37, 23, 3, 16, 2, tile=(16, 16), deflate=True),
        "palette4.tif": tiff(13, 9, 1, 4, 3, t320=ramp), "white2.tif": tiff(13, 9, 1, 2, 0, ">"), "cmyk16.tif": tiff(13, 9, 4, 16, 5, ">", rows=2),
        "premultiplied.tif": tiff(13, 9, 4, 8, 2, t338=[1]), "extra.tif": tiff(13, 9, 5, 8, 2, t338=[0, 0]), "big.tif": tiff(13, 9, 3, 8, 2, big=True),
        "grey_alpha.tif": tiff(13, 9, 2, 8, 1, ">", t338=[2]), "bits1.tif": tiff(13, 9, 1, 1, 1, t266=[2]), "exif6.tif": tiff(13, 9, 3, 8, 2, t274=[6]),
    }
    for name, data in made.items():
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)
        shown = Image.open(io.BytesIO(data)).convert("RGB")  # Pillow turns it upright
        with open(os.path.join(OUT, name + ".rgb"), "wb") as f:
            f.write(struct.pack("<II", *shown.size) + shown.tobytes())
    save("lzw.tif", im, compression="tiff_lzw", tiffinfo={317: 2})
    save("packed.tif", im.quantize(200), compression="packbits")
    save("fax.tif", im.convert("1"), compression="group4")
    save("jpeg.tif", im, compression="jpeg", quality=90)
    save("pages.tif", im, save_all=True, append_images=[im.rotate(90)])
    save("full444.avif", im, subsampling="4:4:4", range="full", quality=80)
    save("wide422.avif", im, subsampling="4:2:2", range="limited", quality=80)
    save("small420.avif", im, subsampling="4:2:0", range="limited", quality=60)
    save("grey.avif", im, subsampling="4:0:0", range="limited", quality=80)
    rgba = im.convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(im.size))
    save("alpha.avif", rgba, quality=80)
    save("moving.avif", im, save_all=True, append_images=[im.rotate(180)], quality=70)
    turned = Image.Exif()
    for o in range(2, 9):
        turned[0x0112] = o
        name = os.path.join(OUT, f"exif{o}.avif")
        im.save(name, exif=turned, subsampling="4:4:4", quality=50)
        upright = ImageOps.exif_transpose(Image.open(name)).convert("RGB")
        turned[0x0112] = o  # saving took it out
        save(f"exif{o}.avif", im, expect=upright, exif=turned, subsampling="4:4:4", quality=50)


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
    more_formats(im)
    loaded_formats(im)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Pictures to tensors and the model for the peers, once for all: inputs.py MODEL FOLDER [PHOTOS [LIMIT]]; writes FOLDER/inputs.json.

Runs with the peers' interpreter (numpy, onnx, pillow). Preprocessing is timm's: short side, centre crop, mean and standard deviation.
"""
import glob
import json
import os
import sys

import numpy as np
import onnx
from PIL import Image, ImageFilter

import respell

KINDS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def model_shape(path, model):
    weights = {i.name for i in model.graph.initializer}  # old files list them as inputs
    (value,) = [i for i in model.graph.input if i.name not in weights][:1]
    shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
    if len(shape) != 4 or shape[1] != 3 or 0 in shape[2:]:
        raise SystemExit("inputs: %s: one input 1x3xHxW is needed, not %s" % (path, shape))
    return shape[2:]


def for_peers(path, model, out):
    """The file that the peers get, what was respelled in it, and what the file says of its weights."""
    note, notice = "", "".join(p.value for p in model.metadata_props if p.key == "weights")
    try:
        model, joined = respell.join_swish(model)
    except Exception as e:  # the converter of opsets knows only so much; then the peers get the file as it is
        return path, "not respelled: " + " ".join(str(e).split())[:80], notice
    if joined:
        note = "%d h-swish spelled as operators" % joined
        path = os.path.join(out, os.path.basename(path))
        onnx.save(model, path)
    return path, note, notice


def settings(path):
    """Mean, standard deviation, filter: the tf_ models of timm differ from the rest."""
    if os.path.basename(path).startswith("tf_"):
        return [0.5] * 3, [0.5] * 3, Image.BILINEAR
    return [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], Image.BICUBIC


def crop(image, height, width, how):
    scale = max(height, width) / 0.875 / min(image.size)
    image = image.resize([max(round(side * scale), 1) for side in image.size], how)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def drawn(count, height, width):
    """Without photos: smooth random colour, the same every time."""
    draw = np.random.default_rng(1)
    for _ in range(count):
        image = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
        yield image.filter(ImageFilter.GaussianBlur(1))


def photos(folder, limit):
    found = sorted(p for p in glob.glob(os.path.join(glob.escape(folder), "**", "*"), recursive=True) if p.lower().endswith(KINDS))
    step = max(len(found) / limit, 1)
    return [found[int(i * step)] for i in range(min(len(found), limit))]


def main():
    model, out = sys.argv[1:3]
    loaded = onnx.load(model)
    height, width = model_shape(model, loaded)
    peers, note, notice = for_peers(model, loaded, out)
    mean, std, how = settings(model)
    files = photos(sys.argv[3], int(sys.argv[4])) if len(sys.argv) > 3 else []
    if len(sys.argv) > 3 and len(files) < 2:
        raise SystemExit("inputs: %s: no two pictures there" % sys.argv[3])
    images = (crop(Image.open(f).convert("RGB"), height, width, how) for f in files) if files else drawn(16, height, width)
    groups = {"calibrate": [], "judge": []}  # every other picture: none is in both
    for i, image in enumerate(images):
        group = ("judge", "calibrate")[i % 2]
        folder = os.path.join(out, group)
        os.makedirs(folder, exist_ok=True)
        stem = os.path.join(folder, "%04d" % i)
        image.save(stem + ".png")
        x = (np.asarray(image, np.float32) / 255 - np.float32(mean)) / np.float32(std)
        np.save(stem + ".npy", np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32))
        groups[group].append(stem + ".npy")
    for f in groups["calibrate"]:  # the quantizers that read pictures get a folder with nothing else in it
        os.makedirs(os.path.join(out, "pictures"), exist_ok=True)
        os.replace(f[:-4] + ".png", os.path.join(out, "pictures", os.path.basename(f[:-4]) + ".png"))
    with open(os.path.join(out, "inputs.json"), "w") as f:
        json.dump({"tensors": groups["calibrate"], "judge": groups["judge"], "pictures": os.path.join(out, "pictures"), "height": height,
                   "width": width, "mean255": [m * 255 for m in mean], "normal255": [1 / (s * 255) for s in std], "photos": bool(files),
                   "source": os.path.abspath(model), "model": peers, "spelling": note, "weights": notice}, f)


if __name__ == "__main__":
    main()

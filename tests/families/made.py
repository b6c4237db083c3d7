"""What the exporters share: photos as input, and the files of one exported network.

NAME.onnx, NAME.in.npy as the file declares its input, NAME.out.npy the framework's own output, NAME.json what else
is known: how a picture becomes input, or why the exporter failed.
"""

import glob
import json
import os
import sys
import traceback
import zlib

import numpy as np
from PIL import Image


def seed_of(name):
    return zlib.crc32(name.encode())


def photos(folder, size, count=24):
    """[count, size, size, 3] in 0..1: photos where there are any, else smooth noise."""
    files = sorted(f for end in ("JPEG", "jpg", "png") for f in glob.glob(os.path.join(folder, "*." + end)))
    if not files:
        small = np.random.RandomState(5).rand(count, 6, 6, 3)
        return (
            np.stack(
                [np.asarray(Image.fromarray((p * 255).astype(np.uint8)).resize((size, size), 2)) for p in small]
            ).astype(np.float32)
            / 255
        )
    made = []
    for k in range(count):
        picture = Image.open(files[k * len(files) // count]).convert("RGB")
        short = min(picture.size)
        left, top = (picture.size[0] - short) // 2, (picture.size[1] - short) // 2
        made.append(np.asarray(picture.crop((left, top, left + short, top + short)).resize((size, size), 2)))
    return np.stack(made).astype(np.float32) / 255


def standard(logits):
    """What turns a class's logits over the photos into mean 0 and deviation 1: a network with random weights would
    give all pictures one class otherwise."""
    return logits.mean(0), np.maximum(logits.std(0), 1e-6)


def write(path, x, y, **facts):
    np.save(path + ".in.npy", x)
    np.save(path + ".out.npy", y)
    with open(path + ".json", "w") as f:
        json.dump(facts, f)


def export_all(export):
    """export(folder, photos, name) for each name of the command line; failures are written down, too."""
    folder, pictures, *names = sys.argv[1:]
    for name in names:
        path = os.path.join(folder, name.replace("/", "."))
        try:
            export(path, pictures, name)
        except Exception as e:
            text = (str(e).strip() or type(e).__name__).splitlines()
            with open(path + ".json", "w") as f:
                json.dump(
                    {"failed": f"{type(e).__name__}: {text[0][:160]}", "trace": traceback.format_exc()[-3000:]}, f
                )
        print(name, flush=True)

#!/usr/bin/env python3
"""Throughput of the Python package by threads, beside ONNX Runtime's own Python package on the same pictures.

    PYTHON bench/python_threads.py MODEL.onnx PICTURES [seconds] [threads ...]

Both decode, resize, crop and normalize each picture, and run the network on one core a picture. ONNX Runtime's side does
what its users write: Pillow, numpy, one session with one thread, a pool of Python threads. Needs kitfox, onnxruntime and
Pillow in one interpreter. Prints pictures a second, and how many answers are the same.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
from PIL import Image

import kitfox

model_path, folder = sys.argv[1:3]
seconds = float(sys.argv[3]) if sys.argv[3:] else 5.0
counts = [int(n) for n in sys.argv[4:]] or [1, 2, 4]
paths = sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.lower().endswith((".jpg", ".jpeg", ".png")))
model = kitfox.load(model_path, threads=1)
how = model.preprocess
how_of = Image.BICUBIC if how.interpolation == "bicubic" else Image.BILINEAR
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model_path, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
mean, std = (np.array(v, np.float32) for v in (how.mean, how.std))


def theirs(path):
    image = Image.open(path).convert("RGB")
    scale = how.width / how.crop_pct / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    left, top = (width - how.width) // 2, (height - how.height) // 2
    image = image.resize((width, height), how_of).crop((left, top, left + how.width, top + how.height))
    x = ((np.asarray(image, np.float32) / 255 - mean) / std).transpose(2, 0, 1)[None]
    return int(session.run(None, {name: np.ascontiguousarray(x)})[0].argmax())


def ours(path):
    return model.classify(path, k=1, exif=False).index


def rate(call, threads):
    end, done = time.monotonic() + seconds, 0
    begun = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        while time.monotonic() < end:
            batch = [paths[(done + i) % len(paths)] for i in range(8 * threads)]
            list(pool.map(call, batch))
            done += len(batch)
    return done / (time.monotonic() - begun)


same = sum(ours(p) == theirs(p) for p in paths[:100])
print(f"{model}; {len(paths)} pictures; {same} of {len(paths[:100])} answers are the same")
print(f"{'threads':>8} {'kitfox':>10} {'onnxruntime':>12}   pictures a second")
for threads in counts:
    a, b = rate(ours, threads), rate(theirs, threads)
    print(f"{threads:8} {a:10.1f} {b:12.1f}   {a / b:.2f}")

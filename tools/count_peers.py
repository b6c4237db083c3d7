#!/usr/bin/env python3
"""Instructions of one inference by KitFox and by engines of bench/peers, on emulated Arm cores: a table of docs/ARM.md.

    tools/count_peers.py --root FOLDER --work FOLDER NAME=FILE.onnx...

FOLDER of --root: Debian's arm64 packages python3, libstdc++6 and libgomp1 with what they need, unpacked, and the
engines' aarch64 wheels in its usr/lib/python3/dist-packages. proc/cpuinfo in it has to describe an Arm core: ONNX
Runtime ends with a signal where it reads the host's. Conversions run here, so this interpreter needs numpy, onnx, onnxruntime, pnnx
and Pillow; they stay in the folder of --work. Networks take 224 x 224 pictures as ImageNet's do.
"""

import argparse
import glob
import os
import platform
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(SOURCE, "bench")]

import count_instructions  # noqa: E402

RUNS = (count_instructions.FEW, count_instructions.MANY)
ENGINES = (("kitfox", "int8"), ("ort", "int8"), ("kitfox", "fp32"), ("ort", "fp32"), ("ncnn", "fp32"))
TITLES = {"kitfox": "KitFox", "ort": "ONNX Runtime", "ncnn": "ncnn"}


def calibration(pictures, work):
    """Pictures as inputs in .npy files; the first is what is inferred."""
    import numpy as np
    from PIL import Image

    files = []
    for i, path in enumerate(sorted(glob.glob(os.path.join(pictures, "*.[jJ][pP]*")))[:24]):
        x = np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float32) / 255
        x = (x - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
        files.append(os.path.join(work, "input%d.npy" % i))
        np.save(files[-1], x.transpose(2, 0, 1)[None])
    return files


def kitfox(a, onnx, kind, folder):
    out = os.path.join(folder, "kitfox_%s.kfx" % kind)
    if not os.path.exists(out):
        verb = ["import"] if kind == "fp32" else ["quantize", "--calib", a.pictures]
        subprocess.run(
            [a.kitfox, *verb, onnx, "-p", "timm:mobilenetv3_large_100", "-o", out],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return out


def peer(name, onnx, kind, folder, inputs):
    import importlib

    done = os.path.join(folder, "%s_%s.path" % (name, kind))
    if not os.path.exists(done):
        path, note = importlib.import_module("peers." + name).convert(onnx, kind, folder, {"tensors": inputs})
        print("%s: %s" % (path, note), file=sys.stderr)
        with open(done, "w") as f:
            f.write(path)
    with open(done) as f:
        return f.read()


def main():
    p = argparse.ArgumentParser(description="Instructions of one inference by KitFox and other engines, emulated.")
    p.add_argument("--root", required=True, help="folder with an arm64 Python and the engines' wheels")
    p.add_argument("--work", required=True, help="folder for converted models, kept")
    p.add_argument("--cpu", action="append", help="default: neoverse-n1 and cortex-a53")
    p.add_argument("--program", default=os.path.join(SOURCE, "build/test-aarch64/programs/kitfox"), help="for aarch64")
    p.add_argument("--kitfox", default=os.path.join(SOURCE, "build/test-gcc/programs/kitfox"), help="for this machine")
    p.add_argument("--pictures", default=os.path.join(SOURCE, "examples/pictures"), help="to calibrate with")
    p.add_argument("networks", nargs="+", metavar="NAME=FILE.onnx")
    a = p.parse_args()
    platform.machine = lambda: "aarch64"  # models are for that machine
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", OPENBLAS_NUM_THREADS="1")
    os.makedirs(a.work, exist_ok=True)
    inputs = calibration(a.pictures, a.work)
    python = [os.path.join(a.root, "usr/bin/python3"), os.path.join(HERE, "count_peer.py")]
    print("| network | engine | core | instructions | loads | stores | dot | mlal | fmla |")
    print("|---|---|---|---|---|---|---|---|---|")
    for network in a.networks:
        title, onnx = network.split("=", 1)
        folder = os.path.join(os.path.abspath(a.work), title)
        os.makedirs(folder, exist_ok=True)
        for engine, kind in ENGINES:
            if engine == "kitfox":
                command = [a.program, "bench", "-t", "1", "-n", "{n}", kitfox(a, onnx, kind, folder)]
            else:
                command = [*python, engine, peer(engine, onnx, kind, folder, inputs), "{n}", inputs[0]]
            for cpu in a.cpu or ["neoverse-n1", "cortex-a53"]:
                row(a.root, cpu, "%s, %s" % (title, kind), engine, command)
    return 0


def row(root, cpu, title, engine, command):
    if engine == "kitfox":
        root = None  # built with this machine's libraries for aarch64
    words = shlex.join(command)
    with tempfile.TemporaryDirectory() as folder:
        so = count_instructions.plugin(folder)
        few, many = (count_instructions.count(so, cpu, root, words, n, folder) for n in RUNS)
    numbers = ["%.1f" % ((many[k] - few[k]) / (RUNS[1] - RUNS[0]) / 1e6) for k in ("all", "loads", "stores", "dot", "mlal", "fmla")]
    print("| %s |" % " | ".join([title, TITLES[engine], cpu, *numbers]), flush=True)


if __name__ == "__main__":
    sys.exit(main())

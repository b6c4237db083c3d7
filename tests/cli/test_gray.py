#!/usr/bin/env python3
"""Networks of one channel over colour pictures: what they see is Pillow's convert("L"), in f32 and in 8 bits.

The argument is the program. Runs in the interpreter of KITFOX_PEERS when numpy or Pillow is missing; skips (77) without
one.
"""
import json
import os
import sys
import tempfile

from kit import PEERS, check, finish, peers_have, rerun_with_numpy, run

try:
    import numpy as np
    from PIL import Image
except ImportError:
    rerun_with_numpy()
import tiny_onnx

SIDE, CLASSES, MEAN, STD = 24, 5, 0.4375, 0.25
OPTIONS = ["--color", "gray", "--mean", str(MEAN), "--std", str(STD), "--crop-pct", "1"]
folder = tempfile.mkdtemp(prefix="kitfox-gray-")


def path(name):
    return os.path.join(folder, name)


def write(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    return path(name)


def picture(seed):
    """Random pixels and whole colours, of exactly the input's size."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    a[:6] = [[255, 0, 0], [0, 255, 0], [0, 0, 255]][seed % 3]
    name = path(f"calib/{seed}.png")
    Image.fromarray(a).save(name)
    return name


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def classify(model, name):
    code, out, err = run("classify", model, name, "--json", "-k", str(CLASSES))
    check(f"classify {os.path.basename(model)} {os.path.basename(name)}", code == 0, err)
    scores = np.zeros(CLASSES)
    for t in json.loads(out)["top"] if code == 0 else []:
        scores[t["index"]] = t["score"]
    return scores


def seen(name):
    """What the network sees of a picture, by Pillow and numpy alone."""
    luma = np.array(Image.open(name).convert("L")).astype(np.float64)
    return ((luma / 255 - MEAN) / STD).astype(np.float32).reshape(1, 1, SIDE, SIDE)


def logits(model, x):
    np.save(path("in.npy"), x)
    code, _, err = run("run", model, path("in.npy"), "-o", path("out.npy"))
    check(f"run {os.path.basename(model)}", code == 0, err)
    return np.load(path("out.npy")).ravel()


def by_onnxruntime(model, x):
    import onnxruntime
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0].ravel()


def answers(model, names, onnx):
    """Pictures through the program against the same grey numbers, given as a tensor and to ONNX Runtime."""
    kind = os.path.basename(model)
    for name in names:
        got, x = classify(model, name), seen(name)
        check(f"{kind}: a picture is its grey numbers", np.abs(got - softmax(logits(model, x))).max() < 1e-6, name)
        if onnx:
            check(f"{kind}: as ONNX Runtime", np.abs(got - softmax(by_onnxruntime(onnx, x))).max() < 1e-5, name)


def refusals(gray, color):
    code, _, err = run("import", color, "-o", path("no.kfx"), "--color", "gray")
    check("gray for three channels is refused", code == 1 and "one input channel" in err, (code, err))
    code, _, err = run("import", gray, "-o", path("no.kfx"), "--color", "gray")
    check("gray needs mean and std", code == 1 and "--mean" in err and "--std" in err, (code, err))
    code, _, err = run("import", gray, "-o", path("no.kfx"), "--mean", "0.5")
    check("one channel without a color takes no picture options", code == 1 and "--color gray" in err, (code, err))
    code, _, err = run("import", gray, "-o", path("plain.kfx"), "--preprocess", "timm:mobilenetv3_small_100")
    code, _, err = run("classify", path("plain.kfx"), path("calib/0.png"))
    check("one channel and color rgb: raw tensors only", code == 1 and "--color gray" in err, (code, err))


def main():
    os.mkdir(path("calib"))
    names = [picture(i) for i in range(16)]
    gray = write("gray.onnx", tiny_onnx.classifier([1, 1, SIDE, SIDE], 1, CLASSES)[0])
    color = write("color.onnx", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3, CLASSES)[0])
    peers = peers_have("onnxruntime") and sys.executable == PEERS
    refusals(gray, color)
    code, _, err = run("import", gray, "-o", path("f32.kfx"), *OPTIONS)
    check("import", code == 0, err)
    info = json.loads(run("info", path("f32.kfx"), "--json")[1])["preprocess"]
    check("info", info["color"] == "gray" and info["mean"][0] == MEAN and info["width"] == SIDE, info)
    answers(path("f32.kfx"), names[:4], gray if peers else None)
    code, _, err = run("quantize", path("f32.kfx"), "--calib", path("calib"), "-o", path("int8.kfx"))
    check("quantize", code == 0, err)
    info = json.loads(run("info", path("int8.kfx"), "--json")[1])
    x = info["input"]
    check("8 bits take pixels of one channel", x["dtype"] == "u8" and x["shape"] == [1, 1, SIDE, SIDE], x)
    code, out, err = run("verify", path("int8.kfx"))
    check("verify", code == 0, err)
    code, _, err = run("export", path("int8.kfx"), "-o", path("qdq.onnx"))
    check("export as QDQ", code == 0, err)
    answers(path("int8.kfx"), names[:4], path("qdq.onnx") if peers else None)
    far = max(np.abs(classify(path("int8.kfx"), n) - classify(path("f32.kfx"), n)).max() for n in names)
    check("8 bits stay near f32", far < 0.05, far)
    code, _, err = run("compare", path("f32.kfx"), path("int8.kfx"), "--data", path("calib"), "--nodes")
    check("compare", code == 0, err)
    return finish()


sys.exit(main())

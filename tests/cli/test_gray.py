#!/usr/bin/env python3
"""Networks of one channel over colour pictures: what they see is Pillow's convert("L"), in f32 and in 8 bits.
Networks of BGR and of grey take the same RGB pictures as all others, and many images at once.

The argument is the program. Runs in the interpreter of KITFOX_PEERS when numpy or Pillow is missing; skips (77) without
one.
"""
import json
import os
import sys

from kit import PEERS, case, check, once, peers_have, rerun_with_numpy, run, run_cases

try:
    import numpy as np
    from PIL import Image
except ImportError:
    rerun_with_numpy()
import tiny_onnx

SIDE, CLASSES, MEAN, STD = 24, 5, 0.4375, 0.25
PEERS_HERE = peers_have("onnxruntime") and sys.executable == PEERS
OPTIONS = ["--color", "gray", "--mean", str(MEAN), "--std", str(STD), "--crop-pct", "1"]


@once
def top(folder):
    return folder


def path(name):
    return os.path.join(top(), name)


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


@once
def pictures(folder):
    os.mkdir(path("calib"))
    return [picture(i) for i in range(16)]


@once
def networks(folder):
    """Files of one channel and of three."""
    return (write("gray.onnx", tiny_onnx.classifier([1, 1, SIDE, SIDE], 1, CLASSES)[0]),
            write("color.onnx", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3, CLASSES)[0]))


@once
def single(folder):
    """The grey network as a compiled float model."""
    code, _, err = run("import", networks()[0], "-o", path("f32.kfx"), *OPTIONS)
    check("import", code == 0, err)
    return path("f32.kfx")


@case
def refusals():
    (gray, color), name = networks(), pictures()[0]
    code, _, err = run("import", color, "-o", path("no.kfx"), "--color", "gray")
    check("gray for three channels is refused", code == 1 and "one input channel" in err, (code, err))
    code, _, err = run("import", gray, "-o", path("no.kfx"), "--color", "gray")
    check("gray needs mean and std", code == 1 and "--mean" in err and "--std" in err, (code, err))
    code, _, err = run("import", gray, "-o", path("no.kfx"), "--mean", "0.5")
    check("one channel without a color takes no picture options", code == 1 and "--color gray" in err, (code, err))
    code, _, err = run("import", gray, "-o", path("plain.kfx"), "--preprocess", "timm:mobilenetv3_small_100")
    code, _, err = run("classify", path("plain.kfx"), name)
    check("one channel and color rgb: raw tensors only", code == 1 and "--color gray" in err, (code, err))


@case
def floats():
    info = json.loads(run("info", single(), "--json")[1])["preprocess"]
    check("info", info["color"] == "gray" and info["mean"][0] == MEAN and info["width"] == SIDE, info)
    answers(single(), pictures()[:4], networks()[0] if PEERS_HERE else None)


@case
def quantized():
    names, f32, int8 = pictures(), single(), path("int8.kfx")
    code, _, err = run("quantize", f32, "--calib", path("calib"), "-o", int8)
    check("quantize", code == 0, err)
    x = json.loads(run("info", int8, "--json")[1])["input"]
    check("8 bits take pixels of one channel", x["dtype"] == "u8" and x["shape"] == [1, 1, SIDE, SIDE], x)
    code, out, err = run("verify", int8)
    check("verify", code == 0, err)
    code, _, err = run("export", int8, "-o", path("qdq.onnx"))
    check("export as QDQ", code == 0, err)
    answers(int8, names[:4], path("qdq.onnx") if PEERS_HERE else None)
    far = max(np.abs(classify(int8, n) - classify(f32, n)).max() for n in names)
    check("8 bits stay near f32", far < 0.05, far)
    code, _, err = run("compare", f32, int8, "--data", path("calib"), "--nodes")
    check("compare", code == 0, err)


def file_of(name):
    with open(path(name), "rb") as f:
        return f.read()


def quantize(model, calib, name):
    code, _, err = run("quantize", path(model), "--calib", path(calib), "-o", path(name))
    check(f"quantize {name}", code == 0, err)
    return path(name)


@once
def numbers(folder):
    """The pictures as uint8 files of numpy, and with red and blue changed."""
    os.mkdir(path("numbers"))
    os.mkdir(path("turned"))
    for i, name in enumerate(pictures()):
        a = np.array(Image.open(name))
        np.save(path(f"numbers/{i}.npy"), a)
        Image.fromarray(np.ascontiguousarray(a[:, :, ::-1])).save(path(f"turned/{i}.png"))
    return path("numbers")


@once
def orders(folder):
    """One network of three channels as RGB and as BGR, in f32 and quantized on pictures that look the same to both."""
    numbers()
    for order, calib in ("rgb", "turned"), ("bgr", "calib"):
        code, _, err = run("import", networks()[1], "-o", path(order + ".kfx"), "--color", order, "--mean", str(MEAN),
                           "--std", str(STD), "--crop-pct", "1")
        check(f"import {order}", code == 0, err)
        quantize(order + ".kfx", calib, order + "8.kfx")
    return path("rgb.kfx"), path("bgr.kfx"), path("rgb8.kfx"), path("bgr8.kfx")


@case
def bgr():
    """A BGR network over pictures is an RGB network over the same pictures with red and blue changed."""
    files, (_, f32, _, int8) = numbers(), orders()
    quantize("bgr.kfx", "numbers", "npy8.kfx")
    check("u8 files [H,W,3] calibrate a BGR network as pictures do", file_of("npy8.kfx") == file_of("bgr8.kfx"))
    for i, name in enumerate(pictures()[:4]):
        for model in "{}.kfx", "{}8.kfx":
            rgb, want = path(model.format("rgb")), classify(path(model.format("bgr")), name)
            check(f"{model}: BGR is RGB turned", (want == classify(rgb, path(f"turned/{i}.png"))).all(), want)
            check(f"{model}: colours count", not (want == classify(rgb, name)).all(), want)
            y = softmax(logits(path(model.format("bgr")), np.load(f"{files}/{i}.npy")))
            check(f"{model}: run takes the picture as classify does", np.abs(want - y).max() < 1e-6, (want, y))
    code, _, err = run("compare", f32, int8, "--data", path("calib"))
    check("compare BGR", code == 0, err)


@case
def gray_numbers():
    numbers()
    single()
    quantize("f32.kfx", "calib", "files8.kfx")
    quantize("f32.kfx", "numbers", "npy8gray.kfx")
    check("u8 files [H,W,3] calibrate a grey network as pictures do", file_of("npy8gray.kfx") == file_of("files8.kfx"))


def many(model, x):
    """N images in one file give what they give alone, to the bit."""
    alone = [logits(model, x[i:i + 1]) for i in range(len(x))]
    for threads in "1", "2", "3":
        for n in 2, 3, 7:
            np.save(path("in.npy"), x[:n])
            code, _, err = run("run", model, path("in.npy"), "-o", path("out.npy"), "--threads", threads)
            y = np.load(path("out.npy"))
            check(f"{n} images on {threads} threads", code == 0 and y.shape == (n, CLASSES) and (y == alone[:n]).all(),
                  err)


def refused(what, x, word):
    np.save(path("in.npy"), x)
    code, _, err = run("run", single(), path("in.npy"), "-o", path("out.npy"))
    check(f"{what} is refused", code == 1 and word in err, (code, err))


@case
def many_images():
    x = np.random.default_rng(3).standard_normal([7, 3, SIDE, SIDE]).astype(np.float32)
    one = np.ascontiguousarray(x[:, :1])
    many(single(), one)
    many(orders()[3], x)
    refused("no image", one[:0], "first extent is 0")
    refused("a wrong side of three images", one[:3, :, 1:], "image 0 of 3")


sys.exit(run_cases())

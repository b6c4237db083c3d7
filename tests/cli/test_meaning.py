# What numbers mean: scores of every kind of head, overridden and shown; scores that are none; pixels that are stored,
# not guessed; strips. The values of tests/data/cases are ONNX Runtime's. Usage: test_meaning.py KITFOX
import array
import json
import math
import os
import sys

import tiny_onnx
from kit import EXAMPLES, ROOT, case, check, run, run_cases, says

CASES = os.path.join(ROOT, "tests", "data", "cases")
PICTURE = os.path.join(CASES, "sigmoid_head", "p.png")
HOW = ("--resize", "32", "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--interpolation", "bilinear")


def floats(path):
    data = open(path, "rb").read()
    at = 10 + int.from_bytes(data[8:10], "little")
    return array.array("f", data[at:]).tolist()


def npy(path, shape, values):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}".ljust(117) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00v\x00" + head.encode() + array.array("f", values).tobytes())


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def scores(*args):
    code, out, err = run("classify", *args, PICTURE, "-k", "9", "--json")
    top = json.loads(out).get("top") if out else None
    return [s["score"] for s in sorted(top, key=lambda s: s["index"])] if code == 0 and top else (code, out, err)


def info(path, *more):
    return json.loads(run("info", path, "--json", *more)[1] or "{}")


def near(a, b):
    return isinstance(a, list) and len(a) == len(b) and all(abs(x - y) < 1e-5 for x, y in zip(a, b))


@case
def heads(folder):
    for name, kind in (("sigmoid_head", "independent"), ("softmax_then_flatten", "probabilities")):
        kfx = os.path.join(folder, name + ".kfx")
        code, _, err = run("import", os.path.join(CASES, name, "m.onnx"), *HOW, "-o", kfx)
        check(f"{name}: imported", code == 0, err)
        got, want = scores(kfx), floats(os.path.join(CASES, name, "expected.npy"))
        check(f"{name}: the network's own scores", near(got, want), (got, want))
        facts = info(kfx)
        check(f"{name}: info", facts["scores"] == kind and facts["takes"] == "normalized" and facts["preprocess_origin"] == "given", facts)
        check(f"{name}: info in words", f"\nscores        {kind}\n" in run("info", kfx)[1])


def head(*after, shape=(1, 5)):
    """A classifier that ends in these operators."""
    g = tiny_onnx.Graph([1, 3, 32, 32])
    for x in (lambda: g.conv(3, 8), lambda: g.add("Relu"), lambda: g.add("GlobalAveragePool"), lambda: g.add("Flatten", axis=1), lambda: g.fc(8, 5)):
        x()
    for a in after:
        if a == "Clip01":
            g.add("Clip", g.const([], [0.0]), g.const([], [1.0]))
        elif a == "Reshape":
            g.add("Reshape", g.const([2], [1, 5], 7))
        else:
            g.add(a, **({"axis": 1} if a in ("Softmax", "Flatten") else {}))
    return g.bytes(list(shape))


@case
def variants(folder):
    """Through other nodes than those of the reports, and the way over the option."""
    for name, after, kind in (("clip", ("Softmax", "Clip01"), "probabilities"), ("reshape", ("Softmax", "Reshape"), "probabilities"),
                              ("hard", ("HardSigmoid",), "independent"), ("sigmoid", ("Sigmoid", "Flatten"), "independent"),
                              ("plain", (), "logits"), ("views", ("Flatten", "Identity"), "logits")):
        onnx = write(folder, name + ".onnx", head(*after))
        check(f"{name}: {kind}", info(onnx).get("scores") == kind, info(onnx))
        got = scores(onnx)
        own = scores(onnx, "--scores", "independent")
        soft = isinstance(own, list) and [math.exp(x) for x in own]
        want = [x / sum(soft) for x in soft] if kind == "logits" else own
        check(f"{name}: ranked by it", near(got, want), (got, want))
    kfx = os.path.join(folder, "o.kfx")
    run("import", os.path.join(folder, "plain.onnx"), "--scores", "probabilities", "-o", kfx)
    check("import stores what --scores says", info(kfx)["scores"] == "probabilities", info(kfx))
    check("and classify takes it as it is", near(scores(kfx), scores(kfx, "--scores", "independent")))
    logs = scores(kfx, "--scores", "log")
    check("logarithms", near(logs, [math.exp(x) for x in scores(kfx)]), logs)
    code, _, err = run("classify", kfx, PICTURE, "--scores", "probably")
    check("another word", code == 2 and says(err, "--scores .. probably .. logits .. features"), err)


@case
def no_scores(folder):
    """Features are not ranked, and what is not finite is an error, for one picture and for all."""
    g = tiny_onnx.Graph([1, 3, 32, 32])
    g.conv(3, 8), g.add("Relu"), g.conv(8, 12)
    feature_map = write(folder, "map.onnx", g.bytes([1, 12, 8, 8]))
    check("a map is features", info(feature_map).get("scores") == "features", info(feature_map))
    code, out, err = run("classify", feature_map, PICTURE)
    check("classify says what to use", code == 1 and says(err, "features .. 768 .. kitfox run"), (code, out, err))
    g = tiny_onnx.Graph([1, 3, 32, 32])
    g.conv(3, 8), g.add("Relu"), g.add("GlobalAveragePool"), g.add("Flatten", axis=1)
    g.add("Gemm", g.const([8, 8], [1e30] * 64), g.const([8], [1e30] * 8), transB=1)
    g.add("Gemm", g.const([5, 8], [1e30] * 40), g.const([5], [0.0] * 5), transB=1)
    huge = write(folder, "huge.onnx", g.bytes([1, 5]))
    code, out, err = run("classify", huge, PICTURE, "--json")
    check("infinite: an error in JSON", code == 1 and "not finite" in json.loads(out or "{}").get("error", {}).get("text", ""), (code, out, err))
    code, out, err = run("classify", huge, PICTURE)
    check("infinite: an error in words", code == 1 and "not finite" in err, (code, out, err))
    d = os.path.join(folder, "d")
    os.makedirs(os.path.join(d, "0"))
    write(os.path.join(d, "0"), "p.png", open(PICTURE, "rb").read())
    write(d, "labels.csv", b"file,class_index\n0/p.png,0\n")
    plain, q = write(folder, "plain.onnx", head()), os.path.join(folder, "q.kfx")
    for says_features in (False, True):
        told = ("--scores", "features") if says_features else ()
        code, out, err = run("compare", plain, plain, "--data", d, "--json", *told)
        said = json.loads(out or "{}")
        check(f"compare {told}: ranks", code == 0 and (said["agreement"] is None) == (said["top1_a"] is None) == says_features, (code, out, err))
        code, out, err = run("quantize", plain, "--calib", d, "-o", q, *told)
        check(f"quantize {told}: ranks", code == 0 and ("top-1" in out) != says_features, (code, out, err))
    for how in ((), ("--json",), ("--strict",)):
        code, out, err = run("compare", huge, huge, "--data", d, *how)
        said = json.loads(out)["error"]["text"] if how == ("--json",) and out else err
        check(f"infinite: compare {how}", code == 1 and says(said, "p.png .. model A .. not finite") and "agreement" not in out, (code, out, err))
    code, out, err = run("eval", huge, "--data", d)
    check("infinite: eval says it, and not memory", code != 0 and "not finite" in out + err and "memory" not in out + err, (code, out, err))


@case
def softmax_over_one(folder):
    """A softmax along the batch gives 1 everywhere, not probabilities: it is no softmax over classes."""
    for axis, opset in ((0, 13), (-2, 13), (0, 11)):
        g = tiny_onnx.Graph([1, 3, 32, 32])
        g.conv(3, 8), g.add("GlobalAveragePool"), g.add("Flatten", axis=1), g.fc(8, 5), g.add("Softmax", axis=axis)
        code, out, err = run("classify", write(folder, "batch.onnx", g.bytes([1, 5], opset)), PICTURE)
        check(f"axis {axis}: refused", code == 1 and not out and says(err, "Softmax .. supported"), (code, out, err))


@case
def quantizes(folder):
    """A sigmoid head stays f32, and so does the scale of an average pool before the global one."""
    calib = os.path.join(folder, "c")
    os.makedirs(calib)
    for i in range(3):
        npy(os.path.join(calib, f"{i}.npy"), (1, 3, 64, 64), [math.sin(i + k * 0.37) for k in range(3 * 64 * 64)])
    g = tiny_onnx.Graph([1, 3, 64, 64])
    g.conv(3, 8), g.add("GlobalAveragePool"), g.add("Flatten", axis=1), g.fc(8, 5), g.add("Sigmoid")
    g.add("Clip", g.const([], [1e-6]), g.const([], [1.0])), g.add("Identity")
    clipped = write(folder, "clipped_sigmoid.onnx", g.bytes([1, 5]))
    for name, kind in (("q_sigmoid_head", "independent"), ("avgpool_scales", "logits"), ("clipped_sigmoid", "independent")):
        onnx = clipped if name == "clipped_sigmoid" else os.path.join(CASES, name + ".onnx")
        kfx = os.path.join(folder, name + ".kfx")
        code, out, err = run("quantize", onnx, "--calib", calib, "-o", kfx)
        check(f"{name}: quantized", code == 0, err)
        check(f"{name}: {kind}", info(kfx).get("scores") == kind, info(kfx))
        for model, to in ((onnx, "a.npy"), (kfx, "b.npy")):
            run("run", model, os.path.join(calib, "0.npy"), "-o", os.path.join(folder, to))
        a, b = floats(os.path.join(folder, "a.npy")), floats(os.path.join(folder, "b.npy"))
        check(f"{name}: near float", max(abs(x - y) for x, y in zip(a, b)) < 0.02, (a, b))
        code, _, err = run("verify", kfx)
        check(f"{name}: verified", code == 0, err)
        code, _, err = run("export", kfx, "-o", os.path.join(folder, "q.onnx"))
        check(f"{name}: exported", code == 0, err)


@case
def pixels(folder):
    """Samples of 0..255 in f32 give a scale of 1 and a zero point of 0: still no pixels, so mean and std stay."""
    calib, onnx, kfx = os.path.join(folder, "c"), write(folder, "m.onnx", head()), os.path.join(folder, "m.kfx")
    os.makedirs(calib)
    npy(os.path.join(calib, "a.npy"), (1, 3, 32, 32), [float(k % 256) for k in range(3 * 32 * 32)])
    code, _, err = run("quantize", onnx, "--calib", calib, "-o", kfx)
    check("samples that look like pixels are refused", code == 1 and says(err, "0..255 .. pixels"), (code, err))
    flat, samples = write(folder, "flat.onnx", tiny_onnx.mlp(256)[0]), os.path.join(folder, "flat")
    os.makedirs(samples)
    npy(os.path.join(samples, "a.npy"), (1, 256), [float(k) for k in range(256)])
    code, _, err = run("quantize", flat, "--calib", samples, "-o", kfx)
    facts = info(kfx)
    check("numbers, whatever the scale", code == 0 and facts["takes"] == "features" and facts["input"]["dtype"] == "f32", (err, facts))
    code, _, err = run("quantize", onnx, "--calib", EXAMPLES, "-o", kfx)
    facts = info(kfx)
    check("pictures give pixels", code == 0 and facts["takes"] == "pixels" and facts["input"]["dtype"] == "u8", (err, facts))
    check("nobody said how they are prepared", facts["preprocess_origin"] == "assumed", facts)


@case
def strips(folder):
    """300 times as wide as high, alone and among samples of a calibration."""
    onnx, strip = write(folder, "m.onnx", head()), os.path.join(CASES, "strip.png")
    code, _, err = run("classify", onnx, strip)
    check("a strip is classified", code == 0, err)
    calib = os.path.join(folder, "c")
    os.makedirs(calib)
    for name, source in (("strip.png", strip), ("p.png", PICTURE)):
        write(calib, name, open(source, "rb").read())
    code, _, err = run("quantize", onnx, "--calib", calib, "-o", os.path.join(folder, "q.kfx"))
    check("and ends no calibration", code == 0, err)


@case
def which_pillow(folder):
    onnx, kfx = write(folder, "m.onnx", head()), os.path.join(folder, "m.kfx")
    code, _, err = run("import", onnx, "--pillow", "13", "-o", kfx)
    check("Pillow 13 is stored", code == 0 and info(kfx)["preprocess"]["pillow"] == "13", err)
    check("older ones are the default", info(onnx)["preprocess"]["pillow"] == "before-13")


sys.exit(run_cases())

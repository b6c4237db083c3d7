"""The numbers of compare and quantize --report, computed independently of the program: float values by ONNX Runtime, quantized layers by numpy
from the integers in the model file. Usage: report_oracle.py KITFOX ROOT, with numpy, onnx, onnxruntime and PIL; test_report.py calls it.
"""
import base64
import csv
import io
import json
import os
import re
import struct
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
from PIL import Image

import kit
from kit import EXAMPLES, KITFOX, ROOT, case, check, once, run_cases

MODEL = os.path.join(ROOT, "data", "everyday10.onnx")
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def run(*args):
    """The JSON rows of a run that has to succeed."""
    code, out, err = kit.run(*args)
    assert code == 0, (args, err)
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def pictures(folder):
    """Pictures of exactly the input's size, so that nothing is resized; some cut from the examples, some noise."""
    rng = np.random.default_rng(3)
    source = [Image.open(os.path.join(EXAMPLES, n)).convert("RGB") for n in sorted(os.listdir(EXAMPLES)) if n.endswith(".jpg")]
    pixels = []
    for i in range(24):
        size = int(rng.integers(120, 330))
        x, y = int(rng.integers(0, 480 - size)), int(rng.integers(0, 360 - size))
        p = source[i % len(source)].crop((x, y, x + size, y + size)).resize((64, 64))
        p = np.clip(np.asarray(p).astype(float) * rng.uniform(0.5, 1.2) + rng.normal(0, rng.uniform(0, 40), (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(p).save(os.path.join(folder, f"p{i:02}.png"))
        pixels.append(p)
    return pixels


def tensor(pixels):
    return ((pixels / 255.0 - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)[None]


def all_values(model, inputs):
    """Every value of the float network, by name, a list over the pictures."""
    m = onnx.load(model) if isinstance(model, str) else model
    m = onnx.ModelProto.FromString(m.SerializeToString())
    names = [o for n in m.graph.node for o in n.output if n.op_type != "Constant"]
    have = {o.name for o in m.graph.output}
    m.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in have)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = ort.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"])
    out = [dict(zip([o.name for o in s.get_outputs()], s.run(None, {s.get_inputs()[0].name: x}))) for x in inputs]
    return {n: np.stack([np.asarray(o[n], np.float64).ravel() for o in out]) for n in out[0]}, m.graph.output[0].name


def cosine(a, b):
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def sqnr(a, b):
    return float(10 * np.log10((a * a).sum() / ((a - b) ** 2).sum()))


def parts(path):
    """Program and constants of a model file: a safetensors container."""
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    types = {"I8": "<i1", "I16": "<i2", "I32": "<i4", "F32": "<f4", "U8": "<u1"}
    program = json.loads(head["__metadata__"]["kitfox.program"])

    def const(i):
        t = head[program["consts"][i] if isinstance(program["consts"][i], str) else program["consts"][i]["name"]]
        at, end = t["data_offsets"]
        return np.frombuffer(data[8 + n + at:8 + n + end], types[t["dtype"]]).reshape(t["shape"])
    return program, const


def logits(folder, model, inputs):
    out = []
    for x in inputs:
        np.save(os.path.join(folder, "x.npy"), x)
        subprocess.run([KITFOX, "run", model, os.path.join(folder, "x.npy"), "-o", os.path.join(folder, "y.npy")], check=True, capture_output=True)
        out.append(np.load(os.path.join(folder, "y.npy")).astype(np.float64).ravel())
    return np.stack(out)


def agreement(folder, data, quantized, inputs, values, output):
    a, b = values[output], logits(folder, quantized, inputs)
    got = run("compare", MODEL, quantized, "--preprocess", "timm:everyday10", "--data", data, "--json")[0]
    same = 100 * np.mean(a.argmax(1) == b.argmax(1))
    in5 = 100 * np.mean([(b[i] > b[i, a[i].argmax()]).sum() < 5 for i in range(len(a))])
    check("agreement of ONNX Runtime's float with the quantized model", abs(got["agreement"] - same) < 1e-6 and 50 < same, (got, same))
    check("A's answer among B's five", abs(got["top1_in_top5"] - in5) < 1e-6, (got, in5))
    check("output cosine", abs(got["cosine"] - cosine(a, b)) < 1e-6, (got["cosine"], cosine(a, b)))
    check("output SQNR", abs(got["sqnr_db"] - sqnr(a, b)) < 0.01, (got["sqnr_db"], sqnr(a, b)))
    rng = np.random.default_rng(5)
    truth = [int(rng.choice([a[i].argmax(), b[i].argmax(), (a[i].argmax() + 1) % 10], p=[0.5, 0.3, 0.2])) for i in range(len(a))]
    with open(os.path.join(data, "labels.csv"), "w", newline="") as f:
        csv.writer(f).writerows([("file", "class_index")] + [(f"p{i:02}.png", t) for i, t in enumerate(truth)])
    got = run("compare", MODEL, quantized, "--preprocess", "timm:everyday10", "--data", data, "--json")[0]
    os.remove(os.path.join(data, "labels.csv"))
    for side, x in (("a", a), ("b", b)):
        top1 = 100 * np.mean(x.argmax(1) == truth)
        top5 = 100 * np.mean([t in np.argsort(-x[i], kind="stable")[:5] for i, t in enumerate(truth)])
        check(f"accuracies of {side}", abs(got["top1_" + side] - top1) < 1e-6 and abs(got["top5_" + side] - top5) < 1e-6, (got, top1, top5))


def damaged(folder, data, inputs, values, output):
    """One layer's weights changed: every later node differs, and that layer alone is to blame."""
    m = onnx.load(MODEL)
    node = next(n for n in m.graph.node if n.name == "/blocks/blocks.3/blocks.3.0/conv_pw/Conv")
    w = next(i for i in m.graph.initializer if i.name == node.input[1])
    x = onnx.numpy_helper.to_array(w).copy()
    x += np.random.default_rng(1).normal(0, 0.05 * x.std(), x.shape).astype(np.float32)
    w.CopyFrom(onnx.numpy_helper.from_array(x, w.name))
    path = os.path.join(folder, "damaged.onnx")
    onnx.save(m, path)
    other, _ = all_values(m, inputs)
    plain = os.path.join(folder, "plain.kfx")
    run("import", MODEL, "--preprocess", "timm:everyday10", "-o", plain)
    program, _ = parts(plain)
    value_of = {s["name"]: program["tensors"][s["out"]]["name"] for s in program["steps"]}
    rows = {r["node"]: r for r in run("compare", MODEL, path, "--preprocess", "timm:everyday10", "--data", data, "--nodes", "--node-images", "24", "--json")[1:]}
    bad, differing = [], 0
    for name, r in rows.items():
        a, b = values[value_of[name]], other[value_of[name]]
        if (a == b).all():
            bad += [r] if r["sqnr_db"] is not None or r["cosine"] != 1 else []
            continue
        differing += 1
        bad += [(r, cosine(a, b), sqnr(a, b))] if abs(r["cosine"] - cosine(a, b)) > 1e-5 or abs(r["sqnr_db"] - sqnr(a, b)) > 0.02 else []
    check(f"{len(rows)} nodes of two float networks, {differing} of them differ", not bad and differing > 20 and len(rows) - differing > 15, bad[:3])
    r = rows[node.name]
    alone = [n for n, x in rows.items() if x["alone_sqnr_db"] is not None or x["cost_sqnr_db"] is not None]
    check("only the changed layer differs alone", alone == [node.name], alone)
    check("its own error is all there is at its output", abs(r["alone_sqnr_db"] - r["sqnr_db"]) < 1e-6, r)
    check("its cost is the whole error of the output", abs(r["cost_sqnr_db"] - sqnr(values[output], other[output])) < 0.02, (r, sqnr(values[output], other[output])))


def rescaled(folder, data, values, output):
    """The same function with one layer's channels scaled and its reader's taken back: exact but for that layer's units. With the reader's
    weights damaged on top, the damage is the reader's alone."""
    m = onnx.load(MODEL)
    nodes = {n.name: n for n in m.graph.node}
    first, second = "/blocks/blocks.1/blocks.1.0/conv_pw/Conv", "/blocks/blocks.1/blocks.1.0/conv_dw/Conv"
    tensors = {i.name: i for i in m.graph.initializer}
    rng = np.random.default_rng(7)
    scale = 2.0 ** rng.uniform(-4, 4, tensors[nodes[first].input[1]].dims[0])
    noise = rng.normal(0, 0.03, tensors[nodes[second].input[1]].dims)
    for damage in (False, True):
        changed = {nodes[first].input[1]: lambda x: x * scale[:, None, None, None], nodes[first].input[2]: lambda x: x * scale,
                   nodes[second].input[1]: lambda x: x * (1 + noise * damage) / scale[:, None, None, None]}
        other = onnx.ModelProto.FromString(m.SerializeToString())
        for i in other.graph.initializer:
            if i.name in changed:
                i.CopyFrom(onnx.numpy_helper.from_array(changed[i.name](onnx.numpy_helper.to_array(i)).astype(np.float32), i.name))
        path = os.path.join(folder, "rescaled.onnx")
        onnx.save(other, path)
        table = run("compare", MODEL, path, "--preprocess", "timm:everyday10", "--data", data, "--nodes", "--node-images", "8", "--json")
        rows = {r["node"]: r for r in table[1:]}
        quiet = lambda r, *keys: all(r[k] is None or r[k] > 100 for k in keys)
        check("rescaled: only that layer is", [n for n, r in rows.items() if r["rescaled"]] == [first], [n for n, r in rows.items() if r["rescaled"]])
        check("rescaled: it is compared in A's units", quiet(rows[first], "sqnr_db", "alone_sqnr_db", "cost_sqnr_db"), rows[first])
        if not damage:
            check("rescaled: its reader alone computes the same", quiet(rows[second], "sqnr_db", "alone_sqnr_db", "cost_sqnr_db") and table[0]["sqnr_db"] > 100, rows[second])
            continue
        got = all_values(other, [tensor(np.asarray(Image.open(os.path.join(data, f"p{i * 3:02}.png")))) for i in range(8)])[0]
        mine = {k: v[::3] for k, v in values.items()}
        relu = next(n for n in m.graph.node if nodes[second].output[0] in n.input).output[0]
        want = sqnr(mine[relu], got[relu]), sqnr(mine[output], got[output])
        check("rescaled: damage to its reader is found there", abs(rows[second]["alone_sqnr_db"] - want[0]) < 0.02 and abs(rows[second]["cost_sqnr_db"] - want[1]) < 0.02, (rows[second], want))


def rounded(y, t, const):
    """Values as tensor `t` of a program stores them; y is [pixels, channels]."""
    if t["dtype"] == "f32":
        return y
    scale = const(t["scales"]) if t["scales"] >= 0 else np.float32(t["scale"])
    zero = const(t["zeros"]) if t["zeros"] >= 0 else t["zero"]
    return (np.clip(np.rint(y / scale) + zero, t["qmin"], t["qmax"]) - zero) * scale


def pointwise(s, program, const, x):
    """A quantized 1 x 1 layer on float inputs [pixels, channels]: its real weights follow from the multiplier."""
    t, out = program["tensors"][s["in"][0]], program["tensors"][s["out"]]
    scale_in = np.float64(t["scale"])
    scale_out = (const(out["scales"]) if out["scales"] >= 0 else np.float64(out["scale"])) if s.get("direct") else 1.0
    mul = const(s["consts"]["mul"]).astype(np.float64) * scale_out
    w = const(s["consts"]["w"]).astype(np.float64).reshape(len(mul), -1)
    y = (x / scale_in @ w.T + const(s["consts"]["bias"])) * mul
    kind = s.get("act", ["none"])[0]
    y = y * np.clip(y / 6 + 0.5, 0, 1) if kind == "hswish" else np.clip(y, *(float(v) for v in s["act"][1:])) if kind == "clip" else y
    return rounded(y, out, const)


def by_hand(folder, data, inputs, values):
    """alone of the quantizer's record, and of compare for the same nodes."""
    out, page = os.path.join(folder, "q.kfx"), os.path.join(folder, "q.html")
    # Channels as they are in the file, which is what the weights and values here are compared with.
    lines = run("quantize", MODEL, "--preprocess", "timm:everyday10", "--calib", data, "-o", out, "--json", "--no-equalize", "--report", page)
    record = {r["node"]: r for r in lines if "node" in r}
    compared = {r["node"]: r for r in run("compare", MODEL, out, "--preprocess", "timm:everyday10", "--data", data, "--nodes", "--node-images", "24", "--json") if "node" in r}
    program, const = parts(out)
    bad, done = [], 0
    for s in program["steps"]:
        t = program["tensors"][s["in"][0]]
        if s["op"] != "conv" or s["kh"] != 1 or s["group"] != 1 or len(s["in"]) > 1 or t["scales"] >= 0:
            continue
        channels = t["shape"][3]
        x = values[t["name"]].reshape(len(inputs), channels, -1).transpose(0, 2, 1).reshape(-1, channels)
        want = values[program["tensors"][s["out"]]["name"]]
        want = want.reshape(len(inputs), program["tensors"][s["out"]]["shape"][3], -1).transpose(0, 2, 1).reshape(-1, program["tensors"][s["out"]]["shape"][3])
        for r, given in ((record[s["name"]], x), (compared[s["name"]], rounded(x, t, const))):
            y = pointwise(s, program, const, given)
            done += 1
            if abs(r["alone_sqnr_db"] - sqnr(want, y)) > 0.05 or abs(r["alone_cosine"] - cosine(want, y)) > 1e-4:
                bad.append((s["name"], r["alone_sqnr_db"], sqnr(want, y)))
    check(f"{done} times a pointwise layer alone, by its integers", done >= 20 and not bad, bad[:4])
    # Rounding fits the weights to these few pictures' very rounding errors, which one last bit changes: deep nodes are fitted a little less well when run.
    differ = [(n, r["sqnr_db"], compared[n]["sqnr_db"]) for i, (n, r) in enumerate(record.items()) if n in compared and abs(r["sqnr_db"] - compared[n]["sqnr_db"]) > (0.01 if i < 8 else 0.12) * r["sqnr_db"]]
    check("the quantizer's nodes and compare's agree on the calibration pictures", not differ, differ)
    spread(page, values, program)
    return out


def spread(page, values, program):
    """Extremes and zeros in the captions of the histograms."""
    with open(page) as f:
        text = f.read()
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(MODEL).graph.initializer}
    inputs = {n.name: n.input for n in onnx.load(MODEL).graph.node}
    blocks = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", text, re.S)
    bad, seen = [], 0
    for name, body in blocks:
        caption = {k: rest for k, rest in re.findall(r"<figcaption>(\w+): (.*?)</figcaption>", body)}
        s = next(s for s in program["steps"] if s["name"] == name)
        v = values[program["tensors"][s["out"]]["name"]]
        lo, hi = (float(x) for x in re.match(r"(\S+) to ([^\s,;]+)", caption["output"]).groups())
        if not np.allclose([lo, hi], [min(0, v.min()), max(0, v.max())], rtol=2e-3, atol=1e-4):
            bad.append((name, lo, hi, v.min(), v.max()))
        if s["op"] in ("conv", "dwconv", "fc") and name != "/conv_stem/Conv":
            w = weights[inputs[name][1]]
            lo, hi = (float(x) for x in re.match(r"(\S+) to ([^\s,;]+)", caption["weights"]).groups())
            seen += 1
            if not np.allclose([lo, hi], [min(0, w.min()), max(0, w.max())], rtol=2e-3, atol=1e-5):
                bad.append((name, "weights", lo, hi, w.min(), w.max()))
    check(f"extremes of {len(blocks)} histograms of values and {seen} of weights", not bad and len(blocks) == len(program["steps"]) and seen > 30, bad[:3])


def thumbnails(page, count):
    with open(page) as f:
        found = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', f.read())
    sizes = {Image.open(io.BytesIO(base64.b64decode(x, validate=True))).size for x in found}
    check(f"{len(found)} thumbnails are JPEG pictures", len(found) == count and all(max(s) <= 112 for s in sizes), (len(found), count, sizes))


def colours(folder, data, pixels, quantized):
    """A labelled page whose flips are known: the thumbnails show those pictures."""
    page = os.path.join(folder, "flips.html")
    run("compare", MODEL, quantized, "--preprocess", "timm:everyday10", "--data", data, "--report", page, "--json")
    with open(page) as f:
        text = f.read()
    rows = re.findall(r'src="data:image/jpeg;base64,([^"]*)"></td><td class="t">([^<]*)</td>', text)
    small = lambda image: np.asarray(image).astype(float).reshape(8, 8, 8, 8, 3).mean((1, 3))  # noise does not survive JPEG, blocks do
    far = [name for x, name in rows if np.abs(small(Image.open(io.BytesIO(base64.b64decode(x)))) - small(pixels[int(name[-6:-4])])).max() > 12]
    check(f"{len(rows)} thumbnails show the picture beside them", not far and rows, far)
    thumbnails(page, len(rows))


@once
def samples(folder):
    """Their folder, their pixels, the float network's inputs and all its values, the name of its output."""
    pixels = pictures(folder)
    inputs = [tensor(p) for p in pixels]
    return (folder, pixels, inputs, *all_values(MODEL, inputs))


@once
def rough(folder):
    out = os.path.join(folder, "rough.kfx")
    switches = ("--no-per-channel", "--no-channel-scales", "--no-bias-correction", "--no-rounding", "--method", "max")
    run("quantize", MODEL, "--preprocess", "timm:everyday10", "--calib", EXAMPLES, "-o", out, "--json", *switches)
    return out


@case
def layers_by_hand(folder):
    data, _, inputs, values, _ = samples()
    by_hand(folder, data, inputs, values)


@case
def answers_agree(folder):
    data, _, inputs, values, output = samples()
    agreement(folder, data, rough(), inputs, values, output)


@case
def one_damaged_layer(folder):
    data, _, inputs, values, output = samples()
    damaged(folder, data, inputs, values, output)


@case
def rescaled_channels(folder):
    data, _, _, values, output = samples()
    rescaled(folder, data, values, output)


@case
def thumbnails_show(folder):
    data, pixels, _, _, _ = samples()
    colours(folder, data, pixels, rough())


sys.exit(run_cases())

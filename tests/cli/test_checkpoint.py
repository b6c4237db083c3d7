#!/usr/bin/env python3
"""Checkpoints as people have them: with timm's JSON beside them, ambiguous, in half precision, damaged.

Called by meson with the program's path and the source root. The checkpoints are made from data/everyday10.safetensors.
"""
import json
import os
import struct
import sys

from kit import ROOT, case, check, run, run_cases, says

SOURCE = os.path.join(ROOT, "data", "everyday10.safetensors")
FROG = os.path.join(ROOT, "examples", "pictures", "frog.jpg")


def load(path):
    """Name -> (dtype, shape, bytes), in the file's order."""
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__", None)
    return {k: (v["dtype"], v["shape"], data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]) for k, v in header.items()}


def save(path, tensors, edit=None):
    header, blobs, at = {}, [], 0
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    text = json.dumps(header)
    text = (edit(header, text) if edit else text).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    return path


def write(path, value):
    with open(path, "w") as f:
        f.write(value if isinstance(value, str) else json.dumps(value))


CFG = {"architecture": "mobilenetv3_small_100", "num_classes": 10, "label_names": [f"n{i}" for i in range(10)], "label_descriptions": {"n6": "frog, a"},
       "pretrained_cfg": {"input_size": [3, 64, 64], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "squash", "mean": [0.5, 0.25, 0.125], "std": [1, 0.5, 0.25], "num_classes": 1000, "tag": None}}


@case
def beside(folder):
    kfx, model, config, own = (os.path.join(folder, n) for n in ("x.kfx", "model.safetensors", "config.json", "model.json"))
    code, _, err = run("import", SOURCE, "-o", kfx)
    row = json.loads(run("classify", kfx, FROG, "--json")[1])["top"][0] if code == 0 else {}
    check("import: everyday10 needs no options", row.get("label") == "frog" and row["score"] > 0.5 and "note" not in err, (row, err))
    save(model, load(SOURCE))
    write(config, CFG)
    info = json.loads(run("info", model, "--json")[1] or "{}")
    p = info.get("preprocess", {})
    check("config.json: preprocessing and size", (p.get("width"), p["interpolation"], p["crop_pct"], p["crop_mode"], p["mean"], p["std"]) == (64, "bicubic", 0.9, "squash", [0.5, 0.25, 0.125], [1, 0.5, 0.25]), p)
    code, out, err = run("classify", model, FROG, "--json", "-k", "10")
    labels = {t["index"]: t["label"] for t in json.loads(out)["top"]}
    check("config.json: names, described where they are", labels[6] == "frog, a" and labels[0] == "n0", labels)
    write(config, dict(CFG, label_names={str(i): f"k{i}" for i in range(10)}, label_descriptions=None))
    out = run("classify", model, FROG, "--json", "-k", "10")[1]
    check("config.json: names by index", {t["label"] for t in json.loads(out)["top"]} == {f"k{i}" for i in range(10)}, out)
    write(own, {"interpolation": "nearest", "crop_pct": 1})
    p = json.loads(run("info", model, "--json")[1])["preprocess"]
    check("model.json wins over config.json", p["interpolation"] == "nearest" and p["crop_pct"] == 1 and p["width"] == 224 and p["mean"][0] == 0.485, p)
    os.remove(own)
    write(config, dict(CFG, architecture="tf_mobilenetv3_small_100.in1k"))
    code, out, err = run("info", model, "--json", "--arch", "mobilenetv3_small_100", "-s", "1x3x96x96", "-p", "timm:mobilenetv3_large_100")
    info = json.loads(out) if code == 0 else {}
    check("options win over config.json", info["preprocess"]["width"] == 96 and info["preprocess"]["crop_pct"] == 0.875 and info["name"] == "mobilenetv3_small_100", (info, err))
    code, out, err = run("info", model, "--json")
    check("config.json: its architecture is taken", code == 0 and json.loads(out)["name"] == "tf_mobilenetv3_small_100" and err == "", (out, err))


@case
def bad_json(folder):
    model, config = os.path.join(folder, "model.safetensors"), os.path.join(folder, "config.json")
    save(model, load(SOURCE))
    cfg = CFG["pretrained_cfg"]
    cases = [("{", "as JSON"), ("", "as JSON"), ("[1]", "object"), ('{"mean": 1, "mean": 2}', "mean"), (dict(CFG, pretrained_cfg=3), "pretrained_cfg"), (dict(CFG, architecture=7), "architecture"),
             (dict(CFG, architecture="resnet50"), "resnet50"), (dict(CFG, architecture="mobilenetv3_large_100"), "tensor "), (dict(CFG, num_classes="ten"), "num_classes"), (dict(CFG, num_classes=9), "num_classes"),
             (dict(CFG, label_names=3), "label_names"), (dict(CFG, label_names=["a", 2]), "label_names"), (dict(CFG, num_classes=None, label_names=["a"]), "1 class names"), (dict(CFG, label_names={"1": "a"}), "label_names"),
             (dict(CFG, label_descriptions=[]), "label_descriptions"), (dict(CFG, label_descriptions={"n0": 3}), "n0")]
    for key, values in {"input_size": ([3, 64], [3, 64, 32], [1, 64, 64], [3, 64.5, 64.5], "64"), "mean": (0.5, [1, 2], [1, 2, "3"], [0, 0, 123.7]), "std": ([0, 1, 1], [1, 1, -1], {}),
                        "crop_pct": (0, 1.5, "0.9", []), "interpolation": ("lanczos", 3), "crop_mode": ("middle", False)}.items():
        cases += [(dict(CFG, pretrained_cfg=dict(cfg, **{key: v})), key) for v in values]
    for value, word in cases:
        write(config, value)
        code, _, err = run("info", model)
        check(f"config.json: {word} in {str(value)[-60:]!r}", code == 1 and err.startswith("kitfox: " + model + ": ") and config in err and word in err, (code, err))
    os.remove(config)
    os.mkdir(config)
    code, _, err = run("info", model)
    check("config.json: a directory", code == 1 and "directory" in err, err)
    os.rmdir(config)


@case
def which(folder):
    """Ambiguous, extra, missing: what is said and named."""
    full, model = load(SOURCE), os.path.join(folder, "alone.safetensors")
    save(model, full)
    code, _, err = run("check", model)
    check("two variants fit: both are named", code == 0 and "mobilenetv3_small_100 and tf_mobilenetv3_small_100" in err and "--arch" in err, err)
    for arch in ("mobilenetv3_small_100", "tf_mobilenetv3_small_100"):
        code, _, err = run("check", model, "--arch", arch)
        check(f"--arch {arch}: nothing to say", code == 0 and err == "", err)
    extra = dict(full, **{"aux.weight": ("F32", [2], b"\0" * 8), "zzz": ("F32", [1], b"\0" * 4)})
    save(model, extra)
    code, _, err = run("check", model, "--arch", "mobilenetv3_small_100")
    check("extra tensors: the first is named", code == 1 and "tensor aux.weight" in err and "1 other" in err, err)
    code, _, err = run("check", model)
    check("extra tensors: the nearest variant", code == 1 and says(err, "nearest .. mobilenetv3_small_100 .. 210 .. 210") and "aux.weight" in err, err)
    missing = {k: v for k, v in full.items() if k != "blocks.3.0.bn2.running_mean"}
    save(model, missing)
    for args in ([], ["--arch", "mobilenetv3_small_100"]):
        code, _, err = run("check", model, *args)
        check(f"a missing tensor is named {args}", code == 1 and says(err, "blocks.3.0.bn2.running_mean .. missing") and ("nearest" in err) == (not args), err)
    code, _, err = run("check", model, "--arch", "mobilenetv3_large_100")
    check("--arch of another size: first difference", code == 1 and "tensor blocks." in err, err)
    dtype, shape, raw = full["blocks.4.1.conv_pw.weight"]
    save(model, dict(full, **{"blocks.4.1.conv_pw.weight": (dtype, [shape[0], shape[1] // 2, 2, 1], raw)}))
    code, _, err = run("check", model)
    check("a mis-shaped tensor: nearest and both shapes", code == 1 and says(err, "blocks.4.1.conv_pw.weight .. 576x48x2x1 .. 576x96x1x1"), err)
    save(model, {"encoder.weight": ("F32", [2], b"\0" * 8)})
    code, _, err = run("check", model)
    check("another network altogether", code == 1 and "no tensor" in err, err)


@case
def by_hand(folder):
    kfx = os.path.join(folder, "hand.kfx")

    def preprocess(*args):
        code, _, err = run("import", SOURCE, "-o", kfx, *args)
        return json.loads(run("info", kfx, "--json")[1])["preprocess"] if code == 0 else err

    p = preprocess("--mean", "0.5", "--std", "0.25,0.5,1", "--interpolation", "bicubic", "--crop-pct", "0.875")
    check("import: mean, std, filter, crop by hand", p["mean"] == [0.5] * 3 and p["std"] == [0.25, 0.5, 1] and p["interpolation"] == "bicubic" and p["crop_pct"] == 0.875, p)
    p = preprocess("--mean", "0,0,0")
    check("import: the rest stays the file's", p["mean"] == [0, 0, 0] and p["std"] == [0.229, 0.224, 0.225] and p["crop_pct"] == 1 and p["interpolation"] == "bilinear", p)
    for size in (64, 73, 86, 99, 172, 256, 299):
        p = preprocess("--resize", str(size))
        check(f"import: --resize {size}", int(64 / p["crop_pct"] + 1e-6) == size, p)
    p = preprocess("-p", "timm:mobilenetv3_large_150d", "--std", "0.25")
    check("import: on top of --preprocess", p["mean"] == [0.5] * 3 and p["std"] == [0.25] * 3 and p["crop_pct"] == 0.95, p)
    for args in (["--mean", "123.7"], ["--mean", "0.5,0.5"], ["--mean", "a"], ["--mean", "0,0,0,0"], ["--mean", "nan"], ["--mean", ""], ["--std", "0"], ["--std", "0.5,0.5,"], ["--resize", "x"], ["--resize", "0"], ["--resize", "4294967360"],
                 ["--crop-pct", "1.1"], ["--crop-pct", ""], ["--interpolation", "lanczos"], ["--resize", "64", "--crop-pct", "1"]):
        code, _, err = run("import", SOURCE, "-o", kfx, *args)
        check("import: usage " + " ".join(args), code == 2 and args[0] in err, (code, err))
    code, _, err = run("import", SOURCE, "-o", kfx, "--resize", "32")
    check("import: --resize below the input", code == 1 and "--resize" in err, (code, err))


def swap(tensors, name, dtype=None, shape=None, raw=None):
    old = tensors[name]
    return dict(tensors, **{name: (dtype or old[0], old[1] if shape is None else shape, old[2] if raw is None else raw)})


@case
def damaged(folder):
    """Each lie of a file is refused with the tensor's name."""
    full, bad = load(SOURCE), os.path.join(folder, "bad.safetensors")
    stem, var = "conv_stem.weight", "blocks.1.0.bn2.running_var"

    def refused(what, *words):
        code, _, err = run("import", bad, "-o", os.path.join(folder, "bad.kfx"))
        check("damaged: " + what, code == 1 and err.startswith("kitfox: " + bad + ": ") and all(w in err for w in words) and not os.path.exists(os.path.join(folder, "bad.kfx")), (code, err))

    def offsets(name, lo, hi):
        def edit(header, _):
            at = header[name]["data_offsets"]
            header[name]["data_offsets"] = [at[0] + lo, at[1] + hi]
            return json.dumps(header)
        return edit

    save(bad, full, offsets("bn1.weight", -64, -64))
    refused("overlapping offsets", "overlaps", "bn1.weight")
    save(bad, full, offsets("bn1.weight", 1 << 40, 1 << 40))
    refused("offsets out of range", "tensor bn1.weight", "beyond")
    save(bad, full, offsets("bn1.weight", 0, 4))
    refused("offsets of another size", "tensor bn1.weight")
    save(bad, full, lambda header, text: text[:-1] + ', "bn1.bias": ' + json.dumps(header["bn1.bias"]) + "}")
    refused("a key twice", "duplicate", "bn1.bias")
    save(bad, full, lambda header, text: text.replace('"shape": [16, 3, 3, 3]', '"shape": [4294967296, 4294967296, 3, 3]', 1))
    refused("a shape whose product overflows", "tensor " + stem, "overflow")
    save(bad, full, lambda header, text: text.replace('"shape": [16, 3, 3, 3]', '"shape": [16, -3, 3, 3]', 1))
    refused("a negative extent", "tensor " + stem)
    save(bad, full, lambda header, text: text.replace('"F32"', '"F31"', 1))
    refused("an unknown type", "F31", stem)
    save(bad, swap(full, stem, "I32"))
    refused("weights of a wrong type", "tensor " + stem, "i32")
    save(bad, swap(full, "blocks.2.0.se.conv_reduce.bias", raw=struct.pack("<f", float("nan")) + full["blocks.2.0.se.conv_reduce.bias"][2][4:]))
    refused("a NaN", "tensor blocks.2.0.se.conv_reduce.bias: element 0", "finite")
    save(bad, swap(full, stem, raw=full[stem][2][:-4] + struct.pack("<f", float("-inf"))))
    refused("an infinity", "tensor " + stem + ": element 431", "finite")
    save(bad, swap(full, var, raw=full[var][2][:8] + struct.pack("<f", -0.5) + full[var][2][12:]))
    refused("a negative variance", "tensor " + var + ": element 2", "negative")
    save(bad, swap(full, "classifier.bias", shape=[10, 1]))
    refused("classes that are not a vector", "classifier.bias")
    with open(SOURCE, "rb") as f:
        data = f.read()
    for n in (0, 7, 8, 100, len(data) // 2, len(data) - 1):
        with open(bad, "wb") as f:
            f.write(data[:n])
        refused(f"cut to {n} bytes", "byte 0" if n < len(data) // 2 else "beyond the")
    with open(bad, "wb") as f:
        f.write(data + b"x")
    refused("a byte too many", "follow")
    with open(bad, "wb") as f:
        f.write(struct.pack("<Q", 100 << 20) + b"{" + b" " * (100 << 20))
    refused("a header of 100 MB", "header", "104857600")
    os.remove(bad)


@case
def halves(folder):
    """F16 and BF16 copies give nearly the same scores; the sum of their differences is not zero, so they were really read."""
    full, model = load(SOURCE), os.path.join(folder, "half.safetensors")
    write(os.path.join(folder, "half.json"), {"arch": "mobilenetv3_small_100", "input": [3, 64, 64], "crop_pct": 1.0, "interpolation": "bilinear"})
    pictures = [os.path.join(ROOT, "examples", "pictures", n + ".jpg") for n in ("airplane", "automobile", "frog", "ship", "truck")]

    def scores(path):
        code, out, err = run("classify", path, *pictures, "--json", "-k", "10")
        check("half: runs", code == 0, err)
        return [{t["index"]: t["score"] for t in json.loads(line)["top"]} for line in out.splitlines()]

    def f16(raw):
        n = len(raw) // 4
        return struct.pack(f"<{n}e", *struct.unpack(f"<{n}f", raw))

    def bf16(raw):
        n = len(raw) // 4
        return struct.pack(f"<{n}H", *((v + 0x7FFF + (v >> 16 & 1)) >> 16 for v in struct.unpack(f"<{n}I", raw)))

    truth = scores(SOURCE)
    for dtype, convert, limit in (("F16", f16, 2e-3), ("BF16", bf16, 2e-2)):
        save(model, {k: (dtype, s, convert(raw)) if d == "F32" else (d, s, raw) for k, (d, s, raw) in full.items()})
        worst = max(abs(a[k] - b[k]) for a, b in zip(truth, scores(model)) for k in a)
        check(f"half: {dtype} changes no probability by more than {limit}", 0 < worst <= limit, worst)
        print(f"      {dtype}: largest change of a probability {worst:.1e}")


sys.exit(run_cases())

"""Preprocessing that nobody stated: what it is recognized from, one note where it was guessed, options that say it on every
verb, and the hint where other preprocessing serves the pictures better. Usage: test_guess.py KITFOX"""
import json
import os
import shutil
import sys

import tiny_onnx
from kit import EXAMPLES, ROOT, SHARED, case, check, run, run_cases

ONNX = os.path.join(ROOT, "data", "everyday10.onnx")
FROG = os.path.join(EXAMPLES, "frog.jpg")
SMALL = os.path.join(SHARED, "data", "everyday10-test")
HALF, IMAGENET = [0.5, 0.5, 0.5], [0.485, 0.456, 0.406]


def info(path, *args):
    code, out, err = run("info", path, "--json", *args)
    return json.loads(out) if code == 0 else {"error": err}


def facts(path):
    """Who said it, from what, mean and filter."""
    row = info(path)
    p = row.get("preprocess", {})
    return row.get("preprocess_origin"), row.get("preprocess_source"), p.get("mean"), p.get("interpolation")


def named(folder, name, source=ONNX):
    return shutil.copy(source, os.path.join(folder, name))


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else json.dumps(data).encode())
    return path


def padded(pads, sigmoid=False, side=32, dynamic=False):
    """Two convolutions of stride 2 with these pads: in them, or by a Pad before each."""
    g = tiny_onnx.Graph([1, 3, side, side])
    for n_in, n_out in ((3, 8), (8, 12)):
        own = pads
        if dynamic:
            t, l, b, r = pads
            g.add("Pad", g.const([8], [0, 0, t, l, 0, 0, b, r], 7))
            own = [0] * 4
        w = g.const([n_out, n_in, 3, 3], tiny_onnx.weights(n_out * n_in * 9, n_in))
        g.add("Conv", w, g.const([n_out], tiny_onnx.weights(n_out)), kernel_shape=[3, 3], pads=own, strides=[2, 2])
        g.add("Relu")
    g.add("GlobalAveragePool")
    g.add("Flatten", axis=1)
    g.fc(12, 5)
    if sigmoid:
        g.add("Sigmoid")
    return g.bytes([1, 5])


@case
def names(folder):
    for name, origin, source, mean, filter_ in (
            ("m.onnx", "assumed", None, IMAGENET, "bicubic"),
            ("tf_mobilenetv3_small_100.onnx", "recognized", "tf_mobilenetv3_small_100", HALF, "bilinear"),
            ("TF_MobileNetV3_Small_Minimal_100.in1k.onnx", "recognized", "tf_mobilenetv3_small_minimal_100", HALF, "bilinear"),
            ("mobilenet_v3_small-5c1a4163.onnx", "recognized", "mobilenet_v3_small", IMAGENET, "bilinear"),
            ("timm_mobilenetv3_large_150d.onnx", "recognized", "mobilenetv3_large_150d", HALF, "bilinear"),
            ("keras_mobilenetv3_small_100.onnx", "assumed", None, IMAGENET, "bicubic"),  # not the weights of that name
            ("mobilenetv3_small_1000.onnx", "assumed", None, IMAGENET, "bicubic")):
        got = facts(named(folder, name))
        good = got[0] == origin and (got[1] or "").endswith(source or "") and bool(got[1]) == bool(source) and list(got[2:]) == [mean, filter_]
        check(f"{name}: {origin} {source}", good, got)


@case
def beside(folder):
    model, config, own = named(folder, "m.onnx"), "config.json", "m.json"
    write(folder, config, {"pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": HALF, "interpolation": "nearest", "crop_mode": "squash"}})
    check("config.json", facts(model) == ("recognized", "config.json", [0.1, 0.2, 0.3], "nearest"), facts(model))
    write(folder, own, {"architecture": "tf_mobilenetv3_small_100"})
    check("the file's own JSON comes first, and an architecture is enough", facts(model) == ("recognized", "m.json", HALF, "bilinear"), facts(model))
    write(folder, own, {"crop_pct": 1.0})
    check("a crop says nothing of mean and std", facts(model)[0] == "assumed" and info(model)["preprocess"]["crop_pct"] == 1, info(model))
    for what, data in (("another network's", {"num_classes": 7, "mean": HALF, "std": HALF}), ("broken", b"{"), ("a list", [1]), ("odd", {"mean": "x"})):
        write(folder, own, data)
        code, _, err = run("classify", model, FROG)
        check(f"{what} JSON is left alone, with a note", code == 0 and facts(model)[0] == "assumed" and "m.json" in err and "not used" in err, (facts(model), err))


@case
def padding(folder):
    same = ("recognized", "TensorFlow's padding in the network", HALF, "bilinear")
    for what, data, recognized in (("in convolutions", padded([0, 0, 1, 1]), True), ("in Pad nodes", padded([0, 0, 1, 1], dynamic=True), True),
                                   ("of odd sizes says nothing", padded([1, 1, 1, 1], side=33), False), ("PyTorch's", padded([1, 1, 1, 1]), False),
                                   ("of one axis", padded([0, 1, 1, 1]), False), ("with sigmoid, as EfficientNet's", padded([0, 0, 1, 1], True), False)):
        got = facts(write(folder, "m.onnx", data))
        check(f"padding {what}", got == same if recognized else got[0] == "assumed", got)
    got = facts(write(folder, "mobilenetv3_small_100.onnx", padded([0, 0, 1, 1])))
    check("the padding belongs to the weights; a name does not", got == same, got)
    source, fox = os.path.join(SHARED, "models", "tf_mobilenetv3_large_minimal_100.onnx"), os.path.join(SHARED, "data", "kit_fox.JPEG")
    if not os.path.exists(source):
        print("SKIP: TensorFlow's weights are not here; recognizing them is not tested")
        return
    with open(source, "rb") as f:
        model = write(folder, "plain.onnx", f.read().replace(b"tf_mobilenetv3_large_minimal_100", b"x" * 32))
    check("PyTorch's export of TensorFlow's padding", facts(model) == same, facts(model))
    top = [json.loads(run("classify", m, fox, "--json", *args)[1])["top"]
           for m, args in ((model, []), (source, ["-p", "timm:tf_mobilenetv3_large_minimal_100"]), (source, []), (model, ["-p", "timm:mobilenetv3_large_100"]))]
    check("scores as with --preprocess", top[0] == top[1] == top[2] != top[3], top)


@case
def notes(folder):
    """One note a model, in every verb that reads pictures; none where mean and std were given."""
    model, kfx, out = named(folder, "m.onnx"), os.path.join(folder, "m.kfx"), os.path.join(folder, "o.kfx")
    data = os.path.join(folder, "d")
    for k, name in enumerate(("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")):
        os.makedirs(os.path.join(data, name))
        for i in range(1 + (k == 6)):
            shutil.copy(FROG, os.path.join(data, name, f"{i}.jpg"))
    run("import", model, "-o", kfx)
    verbs = {"classify": [FROG], "eval": ["--data", data], "quantize": ["--calib", EXAMPLES, "--no-rounding", "-o", out], "import": ["-o", out],
             "bench": ["--table", "--data", data, "--frames", "1", "--threads", "1"]}
    for verb, args in verbs.items():
        for source in (model, kfx)[:1 if verb in ("bench", "quantize") else 2]:
            code, text, err = run(verb, source, *args)
            lines = [line for line in err.splitlines() if "assumed" in line]
            good = code == 0 and len(lines) == 1 and source in lines[0] and "--mean" in lines[0] and "--preprocess" in lines[0] and "assumed" not in text
            check(f"{verb} {source[-5:]}: one note", good, (code, err))
        code, _, err = run(verb, model, *args, "--mean", "0.5", "--std", "0.25")
        check(f"{verb}: none where it is given", code == 0 and "assumed" not in err, (code, err))
        code, _, err = run(verb, model, *args, "--bgr", "--crop", "fit-pad")
        check(f"{verb}: colours and crop leave mean and std assumed", code == 0 and err.count("assumed") == 1, (code, err))
        code, _, err = run(verb, named(folder, "tf_mobilenetv3_small_100.onnx"), *args)
        check(f"{verb}: what was recognized", code == 0 and err.count("recognized from") == 1 and "assumed" not in err, (code, err))
    code, text, err = run("compare", model, kfx, "--data", data, "--json")
    row = json.loads(text) if code == 0 else {}
    check("compare: one for each model", err.count("assumed") == 2 and row["preprocess_origin_a"] == row["preprocess_origin_b"] == "assumed", (text, err))
    for args in (["info", model], ["run", model, "x.npy", "-o", "y.npy"], ["check", model], ["verify", kfx]):
        check(f"{args[0]}: none", "note" not in run(*args)[2], run(*args))
    check("the built-in model has none", run("classify", FROG)[2] == "", run("classify", FROG))
    code, text, _ = run("eval", model, "--data", data, "--json")
    check("JSON says it too", code == 0 and json.loads(text)["preprocess_origin"] == "assumed", text)
    code, text, _ = run("classify", model, FROG, "--json", "--mean", "0.5", "--std", "0.5")
    check("and that it was given", code == 0 and json.loads(text)["preprocess_origin"] == "given", text)


def answer(*args):
    code, text, err = run("classify", *args, FROG, "--json")
    return json.loads(text)["top"] if code == 0 else err


@case
def options(folder):
    """Every option has an effect on the answer, the same one in a verb that imports and through `import`."""
    model, kfx, q = named(folder, "m.onnx"), os.path.join(folder, "m.kfx"), os.path.join(folder, "q.kfx")
    plain = answer(model)
    for args in (["--mean", "0.5"], ["--std", "0.5"], ["--resize", "80"], ["--crop-pct", "1"], ["--crop", "squash"], ["--crop-mode", "fit-pad"],
                 ["--interpolation", "nearest"], ["--bgr"], ["--crop", "border", "--color", "bgr"]):
        code, _, err = run("import", model, "-o", kfx, *args)
        there, here = answer(kfx), answer(model, *args)
        check(f"{' '.join(args)}: an effect, and the same one", code == 0 and here == there != plain, (err, here, there))
        code, _, err = run("classify", kfx, FROG, *args)
        check(f"{' '.join(args)}: refused for a compiled model", code == 1 and "compiled already" in err, err)
    run("import", model, "-o", kfx)
    code, _, err = run("import", kfx, "--bgr", "-o", q)
    check("import changes a compiled one", code == 0 and answer(q) == answer(model, "--bgr"), err)
    code, _, err = run("quantize", model, "--calib", EXAMPLES, "--no-rounding", "-o", q)
    for args in (["--mean", "0.5"], ["--std", "0.5"], ["-p", "everyday10"]):
        code, _, err = run("import", q, *args, "-o", kfx)
        check(f"{args[0]}: refused for a quantized one, whose weights hold it", code == 1 and "weights" in err and args[0].strip("-")[0] in err, (code, err))
    code, _, err = run("import", q, "--bgr", "-o", kfx)
    check("its channels can be swapped", code == 0 and answer(kfx) != answer(q), err)
    for args in (["bench", model, "--mean", "0.5"], ["check", model, "--bgr"], ["classify", model, FROG, "--resize", "70", "--crop-pct", "1"],
                 ["classify", model, FROG, "--crop", "224"], ["eval", model, "--data", folder, "--mean", "123.7"]):
        code, _, err = run(*args)
        check(f"{' '.join(args[-2:])} of {args[0]}: usage", code == 2 and "--" in err, (code, err))


@case
def yaml(folder):
    """The file has mean and scale; how its pictures come to the network's size it does not say."""
    named(folder, "m.onnx")
    shutil.copytree(EXAMPLES, os.path.join(folder, "cal"))
    config = write(folder, "c.yaml", b"""model_parameters: {onnx_model: m.onnx, working_dir: out, output_model_file_prefix: m}
input_parameters: {input_type_rt: rgb, input_layout_rt: NHWC, input_type_train: rgb, input_layout_train: NCHW, norm_type: data_mean_and_scale,
  mean_value: 123.675 116.28 103.53, scale_value: 0.01712475 0.017507 0.01742919}
calibration_parameters: {cal_data_dir: cal, preprocess_on: True, calibration_type: default}
compiler_parameters: {compile_mode: latency}
""")
    code, _, err = run("check", config)
    check("YAML: how pictures are resized was assumed", code == 0 and err.count("assumed") == 1 and "bicubic" in err, (code, err))
    os.rename(os.path.join(folder, "m.onnx"), os.path.join(folder, "mobilenetv3_small_100.onnx"))
    with open(config) as f:
        text = f.read().replace("m.onnx", "mobilenetv3_small_100.onnx")
    code, _, err = run("check", write(folder, "d.yaml", text.encode()))
    check("YAML: recognized", code == 0 and "assumed" not in err, (code, err))
    code, _, err = run("quantize", config, "--mean", "0.5")
    check("YAML: the file says mean and scale", code == 2 and "--mean" in err, (code, err))


@case
def doctor(folder):
    if not os.path.isdir(SMALL):
        print("SKIP: pictures of ten classes are not here; the hint is not tested")
        return
    pictures = os.path.join(folder, "c")  # every fifth calibrates
    for name in sorted(os.listdir(SMALL)):
        os.makedirs(os.path.join(pictures, name))
        for file in sorted(os.listdir(os.path.join(SMALL, name)))[::20]:
            shutil.copy(os.path.join(SMALL, name, file), os.path.join(pictures, name, file))
    right = ["-p", "everyday10"]
    for args, hint in ((right, None), ([*right, "--bgr"], "--color rgb"), ([*right, "--mean", "0", "--std", "1"], "0.485"),
                       ([*right, "--mean", "0", "--std", "0.00392157"], "0.485"), ([*right, "--mean", "0.5", "--std", "0.5"], "0.485")):
        code, _, err = run("eval", ONNX, "--data", pictures, *args)
        lines = [line for line in err.splitlines() if "--no-doctor" in line]
        check(f"{' '.join(args[2:]) or 'as trained'}: {hint}", code == 0 and (len(lines) == 1 and hint in lines[0] if hint else not lines), (code, err))
        check("switched off", "nats" not in run("eval", ONNX, "--data", pictures, "--no-doctor", *args)[2])
    how = ["--calib", pictures, "--limit", "20", "--no-rounding", "-o", os.path.join(folder, "q.kfx"), *right]
    check("quantize: silent", "nats" not in run("quantize", ONNX, *how)[2])
    check("quantize: swapped", "--color rgb" in run("quantize", ONNX, *how, "--bgr")[2])
    check("quantize: switched off", "nats" not in run("quantize", ONNX, *how, "--bgr", "--no-doctor")[2])
    check("of few pictures it is silent", "nats" not in run("quantize", ONNX, "--calib", EXAMPLES, *how[2:], "--bgr")[2])


sys.exit(run_cases())

#!/usr/bin/env python3
"""kitfox quantize CONFIG.yaml: the zoo's files as they stand, raw calibration files, outputs, and errors with their places.

Called by meson with the program's path and the source root. The last part needs ../shared and is left out without it.
"""
import array
import json
import math
import os
import shutil
import sys

from kit import EXAMPLES, ROOT, SHARED, case, check, run, run_cases, says

MODEL = os.path.abspath(os.path.join(ROOT, "data", "everyday10.onnx"))
SUFFIXES = [".kfx", "_calibrated_model.onnx", "_optimized_float_model.onnx", "_original_float_model.onnx", "_quantize.log", "_quantized_model.onnx"]
SIDE, FILES = 64, 6

YAML = """model_parameters:
  onnx_model: './m.onnx'
  march: "bayes-e"
  working_dir: 'out/deep'
  output_model_file_prefix: 'net'
  node_info: {
    "/bn1/act/Mul": {
      'ON': 'BPU',
      'InputType': 'int16',
      'OutputType': 'int16'
    },
  }
input_parameters:
  input_name: ""
  input_type_rt: 'rgb'
  input_type_train: 'rgb'
  input_layout_train: 'NCHW'
  norm_type: 'data_mean_and_scale'
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: './cal_f32'
  cal_data_type: 'float32'
  calibration_type: 'default'
compiler_parameters:
  compile_mode: 'latency'
  optimize_level: 'O3'
"""


def pixels(seed, side=SIDE):
    """[side][side][3] in 0..255: waves, no two files alike."""
    return [[[int(127.5 + 127 * math.sin(seed + (c + 1) * x / 9 + (seed % 3 + 1) * y / 7)) for c in range(3)] for x in range(side)] for y in range(side)]


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)


def raw(p, code, nhwc=False, change=lambda v: v):
    n = len(p)
    flat = [v for row in p for px in row for v in px] if nhwc else [p[y][x][c] for c in range(3) for y in range(n) for x in range(n)]
    return array.array(code, [change(v) for v in flat]).tobytes()


class Job:
    """A folder with the model and calibration files; `text` becomes the YAML."""

    def __init__(self, top, name, folder="cal_f32", **how):
        self.top = os.path.join(top, name)
        for k in range(FILES):
            write(os.path.join(self.top, folder, f"{k}.rgb"), raw(pixels(k), how.get("code", "f"), how.get("nhwc", False)))
        os.symlink(MODEL, os.path.join(self.top, "m.onnx"))

    def run(self, text, *args):
        write(os.path.join(self.top, "c.yaml"), text)
        return run("quantize", "c.yaml", "--no-rounding", *args, cwd=self.top)

    def bytes(self, suffix=".kfx"):
        with open(os.path.join(self.top, "out", "deep", "net" + suffix), "rb") as f:
            return f.read()


def edit(*pairs):
    text = YAML
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def place(text, needle):
    line = text[:text.index(needle)].count("\n") + 1
    return f"c.yaml:{line}:{text.index(needle) - text.rfind(chr(10), 0, text.index(needle))}: "


@case
def good(top):
    job = Job(top, "good")
    code, out, err = job.run(YAML)
    check("a file of the zoo's form", code == 0, (code, out, err))
    check("all outputs, nothing else", sorted(os.listdir(os.path.join(job.top, "out", "deep"))) == sorted("net" + s for s in SUFFIXES), err)
    check("a line for each key without meaning", err.count("has no meaning on a CPU") == 3 and "c.yaml:3:3: march" in err, err)
    log = job.bytes("_quantize.log").decode()
    rows = {r.split()[0]: r.split() for r in out.splitlines() if r.startswith("/")}
    check("the node table, in the log too", out.startswith("The main quantized node information:\n=") and "Cosine Similarity" in out and all(r in log.splitlines() for r in out.splitlines()[:-1]) and "march has no meaning" in log, log)
    check("int16 where the file says", rows["/conv_stem/Conv"][6] == "int16" and rows["/blocks/blocks.3/blocks.3.0/conv_pw/Conv"][6] == "int8", out)
    code, out, err = run("info", os.path.join(job.top, "out/deep/net.kfx"), "--json")
    p = json.loads(out)["preprocess"] if code == 0 else {}
    want = [0.485, 0.456, 0.406, 0.229, 0.224, 0.225]
    check("mean and scale are the model's preprocessing", p and all(abs(a - b) < 1e-5 for a, b in zip(p["mean"] + p["std"], want)), out + err)
    for suffix in SUFFIXES[2:4]:
        code, out, err = run("compare", MODEL, os.path.join(job.top, "out/deep/net" + suffix), "--data", EXAMPLES, "--json")
        check(f"net{suffix} computes the same", code == 0 and json.loads(out.splitlines()[-1])["agreement"] == 100, out + err)
    plain = job.bytes()

    other = Job(top, "nhwc", "cal", code="B", nhwc=True)
    code, out, err = other.run(edit(("'./cal_f32'", "./cal"), ("'float32'", "uint8"), ("'NCHW'", "NHWC")))
    check("uint8 files of [H,W,C] give the same model", code == 0 and other.bytes() == plain, err)
    code, out, err = other.run(edit(("'./cal_f32'", "./cal"), ("  cal_data_type: 'float32'\n", ""), ("'NCHW'", "NHWC")))
    check("without cal_data_type the folder's name says", code == 0 and other.bytes() == plain, err)
    code, out, err = job.run(edit(("'rgb'\n  input_type_train", "nv12\n  input_type_train")))
    check("nv12: ranges of what a camera gives", code == 0 and job.bytes() != plain, err)
    camera = job.bytes()
    code, out, err = job.run(edit(("'rgb'\n  input_type_train", "nv12\n  input_space_and_range: bt601_video\n  input_type_train")))
    check("nv12 of limited range", code == 0 and job.bytes() not in (plain, camera), err)
    code, out, err = job.run(edit(("'./cal_f32'", os.path.abspath(EXAMPLES)), ("'float32'", "uint8\n  preprocess_on: True")))
    check("preprocess_on reads pictures, by an absolute path", code == 0 and "5 of 5 samples" in out, err)
    code, out, err = job.run(edit(("'rgb'\n  input_layout", "bgr\n  input_layout")))
    check("bgr", code == 0 and json.loads(run("info", os.path.join(job.top, "out/deep/net.kfx"), "--json")[1])["preprocess"]["color"] == "bgr", err)
    seen = {plain}
    for what, text in {"max": "max", "max_percentile": "max\n  max_percentile: 0.99", "kl": "kl", "per_channel off": "max\n  per_channel: False"}.items():
        code, out, err = job.run(edit(("'default'", text)))
        check(f"calibration_type {what}", code == 0 and job.bytes() not in seen, err)
        seen.add(job.bytes())
    code, out, err = job.run(edit(("'default'", "mix")))
    check("calibration_type mix", code == 0 and job.bytes() == plain, err)
    code, out, err = job.run(edit(("'default'", "'default'\n  optimization: set_all_nodes_int16")))
    check("set_all_nodes_int16", code == 0 and not [r for r in out.splitlines() if r.endswith(" int8") and "HZ_PREPROCESS" not in r] and "int16" in out, out + err)
    before = job.bytes()
    code, out, err = job.run(edit(("'./cal_f32'", "./nowhere_f32")))
    check("after a failure the old outputs are still there", code == 1 and job.bytes() == before, err)


@case
def bad_files(top):
    job = Job(top, "files")
    first = os.path.join(job.top, "cal_f32", "3.rgb")
    want = SIDE * SIDE * 12
    expected = f"{want} .. 3x64x64 float32 .. "
    npy = b"\x93NUMPY\x01\0" + b"v\0" + b" " * 118
    cases = {
        "an .npy header": (npy + raw(pixels(0), "f"), f"NumPy header .. {want} bytes"),
        "an .npy header, too long by nothing": ((npy + raw(pixels(0), "f"))[:want], "begins with a NumPy header"),
        "uint8": (raw(pixels(0), "B"), f"{want // 4} bytes .. {expected}uint8 .. cal_data_type"),
        "another size": (raw(pixels(0, 32), "f"), f"{want // 4} bytes .. {want} .. 3x64x64 float32"),
        "72x72": (raw(pixels(0, 72), "f"), expected + "72x72 .. 64x64"),
        "a frame": (bytes(SIDE * SIDE * 3 // 2), expected + "NV12"),
        "nothing": (b"", "0 bytes .. " + expected + "empty"),
        "a header": (bytes(100) + raw(pixels(0), "f"), expected + "100 bytes .. header"),
        "a JPEG": (open(os.path.join(EXAMPLES, "frog.jpg"), "rb").read(), expected + "picture .. preprocess_on: True"),
        "normalized": (raw(pixels(0), "f", change=lambda v: (v / 255 - 0.45) / 0.22), "normalized .. 0..255"),
        "divided": (raw(pixels(0), "f", change=lambda v: v / 255), "divided by 255 .. 0..255"),
        "not a number": (raw(pixels(0), "f", change=lambda v: math.nan), "value 0 is not finite"),
        "large": (raw(pixels(0), "f", change=lambda v: v * 100), "0..255"),
    }
    for what, (data, text) in cases.items():
        write(first, data)
        code, out, err = job.run(YAML)
        check(f"calibration file: {what}", code == 1 and out == "" and says(err, text) and place(YAML, "'./cal_f32'") + "cal_data_dir: ./cal_f32/3.rgb: " in err and not os.path.exists(os.path.join(job.top, "out")), err)
    shutil.rmtree(os.path.join(job.top, "cal_f32"))
    os.mkdir(os.path.join(job.top, "cal_f32"))
    code, out, err = job.run(YAML)
    check("an empty folder", code == 1 and place(YAML, "'./cal_f32'") in err and "holds no files" in err and not os.path.exists(os.path.join(job.top, "out")), err)


@case
def bad_yaml(top):
    job = Job(top, "yaml")
    cases = [  # (from, to, where, what)
        ("  march:", "  marsch:", "marsch", "the nearest is march"),
        ("'float32'", "'float31'", "'float31'", "float32|uint8"),
        ("'./m.onnx'", "./none.onnx", "./none.onnx", "No such file"),
        ("'default'", "load", "load", "scales .. not read"),
        ("'default'", "max\n  max_percentile: 1.5", "1.5", "0.5..1"),
        ("'default'", "default\n  optimization: fast", "fast", "no such token"),
        ('"/bn1/act/Mul"', '"/bn1/act/Mull"', '"/bn1/act/Mull"', "no such node"),
        ("'OutputType': 'int16'", "'OutputType': 'int17'", "'int17'", "int8|int16"),
        ("'InputType'", "'InputTipe'", "'InputTipe'", "unknown .. 'InputTipe'"),
        ("  mean_value: 123.675 116.28 103.53\n", "", "'data_mean_and_scale'", "mean_value is missing"),
        ("123.675 116.28 103.53", "123.675 116.28", "123.675 116.28", "2 numbers .. 3 channels"),
        ("0.01712475 0.017507", "0.01712475 -0.017507", "0.01712475 -0.017507", "a scale lies above 0"),
        ("'rgb'\n  input_type_train: 'rgb'", "gray\n  input_type_train: gray", "gray\n  input_layout", "1 channel"),
        ("  input_name: \"\"", "  input_shape: 1x3x63x63\n  input_name: \"\"", "1x3x63x63", "dimension 2 .. 64"),
    ]
    for old, new, where, what in cases:
        text = edit((old, new))
        if where == "gray\n  input_layout":
            text = edit((old, new), ("data_mean_and_scale", "data_scale"), ("  mean_value: 123.675 116.28 103.53\n", ""), ("0.01712475 0.017507 0.01742919", "0.0039"))
        code, out, err = job.run(text)
        check(f"{new.strip() or old.strip()}"[:60].replace("\n", " "), code == 1 and out == "" and place(text, where) in err and says(err, what) and not os.path.exists(os.path.join(job.top, "out")), err)
    write(os.path.join(job.top, "out"), "a file in the way")
    code, out, err = job.run(YAML)
    check("working_dir cannot be made", code == 1 and out == "" and place(YAML, "'out/deep'") + "working_dir: " in err, err)
    for option in (["-o", "x.kfx"], ["--calib", "cal_f32"], ["--int16", "a"], ["--method", "kl"], ["--input-shape", "1x3x64x64"]):
        code, out, err = job.run(YAML, *option)
        check(f"{option[0]} beside YAML", code == 2 and says(err, f"{option[0]} .. YAML"), err)


@case
def odd_size(top):
    with open(MODEL, "rb") as f:
        data = f.read()
    dims = b"\x0a\x02\x08%c\x0a\x02\x08%c"  # height and width in the input's declaration
    even, odd = dims % (SIDE, SIDE), dims % (SIDE - 1, SIDE - 1)
    if data.count(even) != 1:
        check("the model's input was found", False, data.count(even))
        return
    write(os.path.join(top, "odd", "m.onnx"), data.replace(even, odd))
    for rt, text in {"nv12": "even .. 63 x 63", "rgb": "cannot be listed"}.items():
        text_yaml = edit(("'rgb'\n  input_type_train", rt + "\n  input_type_train"))
        write(os.path.join(top, "odd", "c.yaml"), text_yaml)
        code, out, err = run("quantize", "c.yaml", cwd=os.path.join(top, "odd"))
        check(f"63 x 63 pixels, {rt}", code == 1 and says(err, text) and (rt == "rgb" or place(text_yaml, "nv12") in err), err)


@case
def shared(top):
    source, model = os.path.join(SHARED, "data", "MobileNetV3_config.yaml"), os.path.join(SHARED, "models", "mobilenetv3_large_100.onnx")
    if not os.path.exists(source) or not os.path.exists(model):
        print("skip  the zoo's own file: ../shared is not here")
        return
    folder, name = os.path.join(top, "shared"), "MobileNetV3_224x224_nv12"
    os.mkdir(folder)
    shutil.copyfile(source, os.path.join(folder, "c.yaml"))
    os.symlink(os.path.abspath(model), os.path.join(folder, "mobilenetv3_large_100.onnx"))
    for k in range(4):
        write(os.path.join(folder, "calibration_data_rgb_f32", f"{k}.rgb"), raw(pixels(k, 224), "f"))
    code, out, err = run("quantize", "c.yaml", cwd=folder)
    check("the zoo's own file, unchanged", code == 0 and sorted(os.listdir(os.path.join(folder, name))) == sorted(name + s for s in SUFFIXES), (code, out, err))
    rows = {r.split()[0]: r.split()[-1] for r in out.splitlines() if r.startswith("/")}
    check("its int16 nodes", all(rows.get(n) == "int16" for n in ("/blocks/blocks.3/blocks.3.1/conv_pwl/Conv", "/blocks/blocks.0/blocks.0.0/conv_dw/Conv", "/conv_stem/Conv")), rows)


sys.exit(run_cases())

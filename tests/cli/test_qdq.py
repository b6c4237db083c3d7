#!/usr/bin/env python3
"""kitfox export of quantized models: onnx.checker takes the file, ONNX Runtime gives the runtime's own logits, optimized or not.

Called by meson with the program's path; started again in the interpreter of KITFOX_PEERS with the argument "inside". Skips without it.
Real photos and a second network come from ../shared and are left out without it.
"""
import json
import os
import subprocess
import sys

from kit import EXAMPLES, PEERS, ROOT, SHARED, case, check, peers_have, run, run_cases

if "inside" not in sys.argv:
    if not peers_have("onnx", "onnxruntime"):
        print("SKIP: the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, __file__, *sys.argv[1:], "inside"]).returncode)

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402

try:
    from PIL import Image
except ImportError:
    Image = None

FLOAT = os.path.join(ROOT, "data", "everyday10.onnx")
MEAN, STD = numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])
random = numpy.random.default_rng(5)


def ours(folder, model, x):
    """Logits of the integer runtime; where it takes pixels, `run` turns a normalized tensor back into them."""
    numpy.save(os.path.join(folder, "in.npy"), x)
    code, _, err = run("run", model, os.path.join(folder, "in.npy"), "-o", os.path.join(folder, "out.npy"))
    assert code == 0, err
    return numpy.load(os.path.join(folder, "out.npy"))


def sessions(path):
    for name, level in (("optimized", None), ("as written", onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)):
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads = 1
        o.log_severity_level = 3
        if level is not None:
            o.graph_optimization_level = level
        yield name, onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])


def compare(what, path, inputs, want, agree, least_db):
    """`least_db` None: the same numbers."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    want = numpy.stack([w.ravel() for w in want])
    for how, s in sessions(path):
        have = numpy.stack([s.run(None, {s.get_inputs()[0].name: x})[0].ravel() for x in inputs])
        same = 100 * float(numpy.mean(have.argmax(1) == want.argmax(1)))
        error = float(((have - want) ** 2).sum())
        db = numpy.inf if error == 0 else 10 * numpy.log10(float((want ** 2).sum()) / error)
        print(f"      {what}, {how}: {len(inputs)} inputs, same top-1 {same:.2f} %, logit SQNR {db:.1f} dB")
        check(f"{what}, {how}", same >= agree and db >= (120 if least_db is None else least_db), (same, db))


def picture(path, side, short, resample, mean, std):
    im = Image.open(path).convert("RGB")
    w, h = im.size
    im = im.resize((short, int(short * h / w)) if w <= h else (int(short * w / h), short), resample)
    left, top = round((im.size[0] - side) / 2), round((im.size[1] - side) / 2)
    pixels = numpy.asarray(im.crop((left, top, left + side, top + side)), "float32")
    return numpy.ascontiguousarray(((pixels / 255 - mean) / std).astype("float32").transpose(2, 0, 1)[None])


def export(folder, model, name, *args):
    out = os.path.join(folder, name + ".onnx")
    code, text, err = run("export", model, "-o", out, "--json", *args)
    check(f"export {name}", code == 0, err)
    return out, json.loads(text) if code == 0 else {}


@case
def everyday10(folder):
    model = os.path.join(folder, "e.kfx")
    code, _, err = run("quantize", FLOAT, "--calib", EXAMPLES, "-o", model)
    check("quantize", code == 0, err)
    noise = [(random.integers(0, 256, (1, 3, 64, 64)) / numpy.float32(255) - MEAN[None, :, None, None]) / STD[None, :, None, None] for _ in range(10)]
    inputs = [x.astype("float32") for x in noise]
    test = os.path.join(SHARED, "data", "everyday10-test")
    if Image and os.path.isdir(test):
        files = sorted(os.path.join(d, f) for d, _, names in os.walk(test) for f in names if f.endswith(".jpg"))
        inputs = [picture(f, 64, 64, Image.BILINEAR, MEAN, STD) for f in files[::20]]
    want = [ours(folder, model, x) for x in inputs]
    exact, told = export(folder, model, "exact")
    check("read back and run: no difference at all", told.get("checked") == 3 and told["max_difference"] == 0, told)
    compare("everyday10", exact, inputs, want, 100, None)
    scales, told = export(folder, model, "scales", "--qdq", "scales")
    compare("everyday10, real scales", scales, inputs, want, 97, 25)
    for path in (exact, scales):
        m, f = onnx.load(path), onnx.load(FLOAT)
        ends = [[(v.name, [d.dim_value for d in v.type.tensor_type.shape.dim], v.type.tensor_type.elem_type) for v in (*g.input, *g.output)] for g in (m.graph, f.graph)]
        check("inputs and outputs are those of the float file", ends[0] == ends[1], ends)
        names = {n.name for n in m.graph.node}
        lost = [n.name for n in f.graph.node if n.op_type in ("Conv", "Gemm") and n.name not in names]
        check("layers keep their names", not lost and len(names) == len(m.graph.node), lost)
        check("opset 21 for 16 bits", m.opset_import[0].version == 21 and m.ir_version == 10, m.opset_import)
        ops = [n.op_type for n in m.graph.node]
        kinds = {n.op_type for n in m.graph.node if n.op_type.endswith("Linear")}
        check("QuantizeLinear and DequantizeLinear alone carry integers", kinds == {"QuantizeLinear", "DequantizeLinear"} and ops.count("QuantizeLinear") > 60, kinds)
        layers = sum(n.op_type in ("Conv", "Gemm") for n in f.graph.node)
        held = {i.name: i for i in m.graph.initializer}
        of = {n.input[0]: n for n in m.graph.node if n.op_type == "DequantizeLinear"}
        stored = [held[n] for n in of if n in held]
        check("weights and biases are stored as integers", [t.data_type for t in stored].count(onnx.TensorProto.INT8) == layers and any(t.data_type == onnx.TensorProto.INT32 for t in stored), (layers, len(stored)))
    simple = os.path.join(folder, "simple.onnx")
    code, _, err = run("simplify", exact, "-o", simple)
    check("simplify takes such a file", code == 0, err)
    compare("simplified", simple, inputs[:5], want[:5], 100, None)
    wide = os.path.join(folder, "wide.kfx")
    code, _, err = run("quantize", FLOAT, "--calib", EXAMPLES, "-o", wide, "--no-rounding", "--int16", "/conv_stem/Conv", "--int16", "/blocks/blocks.0/blocks.0.0/conv_dw/Conv", "--no-per-channel")
    check("quantize with int16 nodes", code == 0, err)
    out, told = export(folder, wide, "wide")
    compare("int16 nodes", out, inputs[:10], [ours(folder, wide, x) for x in inputs[:10]], 100, None)
    refusals(folder, exact)


def refusals(folder, path):
    none = os.path.join(folder, "none")
    for verb, args in (("import", ["-o", none + ".kfx"]), ("quantize", ["--calib", EXAMPLES, "-o", none + ".kfx"]), ("classify", [os.path.join(EXAMPLES, "frog.jpg")])):
        code, _, err = run(verb, path, *args)
        check(f"{verb} of a QDQ file: named, with what to do", code == 1 and "QuantizeLinear" in err and "float model" in err, (code, err))
    code, text, err = run("check", path, "--json")
    check("check says it of each such node", code == 1 and "quantized already" in text, (code, text[:300], err))
    code, _, err = run("export", path, "-o", none + ".onnx", "--qdq", "best")
    check("an unknown form", code == 2 and "best" in err, err)
    check("nothing was written", not [f for f in os.listdir(folder) if f.startswith("none")], os.listdir(folder))


@case
def tensors(folder):
    """A network that takes numbers, not pixels: its first node rounds the input once."""
    data, model = os.path.join(folder, "npy"), os.path.join(folder, "t.kfx")
    os.mkdir(data)
    inputs = [random.normal(0, 1, (1, 3, 64, 64)).astype("float32") for _ in range(8)]
    for i, x in enumerate(inputs):
        numpy.save(os.path.join(data, f"{i}.npy"), x)
    code, _, err = run("quantize", FLOAT, "--calib", data, "-o", model)
    check("quantize on tensors", code == 0, err)
    out, _ = export(folder, model, "tensors")
    compare("a network of numbers", out, inputs, [ours(folder, model, x) for x in inputs], 100, 40)


YAML = f"""model_parameters:
  onnx_model: '{FLOAT}'
  working_dir: 'made'
  output_model_file_prefix: 'net'
input_parameters:
  input_type_rt: 'rgb'
  input_type_train: 'rgb'
  input_layout_train: 'NCHW'
  norm_type: 'data_mean_and_scale'
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: '{EXAMPLES}'
  cal_data_type: 'uint8'
  preprocess_on: True
  calibration_type: 'default'
compiler_parameters:
  compile_mode: 'latency'
"""


@case
def from_yaml(folder):
    """The graph goes into the file without the detour over a .kfx: here hidden scales are the quantizer's own."""
    with open(os.path.join(folder, "c.yaml"), "w") as f:
        f.write(YAML)
    code, _, err = run("quantize", os.path.join(folder, "c.yaml"))
    check("quantize CONFIG.yaml", code == 0, err)
    if code:
        return
    made = os.path.join(folder, "made", "net")
    inputs = [((random.integers(0, 256, (1, 3, 64, 64)) / numpy.float32(255) - MEAN[None, :, None, None]) / STD[None, :, None, None]).astype("float32") for _ in range(8)]
    for name in ("_calibrated_model.onnx", "_quantized_model.onnx"):
        compare("net" + name, made + name, inputs, [ours(folder, made + ".kfx", x) for x in inputs], 100, None)


@case
def minimal(folder):
    if not Image or not os.path.isdir(SHARED):
        print("SKIP: ../shared with photos and other networks, or Pillow, is missing; the built-in network was tested")
        return
    half, model = numpy.float32([0.5, 0.5, 0.5]), os.path.join(folder, "m.kfx")
    photos = os.path.join(SHARED, "data", "imagenet-sample")
    name = "tf_mobilenetv3_large_minimal_100"
    code, _, err = run("quantize", os.path.join(SHARED, "models", name + ".onnx"), "--preprocess", "timm:" + name, "--calib", photos, "--limit", "12", "--no-rounding", "-o", model)
    check("quantize " + name, code == 0, err)
    out, told = export(folder, model, "minimal", "--check", "1")
    files = sorted(f for f in os.listdir(photos) if f.lower().endswith(".jpeg"))[3::31]
    inputs = [picture(os.path.join(photos, f), 224, 256, Image.BILINEAR, half, half) for f in files]
    compare(name, out, inputs, [ours(folder, model, x) for x in inputs], 100, None)


sys.exit(run_cases())

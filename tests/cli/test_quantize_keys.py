#!/usr/bin/env python3
"""Keys of the zoo's YAML that change the network or the calibration, networks that are not RGB pictures, and what is refused with its place.

Arguments: the program, the source root. The networks are made by tiny_onnx.py.
"""
import array
import json
import math
import os
import re
import struct
import sys

from kit import ROOT, case, check, run, run_cases, says

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tiny_onnx

SIDE = 32

YAML = """model_parameters:
  onnx_model: m.onnx
  output_model_file_prefix: net
  working_dir: out
input_parameters:
  input_type_rt: rgb
  input_type_train: rgb
  input_layout_train: NCHW
  norm_type: data_scale
  scale_value: 0.0078125
calibration_parameters:
  cal_data_dir: ./cal
  cal_data_type: uint8
compiler_parameters:
  optimize_level: O3
"""


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)


def wave(seed, n, code="B", lo=0, hi=255):
    return array.array(code, [type(array.array(code, [0])[0])((lo + hi) / 2 + (hi - lo) / 2 * math.sin(seed + i / 6)) for i in range(n)]).tobytes()


def edit(*pairs, text=YAML):
    for old, new in pairs:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    return text


def place(text, needle):
    at = text.index(needle)
    return f"c.yaml:{text[:at].count(chr(10)) + 1}:{at - text.rfind(chr(10), 0, at)}: "


class Job:
    def __init__(self, top, name, model, n, code="B", lo=0, hi=255, files=6):
        self.top = os.path.join(top, name)
        write(os.path.join(self.top, "m.onnx"), model)
        for k in range(files):
            write(os.path.join(self.top, "cal", f"{k}.bin"), wave(k, n, code, lo, hi))

    def run(self, text, verb="quantize", *args):
        write(os.path.join(self.top, "c.yaml"), text)
        return run(verb, "c.yaml", *args, cwd=self.top)

    def path(self, *parts):
        return os.path.join(self.top, *parts)

    def info(self):
        return json.loads(run("info", self.path("out", "net.kfx"), "--json")[1])


def npy(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<H", data[8:10])[0]
    return eval(data[10:10 + n].decode()), data[10 + n:]  # the header is a Python literal


@case
def edges(top):
    model, names = tiny_onnx.classifier([1, SIDE, SIDE, 3], 3, before=["Transpose"], after=["Softmax", "Reshape"])
    job = Job(top, "edges", model, SIDE * SIDE * 3)
    code, out, err = job.run(edit(("  working_dir", "  remove_node_type: 'Quantize;Dequantize;Transpose;Cast;Reshape;'\n  working_dir")))
    check("remove_node_type", code == 0 and says(err, "note: .. 2 nodes .. removed"), err)
    info = job.info()
    check("    the input has the shape within", info["input"]["shape"] == [1, 3, SIDE, SIDE] and info["input"]["name"] == "x" and info["input"]["dtype"] == "u8", info)
    check("    the output keeps its name", info["output"]["shape"] == [1, 5] and info["output"]["name"] == "v9", info)
    plain = dict(line.split()[:2] for line in out.splitlines() if line.startswith("/"))
    check("    Softmax stays unless it is named", "/Softmax_8" in plain and "/Transpose_0" not in plain, plain)
    code, out, err = job.run(edit(("  working_dir", "  remove_node_type: Transpose;Reshape;Softmax\n  working_dir")))
    check("    Softmax too", code == 0 and "3 nodes removed" in err and "/Softmax_8" not in out, out + err)
    code, out, err = job.run(edit(("  working_dir", "  remove_node_name: '/Transpose_0;/Reshape_9;/Relu_2'\n  working_dir")))
    check("remove_node_name, at edges alone", code == 0 and "2 nodes removed" in err and "/Softmax_8" in out, out + err)
    text = edit(("  working_dir", "  remove_node_name: /Transpose_1\n  working_dir"))
    code, out, err = job.run(text)
    check("    no such node", code == 1 and place(text, "/Transpose_1") + "remove_node_name: node '/Transpose_1': there is no such node" in err, err)

    model, names = tiny_onnx.classifier([1, 3, SIDE, SIDE], 3, after=["Softmax"])
    job = Job(top, "cut", model, SIDE * SIDE * 3)
    code, out, err = job.run(edit(("  working_dir", "  output_nodes: '/Gemm_6'\n  working_dir")))
    check("output_nodes", code == 0 and job.info()["output"]["shape"] == [1, 5] and "/Softmax_7" not in out, out + err)
    code, out, err = job.run(edit(("  working_dir", "  output_nodes: /Flatten_5\n  working_dir")))
    check("    features", code == 0 and job.info()["output"]["shape"] == [1, 12], out + err)
    check("    features have a cosine, and no best class", "output cosine with float" in out and "top-1" not in out, out)
    for value, what in {"/Gemm_7": "there is no such node", "/Gemm_6;/Gemm_6": "it is named twice"}.items():
        text = edit(("  working_dir", f"  output_nodes: {value}\n  working_dir"))
        code, out, err = job.run(text)
        check(f"    {what}", code == 1 and place(text, value) + "output_nodes: node" in err and what in err, err)


@case
def calibration(top):
    model, _ = tiny_onnx.classifier([1, 3, SIDE, SIDE], 3)
    job = Job(top, "calibration", model, SIDE * SIDE * 3)
    code, out, err = job.run(edit(("  working_dir", "  debug_mode: dump_calibration_data\n  working_dir")))
    head, data = npy(job.path("out", "calibration_data", "x", "5.npy")) if code == 0 else ({}, b"")
    with open(job.path("cal", "5.bin"), "rb") as f:
        planes = f.read()
    n = SIDE * SIDE
    want = bytes(planes[c * n + i] for i in range(n) for c in range(3))
    check("dump_calibration_data", code == 0 and head.get("shape") == (SIDE, SIDE, 3) and head["descr"] == "|u1" and data == want and len(os.listdir(job.path("out", "calibration_data", "x"))) == 6, (err, head))
    os.remove(job.path("cal", "5.bin"))
    code, out, err = job.run(edit(("  working_dir", "  debug_mode: dump_calibration_data\n  working_dir")))
    check("    again, in place of the old ones", code == 0 and sorted(os.listdir(job.path("out", "calibration_data", "x"))) == [f"{k}.npy" for k in range(5)] and not os.path.exists(job.path("out", "calibration_data.part")), err)
    code, out, err = job.run(edit(("  cal_data_dir: ./cal\n  cal_data_type: uint8", "  calibration_type: skip")))
    check("calibration_type skip", code == 0 and "8 of 8 samples" in out and says(err, "ranges .. random") and "c.yaml:12:21" in err, out + err)
    text = edit(("  cal_data_type: uint8", "  cal_data_type: uint8\n  calibration_type: load"))
    code, out, err = job.run(text)
    check("calibration_type load", code == 1 and place(text, "load") in err and says(err, "scales .. not read"), err)
    code, out, err = job.run(edit(("  norm_type", "  input_batch: 8\n  norm_type")))
    check("input_batch", code == 0 and says(err, "c.yaml:9:16: .. input_batch .. no effect"), err)


@case
def other_inputs(top):
    yuv, gray = edit(("input_type_rt: rgb", "input_type_rt: yuv444"), ("train: rgb", "train: yuv444")), edit(("input_type_rt: rgb", "input_type_rt: gray"), ("train: rgb", "train: gray"))
    for name, text, channels in (("yuv444", yuv, 3), ("gray", gray, 1)):
        job = Job(top, name, tiny_onnx.classifier([1, channels, SIDE, SIDE], channels)[0], SIDE * SIDE * channels)
        code, out, err = job.run(text)
        info = job.info() if code == 0 else {}
        check(f"{name}: normalized tensors", code == 0 and info["preprocess"] is None and info["input"]["dtype"] == "f32", out + err)
        code, out, err = run("classify", job.path("out", "net.kfx"), os.path.join(ROOT, "examples", "pictures", "frog.jpg"))
        check(f"    {name}: pictures are refused", code == 1 and "no picture" in err, err)
    job = Job(top, "features", tiny_onnx.mlp(24)[0], 24, "f", -2, 2)
    raw = edit(("input_type_rt: rgb", "input_type_rt: featuremap"), ("train: rgb", "train: featuremap"), ("  norm_type: data_scale\n  scale_value: 0.0078125\n", ""), ("uint8", "float32"))
    code, out, err = job.run(raw)
    check("featuremap of rank 2", code == 0 and job.info()["input"]["shape"] == [1, 24], out + err)
    text = edit(("  input_layout_train", "  norm_type: data_mean\n  mean_value: 1\n  input_layout_train"), text=raw)
    code, out, err = job.run(text)
    check("featuremap with a mean", code == 1 and place(text, "data_mean") in err and says(err, "write no_preprocess"), err)


@case
def bad(top):
    job = Job(top, "bad", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3)[0], SIDE * SIDE * 3)
    cases = []
    for name in ("model_parameters", "input_parameters", "calibration_parameters", "compiler_parameters"):
        lines, keep, out = YAML.splitlines(True), True, []
        for line in lines:
            if not line.startswith(" "):
                keep = not line.startswith(name)
            if keep:
                out.append(line)
        cases.append((f"no {name}", "".join(out), "c.yaml:1:1: ", f"group {name} is missing"))
    for pairs, where, what in [
        ([("  working_dir", "  workin_dir")], "workin_dir", "unknown .. 'workin_dir' .. model_parameters .. working_dir"),
        ([("calibration_parameters:", "calibration_parameter:")], "calibration_parameter:", "unknown .. 'calibration_parameter' .. calibration_parameters"),
        ([("  optimize_level: O3", "  optimize_level: O4")], "O4", "O0|O1|O2|O3"),
        ([("  optimize_level: O3", "  optimize_level: O3\n  debug: 'True'")], "'True'", "True or False .. quotes"),
        ([("  optimize_level: O3", "  optimize_level: O3\n  jobs: four")], "four", "a whole number"),
        ([("  working_dir: out", "  working_dir: {a: b}")], "{a: b}", "working_dir .. mapping .. text"),
        ([("  norm_type: data_scale", "  norm_type: data_mean")], "data_mean", "mean_value .. missing .. 'data_mean'"),
        ([("  norm_type: data_scale\n", "")], "0.0078125", "scale_value .. norm_type ''"),
        ([("  norm_type: data_scale\n  scale_value: 0.0078125\n", "  mean_value: 1 2 3\n")], "1 2 3", "mean_value .. norm_type ''"),
        ([("0.0078125", "0.1 0.2 0.3 0.4")], "0.1 0.2 0.3 0.4", "three .. finite"),
        ([("0.0078125", "0")], "0\n", "a scale lies above 0"),
        ([("0.0078125", "abc")], "abc", "numbers separated by spaces"),
        ([("train: rgb", "train: gray"), ("rt: rgb", "rt: gray")], "gray\n  input_layout", "input_type_train .. 1 channel"),
        ([("  norm_type", "  input_space_and_range: bt601_video\n  norm_type")], "bt601_video", "it needs input_type_rt nv12"),
        ([("  cal_data_type: uint8", "  cal_data_type: uint8\n  max_percentile: 0.99")], "0.99", "it is only used by max"),
        ([("  onnx_model: m.onnx", "  onnx_model: m.onnx\n  remove_node_type: Relu")], "Relu", "Quantize|Dequantize|Transpose|Cast|Reshape|Softmax"),
        ([("  onnx_model: m.onnx", "  onnx_model: m.onnx\n  debug_mode: yes_please")], "yes_please", "dump_calibration_data"),
        ([("  input_layout_train: NCHW", "  input_layout_train: NCHW;NHWC")], "NCHW;NHWC", "one input"),
    ]:
        text = edit(*pairs)
        cases.append((pairs[0][1].strip().replace("\n", " "), text, place(text, where), what))
    trains = {"rgb": "nv12 yuv444 rgb bgr", "bgr": "nv12 yuv444 rgb bgr", "yuv444": "nv12 yuv444", "gray": "gray", "featuremap": "featuremap"}
    for train, allowed in trains.items():
        for rt in ("nv12", "yuv444", "rgb", "bgr", "gray", "featuremap"):
            if rt not in allowed.split():
                text = edit(("rt: rgb", f"rt: {rt}"), ("train: rgb", f"train: {train}"))
                cases.append((f"{train} fed with {rt}", text, f"c.yaml:6:18: ", "no such conversion"))
    before = sorted(os.listdir(job.top))
    for what, text, where, words in cases:
        code, out, err = job.run(text)
        check(what, code == 1 and out == "" and where in err and says(err, words) and sorted(os.listdir(job.top)) == sorted({*before, "c.yaml"}), (code, where, err))
        code, out, err = job.run(text, "check")
        check("    check says the same", code == 1 and where in err and says(err, words), err)


@case
def against_the_network(top):
    """Every key that can contradict the network, without an effect on the result: a note with its place, by both verbs."""
    job = Job(top, "against", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3)[0], SIDE * SIDE * 3)
    last = Job(top, "last", tiny_onnx.classifier([1, SIDE, SIDE, 3], 3, before=["Transpose"])[0], SIDE * SIDE * 3)
    gray = Job(top, "one", tiny_onnx.classifier([1, 1, SIDE, SIDE], 1)[0], SIDE * SIDE)
    nhwc, edge = ("layout_train: NCHW", "layout_train: NHWC"), ("  working_dir", "  remove_node_type: Transpose\n  working_dir")
    info = "  node_info: {'/Conv_0': {'ON': BPU}, '/Conv_9': {'ON': BPU}, '/Gemm_6': {'ON': CPU, InputType: int8}}\n  working_dir"
    names = ";".join(f"/Conv_{k}" for k in range(50, 64))
    for j, pairs, where, words in [
        (job, [nhwc], "NHWC", "input_layout_train is NHWC .. 'x' .. 1x3x32x32, channels first .. read as [H,W,C]; write NCHW"),
        (job, [nhwc, ("./cal\n  cal_data_type: uint8", os.path.join(ROOT, "examples", "pictures") + "\n  preprocess_on: True")], "NHWC", "channels first; correct it"),
        (last, [edge], "NCHW", "input_layout_train is NCHW .. 1x32x32x3, channels last .. read as [C,H,W]; write NHWC"),
        (job, [("  norm_type", "  input_name: images\n  norm_type")], "images", "'images' .. the input of the network is 'x'"),
        (job, [("  working_dir", info)], "'/Conv_9'", "node_info names '/Conv_9' .. no such node"),
        (job, [("  working_dir", info)], "CPU", "ON CPU has no effect in node_info"),
        (job, [("  working_dir", "  set_node_data_type: '/Conv_0:int8;/Conv_7:int8'\n  working_dir")], "'/Conv_0:int8", "set_node_data_type names '/Conv_7' .. no such node"),
        (job, [("  cal_data_type", "  run_on_cpu: /Conv_0;/conv\n  cal_data_type")], "/Conv_0;/conv", "run_on_cpu names '/conv' .. no such node"),
        (job, [("  cal_data_type", "  run_on_bpu: /Gemm\n  cal_data_type")], "/Gemm\n", "run_on_bpu names '/Gemm' .. no such node"),
        (job, [("  cal_data_type", f"  run_on_bpu: {names}\n  cal_data_type")], None, "4 more names"),
        (job, [("  optimize_level", "  input_source: {_default_value: ddr, data: pyramid, x: ddr}\n  optimize_level")], "data: pyramid", "input_source names 'data' .. no such input"),
        (job, [edge], "Transpose", "no node was removed"),
        (job, [("  working_dir", "  remove_node_name: /Relu_1\n  working_dir")], "/Relu_1", "no node was removed"),
        (job, [("  norm_type", "  separate_batch: False\n  norm_type")], "separate_batch", "separate_batch has no meaning on a CPU"),
        (job, [("  cal_data_dir: ./cal", "  cal_data_dir: " + os.path.join(ROOT, "examples", "pictures") + "\n  preprocess_on: True")], "uint8", "cal_data_type has no effect beside preprocess_on"),
        (job, [], None, None), (last, [nhwc, edge], None, None),
        (gray, [nhwc, ("rt: rgb", "rt: gray"), ("train: rgb", "train: gray")], None, None),  # the same bytes either way
    ]:
        text = edit(*pairs)
        code, out, err = j.run(text, "check")
        notes = [line for line in err.splitlines() if "no meaning" not in line and "fewer than 20" not in line and "wins over" not in line and "nodes removed" not in line and "node removed" not in line]
        what = pairs[-1][1].strip()[:50].replace("\n", " ") if pairs else "nothing"
        if words is None:
            check(f"{what}: nothing to say", code == 0 and not notes, err)
            continue
        found = [line for line in err.splitlines() if says(line, words) and (where is None or place(text, where)[:-2] in line)]
        check(what, code == 0 and len(found) == 1, err)
    text = edit(nhwc)
    code, out, err = job.run(text)
    with open(job.path("out", "net_quantize.log")) as f:
        check("quantize says it too, in its log as well", code == 0 and says(err, place(text, "NHWC") + ".. channels first") and "channels first" in f.read(), err)


def searched(text):
    """What a script finds in the log of the zoo's own quantizer: rows of both tables, by their titles and rules."""
    tables = {}
    lines = text.splitlines()
    for title in ("The main quantized node information:", "The quantized model output:"):
        i = lines.index(title)
        assert re.fullmatch("=+", lines[i + 1]) and re.fullmatch("-+", lines[i + 3]), lines[i:i + 4]
        rows = lines[i + 4:]
        rows = rows[:next(k for k, r in enumerate(rows) if re.fullmatch("=+", r))]
        tables[title] = (re.split(r"\s{2,}|(?<=ON)\s+", lines[i + 2].strip()), [r.split() for r in rows])
    return [tables[t] for t in tables]


def save_npy(path, kind, shape, values):
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    write(path, b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() + array.array({"|u1": "B", "<f4": "f"}[kind], values).tobytes())


def answer(job, model, x):
    code, _, err = run("run", job.path(*model), x, "-o", job.path("y.npy"))
    assert code == 0, err
    return array.array("f", npy(job.path("y.npy"))[1])


def distances(job, files=6):
    """cosine, L1, L2, Chebyshev of the outputs of m.onnx and out/net.kfx, by `run` and arithmetic alone."""
    ab = aa = bb = l1 = l2 = far = 0.0
    n = SIDE * SIDE
    for k in range(files):
        with open(job.path("cal", f"{k}.bin"), "rb") as f:
            x = f.read()
        save_npy(job.path("f.npy"), "<f4", [1, 3, SIDE, SIDE], [v * 0.0078125 for v in x])
        save_npy(job.path("u.npy"), "|u1", [SIDE, SIDE, 3], [x[c * n + i] for i in range(n) for c in range(3)])
        a, b = answer(job, ["m.onnx"], job.path("f.npy")), answer(job, ["out", "net.kfx"], job.path("u.npy"))
        d = [abs(p - q) for p, q in zip(a, b)]
        ab, aa, bb = ab + sum(p * q for p, q in zip(a, b)), aa + sum(p * p for p in a), bb + sum(q * q for q in b)
        l1, l2, far = l1 + sum(d) / len(d) / files, l2 + math.sqrt(sum(v * v for v in d)) / len(d) / files, max(far, *d)
    return [ab / math.sqrt(aa * bb), l1, l2, far]


@case
def log(top):
    """The log as scripts of the zoo's users search it: on standard output, beside the model, and where that tool has it."""
    job = Job(top, "log", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3, after=["Softmax"])[0], SIDE * SIDE * 3)
    code, out, err = job.run(YAML)
    with open(job.path("hb_mapper_makertbin.log")) as f:
        whole = f.read()
    with open(job.path("out", "net_quantize.log")) as f:
        check("the log lies in the current folder and beside the model", code == 0 and f.read() == whole and all(line in whole.splitlines() for line in out.splitlines()[:-1]), err)
    check("first and last lines", whole.startswith("Start Model Convert....\n") and whole.endswith("\nConvert to runtime bin file successfully!\nEnd Model Convert\n"), whole)
    (head, rows), (head2, outputs) = searched(out)
    check("columns", head == ["Node", "ON", "Subgraph", "Type", "Cosine Similarity", "Threshold", "DataType"] and all(len(r) == 7 for r in rows), (head, rows))
    check("the input's row", rows[0] == ["HZ_PREPROCESS_FOR_x", "CPU", "id(0)", "HzSQuantizedPreprocess", "--", "127.000000", "int8"], rows[0])
    check("the first layer sees normalized pixels", rows[1][0] == "/Conv_0" and float(rows[1][5]) == 1.992188, rows[1])
    by_name = {r[0]: r for r in rows}
    check("a float node has no subgraph and no threshold", by_name["/Softmax_7"][1:3] == ["CPU", "--"] and by_name["/Softmax_7"][5:] == ["--", "float"], by_name)
    check("    the others have", all(r[2] == "id(0)" and float(r[5]) > 0 for r in rows if r[0] != "/Softmax_7"), rows)
    check("columns of the output", head2 == ["Output", "Cosine Similarity", "L1 Distance", "L2 Distance", "Chebyshev Distance"] and len(outputs) == 1, (head2, outputs))

    job = Job(top, "plain", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3)[0], SIDE * SIDE * 3)
    code, out, err = job.run(YAML)
    (_, rows), (_, outputs) = searched(out)
    want = distances(job)
    check("cosine and distances of the output are those of the finished model", all(abs(float(a) - b) < 2e-6 + 1e-4 * b for a, b in zip(outputs[0][1:], want)) and want[3] > 1e-4, (outputs, want))
    code, nodes, err = job.run(YAML, "quantize", "--json")
    held = [json.loads(line)["threshold"] for line in nodes.splitlines() if '"node"' in line]
    check("a row's threshold is what the node before it can hold", code == 0 and len(held) == len(rows) - 1 and all(abs(float(r[5]) - h) < 1e-5 for r, h in zip(rows[2:], held)), (rows, held))
    check("    --json prints no table", "main quantized" not in nodes, nodes)
    with open(job.path("out", "net_calibrated_model.onnx"), "rb") as a, open(job.path("out", "net_quantized_model.onnx"), "rb") as b:
        check("the calibrated model is the QDQ form", a.read() == b.read() != b"")

    job = Job(top, "rows", tiny_onnx.mlp(24)[0], 24, "f", -2, 2)
    code, out, err = job.run(edit(("input_type_rt: rgb", "input_type_rt: featuremap"), ("train: rgb", "train: featuremap"), ("  norm_type: data_scale\n  scale_value: 0.0078125\n", ""), ("uint8", "float32")))
    (_, rows), _ = searched(out)
    check("no pixels: no row for them; the first threshold is that of the samples", code == 0 and "HZ_PREPROCESS" not in out and abs(float(rows[0][5]) - 2) < 0.1, out)

    os.remove(job.path("hb_mapper_makertbin.log"))
    os.mkdir(job.path("hb_mapper_makertbin.log"))
    code, out, err = job.run(edit(("input_type_rt: rgb", "input_type_rt: featuremap"), ("train: rgb", "train: featuremap"), ("  norm_type: data_scale\n  scale_value: 0.0078125\n", ""), ("uint8", "float32")))
    check("a folder in the way of the log is a note", code == 0 and says(err, "note: .. hb_mapper_makertbin.log .. the log beside the model is complete"), err)
    job = Job(top, "own", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3)[0], SIDE * SIDE * 3)
    os.symlink("m.onnx", job.path("hb_mapper_makertbin.log"))
    code, out, err = job.run(YAML)
    check("the log replaces no input", code == 1 and says(err, "hb_mapper_makertbin.log") and not os.path.exists(job.path("out")), (code, err))


@case
def not_quantizable(top):
    """check refuses what quantize would refuse after all the work before it; so the place is named by both."""
    job = Job(top, "four", tiny_onnx.classifier([4, 3, SIDE, SIDE], 3)[0], SIDE * SIDE * 3)
    again = Job(top, "again", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3)[0], SIDE * SIDE * 3)
    code, out, err = again.run(YAML)
    os.replace(again.path("out", "net_quantized_model.onnx"), again.path("m.onnx"))
    for verb in ("check", "quantize"):
        code, out, err = again.run(YAML, verb)
        check(f"{verb}: quantized already", code == 1 and says(err, "c.yaml:2:15: onnx_model: .. quantized already"), err)
        code, out, err = job.run(YAML, verb)
        check(f"{verb}: a batch of 4 is taken one by one", code == 0 and "takes 4 at a time; 1 is used" in err, err)
        text = edit(("  norm_type", "  std_value: 58.395 57.12 57.375\n  norm_type"))
        code, out, err = job.run(text, verb)
        check(f"{verb}: std_value", code == 1 and place(text, "std_value")[:-2] in err and "scale_value = 1 / std_value" in err, err)


@case
def bad_files(top):
    n = SIDE * SIDE * 3
    f32 = edit(("uint8", "float32"), ("./cal", "./cal_f32"))
    for what, data, words in [
        ("between 0 and 2.6", wave(1, n, "f", 0, 2.6), "look normalized already"),
        ("between -3 and 3", wave(1, n, "f", -3, 3), "look normalized already"),
        ("between 0 and 1", wave(1, n, "f", 0, 1), "look divided by 255"),
        ("an .npy file", b"\x93NUMPY\x01\0v\0" + b" " * 118 + wave(1, n, "f"), "begins with a NumPy header"),
        ("too short", wave(1, n - 1, "f"), f"{4 * n - 4} bytes; {4 * n} are expected"),
    ]:
        job = Job(top, "f" + what.replace(" ", ""), tiny_onnx.classifier([1, 3, SIDE, SIDE], 3)[0], 0, files=0)
        for k in range(3):
            write(job.path("cal_f32", f"{k}.bin"), data)
        code, out, err = job.run(f32)
        check(what, code == 1 and out == "" and place(f32, "./cal_f32") + "cal_data_dir: ./cal_f32/0.bin: " in err and words in err and not os.path.exists(job.path("out")), err)
    job = Job(top, "ones", tiny_onnx.classifier([1, 3, SIDE, SIDE], 3)[0], n, hi=1.99)
    code, out, err = job.run(YAML)
    check("bytes of 0 and 1 alone, in all files", code == 1 and out == "" and "c.yaml:12:17: cal_data_dir: " in err and "look divided by 255" in err and not os.path.exists(job.path("out")), err)
    write(job.path("cal", "7.bin"), wave(1, n))
    code, out, err = job.run(YAML)
    check("    one real picture among dark ones is fine", code == 0, err)


sys.exit(run_cases())

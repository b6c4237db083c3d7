#!/usr/bin/env python3
"""kitfox check CONFIG.yaml: every value as PyYAML reads it, the verdict on model and files, and the range of NV12 frames.

Arguments: the program, the source root. The comparison needs PyYAML, here or in the interpreter of KITFOX_PEERS; that part is left out without.
"""
import json
import math
import os
import subprocess
import sys

from kit import PEERS, ROOT, SHARED, case, check, run, run_cases, says

LOAD = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin.buffer.read())))"

HEAD = "model_parameters:\n  onnx_model: 'm.onnx'\n"
INPUT = "input_parameters:\n  input_type_rt: 'rgb'\n  input_type_train: 'rgb'\n  input_layout_train: 'NCHW'\n"
CAL = "calibration_parameters:\n  cal_data_dir: './cal'\n"
TAIL = "compiler_parameters:\n  optimize_level: 'O3'\n"
DIALECT = {
    "plain": HEAD + INPUT + CAL + TAIL,
    "unquoted numbers are text": HEAD + INPUT + "  norm_type: data_mean\n  mean_value: 123.675 116.28 103.53\n" + CAL + TAIL,
    "a single bare float": HEAD + INPUT + "  norm_type: data_scale\n  scale_value: 0.003921568627451\n" + CAL + TAIL,
    "a quoted float is text": HEAD + INPUT + "  norm_type: data_scale\n  scale_value: '0.003921568627451'\n" + CAL + TAIL,
    "whole numbers": HEAD + INPUT + "  input_batch: 1\n  norm_type: data_scale\n  scale_value: 1\n" + CAL + TAIL + "  jobs: 64\n  core_num: +1\n  advice: 0\n",
    "floats": HEAD + INPUT + CAL + "  calibration_type: max\n  max_percentile: 0.99995\n" + TAIL,
    "floats with exponents": HEAD + INPUT + "  norm_type: data_scale\n  scale_value: 3.9e-3\n" + CAL + "  calibration_type: max\n  max_percentile: 9.99E-1\n" + TAIL,
    "a float without digits behind": HEAD + INPUT + "  norm_type: data_scale\n  scale_value: 2.\n" + CAL + "  calibration_type: max\n  max_percentile: 1\n" + TAIL,
    "booleans": HEAD + "  layer_out_dump: False\n" + INPUT + CAL + "  per_channel: true\n  preprocess_on: no\n" + TAIL + "  debug: TRUE\n",
    "more booleans": HEAD + "  layer_out_dump: off\n" + INPUT + CAL + "  per_channel: Yes\n" + TAIL + "  debug: On\n",
    "nothing": HEAD + "  log_level:\n  working_dir: ~\n" + INPUT + "  input_name: ''\n  input_shape: \"\"\n" + CAL + "  optimization: null\n" + TAIL,
    "comments and spaces": "# first\n" + HEAD + "  march: bayes-e   # behind\n   # odd\n" + INPUT + "  input_name: \"\"   \n\n\n" + CAL + "  run_on_cpu: a#b\n" + TAIL,
    "quotes": HEAD + "  march: \"bayes-e\"\n  log_level: 'it''s'\n  working_dir: \"a\\tb\\\\c \\u00e9\"\n" + INPUT + CAL + TAIL,
    "flow mapping": HEAD + "  node_info: {\n    \"/a/Conv\": {\n      'ON': 'BPU',\n      \"InputType\": 'int16',\n      OutputType: int16,\n    },\n    '/b:c/Mul': {'ON': \"CPU\",},\n  }\n" + INPUT + CAL + TAIL,
    "flow mapping on one line": HEAD + "  node_info: {'/a': {InputType0: int8, InputType1: int16}, '/b': {'ON': CPU}}\n" + INPUT + CAL + TAIL + "  input_source: {\"input\": \"ddr\", _default_value: 'pyramid'}\n",
    "block mapping": HEAD + "  node_info:\n    /a/Conv:\n      'ON': BPU\n      InputType: int16\n    \"/b\":\n      OutputType: int8\n" + INPUT + CAL + TAIL,
    "text form": HEAD + "  set_node_data_type: 'a:int16;b:int8;'\n  remove_node_type: 'Quantize;Transpose;'\n" + INPUT + CAL + "  optimization: 'set_Softmax_input_int8,set_Softmax_output_int8'\n" + TAIL,
    "lists by semicolon": HEAD + INPUT.replace("'NCHW'", "NCHW;") + CAL.replace("'./cal'", "./cal;") + TAIL,
    "block text": HEAD + "  log_level: |\n    a\n    b\n  working_dir: >-\n    c\n    d\n" + INPUT + CAL + TAIL,
    "plain text over two lines": HEAD + "  working_dir: a\n    b\n" + INPUT + CAL + TAIL,
    "colons, hashes and slashes": HEAD + "  log_level: a:b\n  working_dir: /x/y-z_1.2\n" + INPUT + CAL + "  run_on_cpu: /a/b;/c/d\n" + TAIL,
    "empty containers": HEAD + "  node_info: {}\n" + INPUT + CAL + TAIL + "  input_source: {}\n",
    "lines of Windows": (HEAD + INPUT + CAL + TAIL).replace("\n", "\r\n"),
    "a document mark": "---\n" + HEAD + INPUT + CAL + TAIL,
    "texts that look like numbers": HEAD + "  log_level: 1.2.3\n  working_dir: 12a\n" + INPUT + CAL + "  run_on_cpu: 1-2\n" + TAIL,
}


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)


def leaves(tree, path=()):
    """(path, value) of every scalar and empty container, in the order of the file."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    if not tree or not isinstance(tree, (dict, list)):
        yield list(path), tree
    for k, v in items:
        yield from leaves(v, (*path, str(k)))


def place_is_right(text, e):
    line = text.replace("\r\n", "\n").split("\n")[e["line"] - 1]
    rest = line[e["column"] - 1:] or " "
    if ": |" in text or ": >" in text:
        return True  # such a text begins on the line below its mark
    return not e["value"] or e["type"] in ("list", "mapping") or rest[0] in "'\"|>" or rest.startswith(str(e["value"])[:1]) or e["type"] in ("bool", "int", "float")


@case
def dialect(top):
    python = next((p for p in (sys.executable, PEERS) if os.path.exists(p) and subprocess.run([p, "-c", "import yaml"], capture_output=True).returncode == 0), None)
    if not python:
        print("skip  PyYAML is not here; values are not compared with it")
        return
    texts = dict(DIALECT)
    zoo = os.path.join(SHARED, "data", "MobileNetV3_config.yaml")
    if os.path.exists(zoo):
        with open(zoo, newline="") as f:
            texts["the zoo's own file"] = f.read()
    for name, text in texts.items():
        path = os.path.join(top, "d", "c.yaml")
        write(path, text)
        code, out, err = run("check", path, "--json")
        mine = [e for e in map(json.loads, out.splitlines()) if e["kind"] == "entry"]
        p = subprocess.run([python, "-c", LOAD], input=text.encode(), capture_output=True)
        theirs = list(leaves(json.loads(p.stdout)))
        ours = [[e["path"], e["value"]] for e in mine]
        types = all(type(a[1]) is type(b[1]) for a, b in zip(ours, theirs))
        check(name, code == 1 and "m.onnx" in err or "mobilenetv3" in err, err)  # only the model is missing
        check("    as PyYAML", len(ours) == len(theirs) and types and all(a == list(b) for a, b in zip(ours, theirs)), [x for x in zip(ours, theirs) if x[0] != list(x[1])])
        check("    places", all(place_is_right(text, e) for e in mine), [e for e in mine if not place_is_right(text, e)])


YAML = f"""model_parameters:
  onnx_model: {os.path.join(ROOT, 'data', 'everyday10.onnx')}
input_parameters:
  input_type_rt: nv12
  input_type_train: rgb
  input_layout_train: NCHW
  input_space_and_range: regular
calibration_parameters:
  cal_data_dir: ./cal
compiler_parameters:
  optimize_level: O3
"""


def cal(top, name, lo, hi):
    for k in range(20):
        write(os.path.join(top, name, f"{k}.bin"), bytes(int((lo + hi) / 2 + (hi - lo) / 2 * math.sin(k + i / 5)) for i in range(64 * 64)) * 3)


def frames(path, lo, hi, n=2, w=64, h=64):
    write(path, (bytes(int((lo + hi) / 2 + (hi - lo) / 2 * math.sin(i / 5)) for i in range(w * h)) + bytes([128]) * (w * h // 2)) * n)
    return path


@case
def verdicts(top):
    folder = os.path.join(top, "v")
    cal(folder, "cal", 0, 255)
    path = os.path.join(folder, "c.yaml")
    write(path, YAML)
    before = sorted(os.listdir(folder))
    code, out, err = run("check", path)
    check("a good file", code == 0 and out.endswith("c.yaml: model, node names and 20 calibration samples are fine\n") and "luma" not in err, (code, out, err))
    check("its values with places", "   4:18   input_parameters.input_type_rt = nv12 (text)\n" in out, out)
    check("nothing is written", sorted(os.listdir(folder)) == before, os.listdir(folder))
    code, out, err = run("check", path, "--json")
    check("--json ends with the verdict", code == 0 and json.loads(out.splitlines()[-1])["samples"] == 20, out)
    write(path, YAML.replace("  optimize_level", "  node_infos: a\n  optimize_level"))
    code, out, err = run("check", path)
    check("a bad key", code == 1 and out == "" and f"{path}:11:3: unknown key 'node_infos'" in err, err)
    write(path, YAML.replace("input_parameters:", "  node_info: {'/none': {InputType: int16}}\ninput_parameters:"))
    code, out, err = run("check", path)
    check("a node that is not there", code == 1 and f"{path}:3:15: int16 node '/none'" in err, err)


@case
def ranges(top):
    folder = os.path.join(top, "r")
    cal(folder, "cal", 0, 255)
    path = os.path.join(folder, "c.yaml")
    full, limited = frames(os.path.join(folder, "full.nv12"), 0, 255), frames(os.path.join(folder, "limited.yuv"), 16, 235)
    edge = frames(os.path.join(folder, "edge.yuv"), 15, 235)
    regular, video = YAML, YAML.replace("range: regular", "range: bt601_video")
    where = "input_space_and_range"
    for text, given, note in [(regular, [limited], "luma .. 2 frames .. 16..234 .. limited .. full"), (regular, [full], None), (regular, [edge], None),
                              (regular, [limited, full], None), (video, [full], "luma .. 2 frames .. 0..254 .. full .. bt601_video (limited)"), (video, [limited], None),
                              (video, [limited, full], "luma .. 4 frames .. 0..254 .. full")]:
        write(path, text)
        code, out, err = run("check", path, "--frames", *given)
        notes = [line for line in err.splitlines() if "luma" in line]
        check(f"{'regular' if text is regular else 'video'}: {' '.join(map(os.path.basename, given))}", code == 0 and (not notes and "luma of" in out if note is None else len(notes) == 1 and says(notes[0], note) and "c.yaml:7:26" in notes[0]), err)
        code, out, err = run("check", "--frames", *given, path, "--json")
        check("    --json", code == 0 and json.loads(out.splitlines()[-1])["agrees"] is (note is None), out)
    big = frames(os.path.join(folder, "big.nv12"), 16, 235, 3, 96, 80)
    code, out, err = run("check", path, "--frames", big)
    check("frames of another size", code == 1 and says(err, f"{big}: {96 * 80 * 3 * 3 // 2} .. 64x64 .. 6144"), err)
    code, out, err = run("check", path, "--frames", big, "--nv12", "96x80")
    check("--nv12", code == 0 and "the luma of 3 frames" in out, err)
    code, out, err = run("check", path, "--frames", os.path.join(folder, "none"))
    check("no such file", code == 1 and "none: cannot open" in err, err)
    write(path, YAML.replace("rt: nv12", "rt: rgb"))
    code, out, err = run("check", path, "--frames", full)
    check("rt is not nv12", code == 1 and f"{path}:4:18: input_type_rt is not nv12" in err, err)
    code, out, err = run("check", os.path.join(ROOT, "data", "everyday10.onnx"), "--frames", full)
    check("--frames of an ONNX file", code == 2, err)
    # Calibration pictures
    cal(folder, "cal", 16, 235)
    write(path, YAML)
    for verb in ("check", "quantize"):
        code, out, err = run(verb, path)
        check(f"{verb}: calibration like limited range", code == 0 and len([x for x in err.splitlines() if says(x, "luma .. calibration .. 16..234 .. limited")]) == 1, err)
    write(path, YAML.replace("rt: nv12", "rt: rgb"))
    code, out, err = run("check", path)
    check("rgb says nothing of it", code == 0 and "luma" not in err, err)


@case
def large(top):
    """Files near the limits: all values are listed, and the work is that of their bytes."""
    folder = os.path.join(top, "l")
    cal(folder, "cal", 0, 255)
    path = os.path.join(folder, "c.yaml")
    many = ", ".join(f"n{i}: 1" for i in range(60000))
    write(path, YAML + f"  input_source: {{{many}}}\n")
    code, out, err = run("check", path)
    check("60,000 values", code == 0 and out.count(" = 1 (int)\n") == 60000, err)
    write(path, "".join(f"k{i}:\n" for i in range(60000)))
    code, out, err = run("check", path)
    check("60,000 keys", code == 1 and says(err, f"{path}:1:1: .. unknown .. 'k0'"), err)
    write(path, "".join(f"k{i}:\n" for i in range(110000)))
    code, out, err = run("check", path)
    check("110,000 keys", code == 1 and says(err, f"{path}:65536:1: .. 65537 .. 65536"), err)
    names = ";".join(["/none:int16"] * 80000)
    write(path, YAML.replace("input_parameters:", f"  set_node_data_type: '{names}'\ninput_parameters:"))
    code, out, err = run("check", path)
    check("80,000 names", code == 1 and says(err, f"{path}:3:23: .. '/none' .. no such"), err[-500:])


sys.exit(run_cases())

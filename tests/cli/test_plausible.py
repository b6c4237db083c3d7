#!/usr/bin/env python3
"""Calibration data and normalizations that are mistakes, by every way into the verbs; and what `run` takes.

test_plausible.c has the kinds of mistakes; here are the ways: .npy, pictures, YAML. The argument is the program. Runs
in the interpreter of KITFOX_PEERS when numpy or Pillow is missing; skips (77) without one.
"""
import json
import os
import sys

from kit import case, check, once, rerun_with_numpy, run, run_cases, says

try:
    import numpy as np
    from PIL import Image
except ImportError:
    rerun_with_numpy()
import tiny_onnx

SIDE, CLASSES = 24, 5
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

YAML = """model_parameters:
  onnx_model: m.onnx
  output_model_file_prefix: net
  working_dir: out
input_parameters:
  input_name: {name}
  input_type_rt: rgb
  input_type_train: rgb
  input_layout_train: NCHW
  norm_type: data_mean_and_scale
  mean_value: {mean}
  scale_value: {scale}
calibration_parameters:
  cal_data_dir: ./{data}
  cal_data_type: uint8
compiler_parameters:
  optimize_level: O3
"""


def pictures(n=8, seed=5):
    """[n,H,W,3], as wide as photos."""
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)


def normalized(x):
    return ((x / 255 - MEAN) / STD).astype(np.float32)


def planes(x):
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)).astype(np.float32)


def save(folder, arrays):
    os.makedirs(folder)
    for i, a in enumerate(arrays):
        np.save(os.path.join(folder, f"{i}.npy"), a)
    return folder


def network(folder, channels, name="m.onnx"):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(tiny_onnx.classifier([1, channels, SIDE, SIDE], channels, CLASSES)[0])
    return path


@case
def npy(top):
    x, model, out = pictures(), network(top, 3), os.path.join(top, "q.kfx")
    for name, a, words in (("pixels", x.astype(np.float64), "look like pixels"),
                           ("twice", normalized(normalized(x)), "normalized twice"),
                           ("other", normalized(255 * normalized(x)), "normalized twice"),
                           ("huge", normalized(x) * 1e30, "0.npy .. value 0"),
                           ("nan", np.where(x == x[3, 1, 2, 0], np.nan, normalized(x)), "is NaN")):
        calib = save(os.path.join(top, name), [p[None] for p in planes(a)])
        code, _, err = run("quantize", model, "--calib", calib, "--preprocess", "timm:mobilenetv3_small_100", "-o", out)
        check(f"{name} are refused", code == 1 and says(err, words) and not os.path.exists(out), (code, err))
    mixed = normalized(x).copy()
    mixed[3] = x[3]
    calib = save(os.path.join(top, "mixed"), [p[None] for p in planes(mixed)])
    code, _, err = run("quantize", model, "--calib", calib, "--preprocess", "timm:mobilenetv3_small_100", "-o", out)
    check("one file of pixels among others is named", code == 1 and says(err, "3.npy: .. look like pixels"), (code, err))
    half = save(os.path.join(top, "half"), [p[None] for p in planes(x / 127.5 - 1)])
    code, _, err = run("quantize", model, "--calib", half, "--preprocess", "timm:mobilenetv3_small_100", "-o", out)
    check("-1..1 gets a note", code == 0 and says(err, "note: .. look like pixel / 127.5 - 1"), (code, err))
    right = save(os.path.join(top, "right"), [p[None] for p in planes(normalized(x))])
    code, text, err = run("quantize", model, "--calib", right, "--preprocess", "timm:mobilenetv3_small_100", "-o", out)
    check("what is right gets no note", code == 0 and "samples" not in err and "95 % interval" in text, (text, err))


@case
def repeated(top):
    model, out = network(top, 3), os.path.join(top, "q.kfx")
    for name, value, words in (("one", pictures(1), "the same"), ("black", pictures(1) * 0, "are black"),
                               ("white", pictures(1) * 0 + 255, "the same")):
        calib = os.path.join(top, name)
        os.mkdir(calib)
        for i in range(6):
            Image.fromarray(value[0]).save(os.path.join(calib, f"{i}.png"))
        code, text, err = run("quantize", model, "--calib", calib, "--preprocess", "timm:mobilenetv3_small_100", "-o",
                              out, "--json")
        row = json.loads(text.splitlines()[-1]) if code == 0 else {}
        check(f"{name}: told", code == 0 and words in err, (code, err))
        check(f"{name}: agreement says nothing", row.get("distinct") == 1 and row["agreement_high"] - row["agreement_low"] > 75, row)


@case
def by_chance(top):
    """Float samples of exactly 0..255 have scale 1 and zero point 0, and are no pixels for it."""
    model, out, y = network(top, 2), os.path.join(top, "q.kfx"), os.path.join(top, "y.npy")
    x = np.random.default_rng(2).uniform(0, 255, (8, 1, 2, SIDE, SIDE)).astype(np.float32)
    x[:, 0, 0, 0, :2] = 0, 255
    calib = save(os.path.join(top, "calib"), x)
    code, _, err = run("quantize", model, "--calib", calib, "-o", out)
    check("quantize", code == 0, err)
    got = json.loads(run("info", out, "--json")[1] or "{}").get("input")
    check("the input stays float32", got and got["dtype"] == "f32", got)
    answers = []
    for m in model, out:
        code, _, err = run("run", m, os.path.join(calib, "3.npy"), "-o", y)
        check(f"run {os.path.basename(m)}", code == 0, err)
        answers.append(np.load(y).ravel() if code == 0 else np.zeros(1))
    far = np.abs(answers[0] - answers[1]).max() / np.abs(answers[0]).max()
    check("8 bits stay near f32", far < 0.05, (far, answers))


@case
def yaml(top):
    model = network(top, 3)
    name = json.loads(run("info", model, "--json")[1])["input"]["name"]
    for folder, x in ("cal", pictures()), ("same", pictures(1).repeat(6, 0)):
        os.mkdir(os.path.join(top, folder))
        for i, a in enumerate(x):
            a.transpose(2, 0, 1).tofile(os.path.join(top, folder, f"{i}.rgb"))
    good = {"mean": "123.675 116.28 103.53", "scale": "0.01712475 0.017507 0.01742919", "data": "cal", "name": name}
    for what, change, status, words in (
            ("right", {}, 0, ""),
            ("std", {"scale": "58.395 57.12 57.375"}, 1, "c.yaml:12:16: .. standard deviation"),
            ("1 / std", {"scale": "4.367 4.464 4.444"}, 1, "c.yaml:12:16: .. 1 / (255 * std)"),
            ("std of 0..1", {"scale": "0.229 0.224 0.225"}, 0, "c.yaml:12:16: .. standard deviation"),
            ("mean of 0..1", {"mean": "0.485 0.456 0.406"}, 0, "c.yaml:11:15: .. 255 times"),
            ("divided twice", {"scale": "6.7e-5 6.9e-5 6.8e-5"}, 0, "c.yaml:12:16: .. divided by 255 twice"),
            ("one picture", {"data": "same"}, 0, "c.yaml:14:17: .. the same"),
            ("another name", {"name": "images"}, 0, f"c.yaml:6:15: .. images .. {name}")):
        with open(os.path.join(top, "c.yaml"), "w", encoding="utf-8") as f:
            f.write(YAML.format(**{**good, **change}))
        code, _, err = run("check", "c.yaml", cwd=top)
        notes = [line for line in err.splitlines() if "fewer than 20" not in line and "optimize_level" not in line]
        check(f"YAML, {what}", code == status and says(err, words) and len(notes) == (words != ""), (code, err))
    with open(os.path.join(top, "c.yaml"), "w", encoding="utf-8") as f:
        f.write(YAML.format(**good).replace("  cal_data_type: uint8", "  preprocess_on: True"))
    code, _, err = run("check", "c.yaml", cwd=top)
    check("YAML, raw files for pictures", code == 1 and says(err, f"holds no pictures .. looks like raw 3x{SIDE}x{SIDE} uint8 .. preprocess_on: False"), (code, err))


@once
def quantized(folder):
    """The same network for RGB and BGR, quantized, and as float32."""
    calib = save(os.path.join(folder, "calib"), pictures())
    for color in "rgb", "bgr":
        f32 = os.path.join(folder, color + ".kfx")
        code, _, err = run("import", network(folder, 3), "-o", f32, "--preprocess", "timm:mobilenetv3_small_100",
                           "--color", color)
        check(f"import {color}", code == 0, err)
        code, _, err = run("quantize", f32, "--calib", calib, "-o", os.path.join(folder, color + "8.kfx"))
        check(f"quantize {color}", code == 0, err)
    return folder


@case
def bytes_and_floats(top):
    """What info asks for is taken in every layout, and all of it means the same picture."""
    x, given, out = pictures(1, 9)[0], os.path.join(top, "x.npy"), os.path.join(top, "y.npy")
    for color in "rgb", "bgr":
        own = np.ascontiguousarray(x[:, :, ::-1]) if color == "bgr" else x
        model, answers = os.path.join(quantized(), color + "8.kfx"), []
        for form in x, own[None], own.transpose(2, 0, 1)[None], planes(normalized(own)[None]):
            np.save(given, np.ascontiguousarray(form))
            code, _, err = run("run", model, given, "-o", out)
            check(f"{color}: {form.dtype} {form.shape}", code == 0 and not err, err)
            answers.append(np.load(out) if code == 0 else None)
        check(f"{color}: one answer", all(a is not None and (a == answers[0]).all() for a in answers), answers)
        code, text, _ = run("info", model)
        check(f"{color}: info says what float32 has to be", code == 0 and says(text, f"(pixel / 255 - mean) / std .. 0.485 .. {color}"), text)


@case
def refused(top):
    x, given, out = pictures(1, 9), os.path.join(top, "x.npy"), os.path.join(top, "y.npy")
    f32 = os.path.join(quantized(), "rgb.kfx")
    np.save(given, x)
    code, _, err = run("run", f32, given, "-o", out)
    check("bytes for a float model: what it takes", code == 1 and says(err, "x.npy .. uint8 .. (pixel / 255 - mean) / std"), err)
    for model in f32, os.path.join(quantized(), "rgb8.kfx"):
        np.save(given, planes(x))
        code, _, err = run("run", model, given, "-o", out)
        check("float32 pixels get a note", code == 0 and says(err, "note: .. look like pixels"), (code, err))


sys.exit(run_cases())

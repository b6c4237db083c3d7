# An ONNX file and a checkpoint of the same network give the same program and the same constants.
# What may differ is "meta": source file, producer, and the ONNX file's own element count.
# Usage: test_import_sources.py KITFOX ROOT. Pairs outside the project are compared where they exist.
import json
import os
import struct
import sys

from kit import ROOT, SHARED, case, check, run, run_cases


def program(folder, path, shape):
    out = os.path.join(folder, "m.kfx")
    code, _, err = run("import", path, "-s", shape, "-o", out)
    assert code == 0, err
    with open(out, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    p = json.loads(json.loads(data[8:8 + n])["__metadata__"]["kitfox.program"])
    del p["meta"]
    return p, data[8 + n:]


def same(folder, stem, shape):
    if not os.path.exists(stem + ".onnx"):
        print("SKIP:", stem, "is not here")
        return
    a, b = (program(folder, stem + suffix, shape) for suffix in (".onnx", ".safetensors"))
    check(os.path.basename(stem), a == b)


@case
def everyday10(folder):
    same(folder, os.path.join(ROOT, "data", "everyday10"), "1x3x64x64")


@case
def small_050(folder):
    same(folder, os.path.join(SHARED, "models", "mobilenetv3_small_050"), "1x3x224x224")


@case
def large_100(folder):
    same(folder, os.path.join(SHARED, "models", "mobilenetv3_large_100"), "1x3x224x224")


sys.exit(run_cases())

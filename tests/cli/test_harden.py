#!/usr/bin/env python3
"""Hard variants of everyday10 (tests/cli/harden.py): the quantizer keeps their function, and does not without its equalization.

Argument: the program. Needs ../shared and the interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy); skips (77) without.
"""
import json
import os
import subprocess
import sys

from kit import KITFOX, PEERS, ROOT, SHARED, case, check, once, peers_have, run_cases

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(SHARED, "data", "everyday10-test")
PLAIN = ["--no-per-channel", "--no-channel-scales", "--no-rounding", "--no-bias-correction", "--no-equalize", "--method", "max"]


def run(*args):
    """Standard output of a command that has to succeed."""
    r = subprocess.run([*args], capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"{args}: {r.stdout}{r.stderr}")
    return r.stdout


def kitfox(*args):
    return json.loads(run(KITFOX, *args, "--json").splitlines()[-1])


def variant(folder, source, kind, pictures):
    """The hard variant as ONNX and as a compiled float model; its function is that of the source unless filters were made dead."""
    hard, single = os.path.join(folder, kind + ".onnx"), os.path.join(folder, kind + ".kfx")
    line = run(PEERS, os.path.join(HERE, "harden.py"), source, hard, kind)
    check(f"{kind}: float function kept ({line.strip()})", kind != "project" or float(line.split("difference ")[1].split()[0]) < 1e-4)
    run(KITFOX, "import", hard, *pictures, "-o", single)
    return single


def agreement(folder, single, lists, *args):
    out = os.path.join(folder, "int8.kfx")
    kitfox("quantize", single, "--calib", DATA, "--calib-list", lists[0], "-o", out, *args)
    row = kitfox("compare", single, out, "--data", DATA, "--list", lists[1])
    return row["agreement"], row["sqnr_db"]


@once
def source(folder):
    """The network as ONNX, lists of calibration and test pictures, options of an import, and what it gives as it is."""
    files = sorted(os.path.relpath(os.path.join(d, f), DATA) for d, _, names in os.walk(DATA) for f in names)
    lists = [os.path.join(folder, n) for n in ("calib.txt", "test.txt")]
    for path, names in zip(lists, (files[::40], files[1::5])):
        with open(path, "w") as f:
            f.write("\n".join(names))
    with open(os.path.join(ROOT, "data", "everyday10.json")) as f:
        info = json.load(f)
    mean, std = (",".join(str(v) for v in info[key]) for key in ("mean", "std"))
    pictures = ["--mean", mean, "--std", std, "--resize", "64"]
    onnx, kfx = os.path.join(folder, "source.onnx"), os.path.join(folder, "source.kfx")
    run(KITFOX, "export", os.path.join(ROOT, "data", "everyday10.safetensors"), "-o", onnx)
    run(KITFOX, "import", onnx, *pictures, "-o", kfx)
    plain = agreement(folder, kfx, lists)
    print("as it is:", plain)
    return onnx, lists, pictures, plain


def equalized(folder, kind):
    onnx, lists, pictures, plain = source()
    single = variant(folder, onnx, kind, pictures)
    good, without = agreement(folder, single, lists), agreement(folder, single, lists, "--no-equalize")
    check(f"{kind}: within a point of the network as it is", good[0] >= plain[0] - 1 and good[1] > plain[1] - 1.5, good)
    check(f"{kind}: not so without equalization", without[0] < plain[0] - 10, without)
    print(f"{kind}: one scale per tensor, no correction:", agreement(folder, single, lists, *PLAIN))


@case
def projections(folder):
    equalized(folder, "project")


@case
def all_layers(folder):
    equalized(folder, "all")


@case
def dead_filters(folder):
    onnx, lists, pictures, plain = source()
    good = agreement(folder, variant(folder, onnx, "dead", pictures), lists)
    check("dead: within a point of the network as it is", good[0] >= plain[0] - 1, good)


if not os.path.isdir(DATA) or not peers_have("onnx", "onnxruntime"):
    print("SKIP: ../shared or the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing")
    sys.exit(77)
sys.exit(run_cases())

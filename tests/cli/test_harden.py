#!/usr/bin/env python3
"""Hard variants of everyday10 (tests/cli/harden.py): the quantizer keeps their function, and does not without its equalization.

Argument: the program. Needs ../shared and the interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy); skips (77) without.
"""
import json
import os
import subprocess
import sys
import tempfile

from kit import KITFOX, PEERS, ROOT, SHARED, check, finish, peers_have

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(SHARED, "data", "everyday10-test")
PLAIN = ["--no-per-channel", "--no-channel-scales", "--no-rounding", "--no-bias-correction", "--no-equalize", "--method", "max"]


def run(*args):
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


def main():
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(os.path.relpath(os.path.join(d, f), DATA) for d, _, names in os.walk(DATA) for f in names)
        lists = [os.path.join(folder, n) for n in ("calib.txt", "test.txt")]
        open(lists[0], "w").write("\n".join(files[::40]))
        open(lists[1], "w").write("\n".join(files[1::5]))
        info = json.load(open(os.path.join(ROOT, "data", "everyday10.json")))
        pictures = ["--mean", ",".join(str(v) for v in info["mean"]), "--std", ",".join(str(v) for v in info["std"]), "--resize", "64"]
        source = os.path.join(folder, "source.onnx")
        run(KITFOX, "export", os.path.join(ROOT, "data", "everyday10.safetensors"), "-o", source)
        run(KITFOX, "import", source, *pictures, "-o", os.path.join(folder, "source.kfx"))
        plain = agreement(folder, os.path.join(folder, "source.kfx"), lists)
        print("as it is:", plain)
        for kind in ("project", "all"):
            single = variant(folder, source, kind, pictures)
            good, without = agreement(folder, single, lists), agreement(folder, single, lists, "--no-equalize")
            check(f"{kind}: within a point of the network as it is", good[0] >= plain[0] - 1 and good[1] > plain[1] - 1.5, good)
            check(f"{kind}: not so without equalization", without[0] < plain[0] - 10, without)
            print(f"{kind}: one scale per tensor, no correction:", agreement(folder, single, lists, *PLAIN))
        good = agreement(folder, variant(folder, source, "dead", pictures), lists)
        check("dead: within a point of the network as it is", good[0] >= plain[0] - 1, good)
    sys.exit(finish())


if not os.path.isdir(DATA) or not peers_have("onnx", "onnxruntime"):
    print("SKIP: ../shared or the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing")
    sys.exit(77)
main()

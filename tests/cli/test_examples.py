#!/usr/bin/env python3
"""The programs of examples/: right answers on the example pictures, statuses 1 and 2 on errors, each under 60 lines.

Arguments: kitfox, a model file, the example programs.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import kit
from kit import check

MODEL = sys.argv[2]
PROGRAMS = {os.path.basename(path): path for path in sys.argv[3:]}
NAMES = ("airplane", "automobile", "frog", "ship", "truck")
PICTURES = [os.path.join(kit.EXAMPLES, name + ".jpg") for name in NAMES]


def run(name, *args, stdin=b""):
    p = subprocess.run([PROGRAMS[name], *args], input=stdin, capture_output=True, timeout=kit.SECONDS)
    return p.returncode, p.stdout.decode().splitlines(), p.stderr.decode()


def classify():
    for name, picture in zip(NAMES, PICTURES):
        code, lines, err = run("classify", MODEL, picture)
        check(f"classify {name}", code == 0 and len(lines) == 3 and lines[0].split()[-1] == name, (lines, err))


def batch():
    for threads in ("1", "2", "64"):
        code, lines, err = run("batch", MODEL, threads, *PICTURES)
        labels = dict(line.split()[:2] for line in lines)
        check(f"batch {threads}", code == 0 and labels == {p + ":": n for n, p in zip(NAMES, PICTURES)}, (lines, err))
    code, lines, err = run("batch", MODEL, "2", PICTURES[0], "missing.jpg", PICTURES[1])
    check("batch goes on after a missing picture", code == 1 and len(lines) == 2 and "missing.jpg" in err, (lines, err))


def stream():
    frames = random.Random(4).randbytes(3 * 64 * 48 * 3 // 2)
    verb = kit.run("stream", MODEL, "--nv12", "64x48", "-k", "1", stdin=frames)[1].splitlines()
    code, lines, err = run("stream", MODEL, "64", "48", stdin=frames)
    mine = [(line.split()[2], line.split()[1]) for line in lines]
    theirs = [json.loads(line)["top"][0] for line in verb]
    same = mine == [(str(t["index"]), f"{t['score']:.4f}") for t in theirs]
    check("stream gives what the verb gives", code == 0 and len(mine) == 3 and same, (lines, verb, err))


def quantize(folder):
    out = os.path.join(folder, "int8.kfx")
    code, lines, err = run("quantize", os.path.join(kit.ROOT, "data", "everyday10.safetensors"), out, *PICTURES)
    check("quantize", code == 0 and lines in (["5 of 5 pictures keep their class"], ["4 of 5 pictures keep their class"]),
          (lines, err))
    info = json.loads(kit.run("info", "--json", out)[1])
    check("its file is quantized", info["quantized"] is True, info)


def errors():
    for name in PROGRAMS:
        code, lines, err = run(name)
        check(f"{name} without arguments", code == 2 and "usage" in err, err)
    for name, *args in (("classify", MODEL, "missing"), ("classify", "missing", "x"), ("batch", "missing", "2", "x"),
                        ("stream", "missing", "64", "48"), ("quantize", "missing", "out.kfx", PICTURES[0])):
        code, lines, err = run(name, *args)
        check(f"{name} {args[0]}", code == 1 and not lines and "missing" in err, (code, err))


classify()
batch()
stream()
with tempfile.TemporaryDirectory() as temporary:
    quantize(temporary)
errors()
for source in sorted(PROGRAMS):
    with open(os.path.join(kit.ROOT, "examples", source + ".c")) as f:
        count = len(f.readlines())
    check(f"{source}.c has {count} lines", count < 60)
sys.exit(kit.finish())

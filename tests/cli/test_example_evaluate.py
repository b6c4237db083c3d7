#!/usr/bin/env python3
"""examples/evaluate.c: the numbers of `kitfox eval` and `kitfox compare`. Arguments: the program, the example, a model."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import kit
from kit import EXAMPLES, ROOT, check, finish

example, model = sys.argv[2:4]
with tempfile.TemporaryDirectory() as folder:
    data, other = os.path.join(folder, "data"), os.path.join(folder, "other.kfx")
    for name in ("airplane", "automobile", "frog", "ship", "truck"):
        os.makedirs(os.path.join(data, name))
        shutil.copy(os.path.join(EXAMPLES, name + ".jpg"), os.path.join(data, name))
    shutil.copy(os.path.join(EXAMPLES, "frog.jpg"), os.path.join(data, "ship", "frog.jpg"))
    code, _, why = kit.run("quantize", os.path.join(ROOT, "data", "everyday10.safetensors"), "--calib", data, "-o", other)
    check("a second model", code == 0, why)
    p = subprocess.run([example, model, data, other], capture_output=True, text=True)
    lines = p.stdout.splitlines()
    check("it runs", p.returncode == 0 and len(lines) == 2, p.stdout + p.stderr)
    e = json.loads(kit.run("eval", model, "--data", data, "--json")[1])
    check("one picture of six is in the wrong folder", e["images"] == 6 and abs(e["top1"] - 500 / 6) < 1e-3, e)
    check("the numbers of eval", lines[0] == f"{e['images']} pictures, {e['skipped']} failed: top-1 {e['top1']:.2f} % "
          f"({e['low']:.2f} to {e['high']:.2f}), top-5 {e['top5']:.2f} %", lines)
    c = json.loads(kit.run("compare", model, other, "--data", data, "--json")[1])
    check("the numbers of compare", lines[1] == f"{round(c['agreement'] * c['images'] / 100)} of {c['images']} answers are the same, "
          f"cosine {c['cosine']:.6f}", lines)
    for args, status in (([], 2), ([model, os.path.join(folder, "none")], 1), ([os.path.join(folder, "none.kfx"), data], 1)):
        p = subprocess.run([example, *args], capture_output=True, text=True)
        check(f"{len(args)} bad arguments", p.returncode == status and p.stderr, p)
with open(os.path.join(ROOT, "examples", "evaluate.c")) as f:
    check("under 60 lines", len(f.readlines()) < 60)
sys.exit(finish())

#!/usr/bin/env python3
"""examples/classify.c: right label on each picture, statuses 1 and 2 on errors. Arguments: the program, a model file."""
import os
import subprocess
import sys

program, model = sys.argv[1:3]
root = os.environ.get("KITFOX_SOURCE", ".")
bad = 0
for name in ("airplane", "automobile", "frog", "ship", "truck"):
    p = subprocess.run([program, model, os.path.join(root, "examples", "pictures", name + ".jpg")], capture_output=True, text=True)
    first = p.stdout.splitlines()[0].split() if p.stdout else []
    ok = p.returncode == 0 and first[-1] == name and len(p.stdout.splitlines()) == 3
    bad += not ok
    print(("ok   " if ok else "FAIL ") + name, p.stdout, p.stderr)
for args, code in (([], 2), ([model, "missing.jpg"], 1), (["missing.kfx", "x"], 1)):
    p = subprocess.run([program, *args], capture_output=True, text=True)
    bad += p.returncode != code or not p.stderr
with open(os.path.join(root, "examples", "classify.c")) as f:
    lines = len(f.readlines())
bad += lines >= 60
print(f"{lines} lines, {bad} failures")
sys.exit(bool(bad))

#!/usr/bin/env python3
"""Size of the runtime library without symbols, all kernels included, against its budget.

Arguments: libkitfox.so, the budget in KiB. The goal is 512; the budget only ever goes down.
"""
import os
import subprocess
import sys
import tempfile

GOAL = 512
lib, budget = sys.argv[1], int(sys.argv[2])
with tempfile.TemporaryDirectory() as folder:
    out = os.path.join(folder, "stripped.so")
    subprocess.run(["strip", "-o", out, lib], check=True)
    kib = os.path.getsize(out) / 1024
print(f"{os.path.basename(lib)}: {kib:.0f} KiB stripped, budget {budget}, goal {GOAL}")
if kib > budget:
    print(f"FAIL  {kib - budget:.0f} KiB over; nm -S --size-sort shows the largest functions")
sys.exit(kib > budget)

#!/usr/bin/env python3
"""Exported symbols are kf_* only, and internal kf__* stay hidden. Arguments: shared libraries."""
import subprocess
import sys

bad = []
for lib in sys.argv[1:]:
    out = subprocess.run(["nm", "-D", "--defined-only", lib], capture_output=True, text=True, check=True).stdout
    names = [line.split()[-1] for line in out.splitlines() if line.strip()]
    bad += [f"{lib}: {n}" for n in names if not n.startswith("kf_") or n.startswith("kf__") or n.startswith("kf_k_")]
    print(f"{lib}: {len(names)} symbols")
print("\n".join(bad))
sys.exit(bool(bad))

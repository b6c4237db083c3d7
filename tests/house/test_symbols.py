#!/usr/bin/env python3
"""Exported symbols are kf_* only, internal kf__* stay hidden, and every declared function exists.

Arguments: shared libraries. KITFOX_SOURCE is the source root.
"""
import os
import re
import subprocess
import sys

bad, defined, declared = [], set(), set()
for lib in sys.argv[1:]:
    out = subprocess.run(["nm", "-D", "--defined-only", lib], capture_output=True, text=True, check=True).stdout
    names = [line.split()[-1] for line in out.splitlines() if line.strip()]
    bad += [f"{lib}: {n}" for n in names if not n.startswith("kf_") or n.startswith("kf__") or n.startswith("kf_k_")]
    defined.update(names)
    print(f"{lib}: {len(names)} symbols")
folder = os.path.join(os.environ.get("KITFOX_SOURCE", "."), "include", "kitfox")
for name in os.listdir(folder):
    with open(os.path.join(folder, name)) as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    declared.update(re.findall(r"KF_API[^;]*?\b(kf_[a-z0-9_]+)\(", text))
bad += [f"declared but not defined: {n}" for n in sorted(declared - defined)]
bad += [f"exported but not declared: {n}" for n in sorted(defined - declared)]
print(f"{len(declared)} public functions")
print("\n".join(bad))
sys.exit(bool(bad))

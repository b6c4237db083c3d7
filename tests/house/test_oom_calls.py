#!/usr/bin/env python3
"""Every public call of every public header is made by a case of the out-of-memory sweep.

KITFOX_SOURCE is the source root."""
import os
import re
import sys

root = os.environ.get("KITFOX_SOURCE", ".")


def text(*path):
    with open(os.path.join(root, *path)) as f:
        return re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)


folder = os.path.join(root, "include", "kitfox")
declared = {name: h for h in sorted(os.listdir(folder)) if h.endswith(".h")
            for name in re.findall(r"\bKF_API\b[^;{]*?\b(kf_\w+)\s*\(", text("include", "kitfox", h))}
made = set()
for name in sorted(os.listdir(os.path.join(root, "tests", "oom"))):
    if name.startswith("sweep_"):
        made |= set(re.findall(r"\b(kf_\w+)\s*\(", text("tests", "oom", name)))
missing = [f"{name} of {declared[name]}" for name in declared if name not in made]
for what in missing:
    print(f"FAIL  {what}: no case in tests/oom/sweep_*.c calls it")
if len(declared) < 90:
    print(f"FAIL  only {len(declared)} calls were found in {folder}")
print(f"{len(declared)} calls, {len(missing)} missing")
sys.exit(bool(missing) or len(declared) < 90)

#!/usr/bin/env python3
"""No vector intrinsic, and no header of them, outside src/kernels/<architecture>: an instruction set is one folder.

Asking the chip what it has (cpuid.h) is for src/cpu. Argument: another root to look at; default: the source.
"""
import os
import re
import sys

ROOT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
HEADER = re.compile(r"#\s*include\s*<(\w*mmintrin|x86intrin|immintrin|arm_\w+)\.h>")
X86 = r"_mm\w*_\w+|__m(128|256|512)\w*|__builtin_ia32_(?!pause)\w+|_tile_\w+"
ARM = r"v\w+q?_[fsu](8|16|32)|(float|u?int)\d+x\d+_t"
CALL = re.compile(rf"\b({X86}|{ARM})\b")
HOMES = ("src/kernels/x86/", "src/kernels/arm/")


def violations(root):
    found, seen = [], 0
    for top in ("include", "src", "programs", "examples"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), root)
                if not name.endswith((".c", ".h", ".def")) or path.startswith(HOMES):
                    continue
                seen += 1
                with open(os.path.join(root, path)) as f:
                    for number, line in enumerate(f, 1):
                        code = re.sub(r"/\*.*?\*/", "", line)
                        if HEADER.search(code) or CALL.search(code):
                            found.append(f"{path}:{number}: {line.strip()}")
    return found, seen


found, seen = violations(ROOT)
print("\n".join(found))
print(f"{seen} files, {len(found)} places with intrinsics outside {' and '.join(HOMES)}")
sys.exit(1 if found or not seen else 0)

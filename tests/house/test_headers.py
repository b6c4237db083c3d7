#!/usr/bin/env python3
"""Every public header compiles alone, as C11 and as C++. Argument: the C compiler. KITFOX_SOURCE is the source root."""
import os
import shutil
import subprocess
import sys

root = os.environ.get("KITFOX_SOURCE", ".")
folder = os.path.join(root, "include", "kitfox")
bad = 0
for name in sorted(os.listdir(folder)):
    text = f'#include "kitfox/{name}"\n'
    for words in (sys.argv[1:] + ["-std=c11", "-x", "c"], ["c++", "-std=c++11", "-x", "c++"]):
        if not shutil.which(words[0]):
            print(f"SKIP {name}: no {words[0]}")
            continue
        p = subprocess.run(words + ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I", os.path.join(root, "include"), "-"], input=text, capture_output=True, text=True)
        print(("ok   " if p.returncode == 0 else "FAIL ") + name + " " + words[0] + p.stderr)
        bad += p.returncode != 0
sys.exit(bool(bad))

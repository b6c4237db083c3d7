#!/usr/bin/env python3
"""Runs a test of the Python package on the tree's own files: run.py TEST.py PROGRAM NATIVE BUILTIN [argument ...].

NATIVE is the extension module of the build, BUILTIN the built-in model; links to both and to python/kitfox make the
package. An installed package is tested by `PYTHON tests/python/TEST.py PROGRAM` with its own interpreter.
"""
import os
import subprocess
import sys
import tempfile

test, program, native, builtin, *rest = sys.argv[1:]
source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python", "kitfox")
with tempfile.TemporaryDirectory() as folder:
    for here, _, names in os.walk(source):
        there = os.path.join(folder, "kitfox", os.path.relpath(here, source))
        os.makedirs(there, exist_ok=True)
        for name in names:
            if name.endswith((".py", ".typed")):
                os.symlink(os.path.join(os.path.abspath(here), name), os.path.join(there, name))
    os.symlink(os.path.abspath(native), os.path.join(folder, "kitfox", "_native.so"))
    os.symlink(os.path.abspath(builtin), os.path.join(folder, "kitfox", "everyday10.kfx"))
    env = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    sys.exit(subprocess.run([sys.executable, test, program, *rest], env=env).returncode)

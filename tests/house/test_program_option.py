#!/usr/bin/env python3
"""The build without the toolchain: -Dprogram=runtime gives kitfox-run, which classifies; -Dprogram=full is refused.

Arguments: the source root, a model file, meson. Builds in a temporary folder.
"""
import os
import subprocess
import sys
import tempfile

ROOT, MODEL, MESON = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3]
failures = 0


def check(what, ok, detail=""):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {detail[-3000:]}"))


def run(*words):
    p = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=1200)
    return p.returncode, p.stdout + p.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        here = os.path.join(folder, "runtime")
        code, text = run(MESON, "setup", os.path.join(folder, "full"), "-Dtoolchain=disabled", "-Dprogram=full")
        check("full without the toolchain", code != 0 and "needs the toolchain" in text, text)
        code, text = run(MESON, "setup", here, "-Dtoolchain=disabled", "-Dprogram=runtime", "-Dtests=false")
        check("setup", code == 0 and "protobuf" not in text and "yaml" not in text, text)
        code, text = run("ninja", "-C", here)
        check("build", code == 0, text)
        picture = os.path.join(ROOT, "examples", "pictures", "frog.jpg")
        code, text = run(os.path.join(here, "programs", "kitfox-run"), "classify", "-k", "1", MODEL, picture)
        check("classify", code == 0 and text.split()[-1] == "frog", text)
        code, text = run(MESON, "install", "-C", here, "--no-rebuild", "--destdir", os.path.join(folder, "to"))
        found = {name for _, _, names in os.walk(os.path.join(folder, "to")) for name in names}
        wanted = {"kitfox-run", "libkitfox.a", "libkitfoximg.a", "kitfox.h", "kitfoximg.pc"}
        check("installed", code == 0 and wanted <= found, text + str(found))
        other = {"compile.h", "graph_types.h", "quantize_types.h", "lab.h", "bench.h", "batch.h", "kitfox", "libkitfoxc.a", "kitfoxc.pc"}
        check("and no more", not found & other, str(found))
    return failures > 0


sys.exit(main())

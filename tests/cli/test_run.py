#!/usr/bin/env python3
"""kitfox-run: its five verbs say what those of kitfox say, and what it lacks is refused by name.

Arguments: kitfox, kitfox-run, a model file.
"""
import os
import re
import subprocess
import sys
import tempfile

import kit
from kit import check

RUN, MODEL = os.path.abspath(sys.argv[2]), sys.argv[3]
PICTURES = [os.path.join(kit.EXAMPLES, name + ".jpg") for name in ("frog", "ship")]


def kitfox_run(*args, stdin=None):
    p = subprocess.run([RUN, *args], input=stdin, capture_output=True, timeout=kit.SECONDS)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def without_times(text):
    return re.sub(r'("ms":|\()\d+\.?\d*(e-\d+)?', r"\1T", text)


def same(*args, stdin=None):
    a, b = kit.run(*args, stdin=stdin), kitfox_run(*args, stdin=stdin)
    check(" ".join(args)[:60], b[0] == 0 and b[1] and without_times(a[1]) == without_times(b[1]), (a, b))


same("classify", "--json", MODEL, *PICTURES)
same("classify", "-k", "2", MODEL, *PICTURES)
same("stream", MODEL, "--nv12", "64x48", stdin=bytes(range(256)) * 36)
same("info", "--nodes", MODEL)
same("info", "--cpus", "--json")
same("verify", "--json", MODEL)
status, out, err = kitfox_run("bench", "--frames", "3", "--json", MODEL)
check("bench", status == 0 and '"median_ms"' in out, (out, err))
with tempfile.TemporaryDirectory() as folder:
    drawn = os.path.join(folder, "drawn.png")
    status, out, err = kitfox_run("classify", "--annotate", drawn, MODEL, PICTURES[0])
    check("--annotate", status != 0 and "cairo" in err or os.path.getsize(drawn) > 1000, (out, err))
for args, words in ((["classify", PICTURES[0]], "no model"), (["verify"], "no model"), (["info", "x.onnx"], "kitfox import"),
                    (["info", "x.safetensors"], "kitfox import"), (["info", "missing.kfx"], "missing.kfx")):
    status, out, err = kitfox_run(*args)
    check(" ".join(args), status == 1 and not out and err.startswith("kitfox-run: ") and words in err, (out, err))
status, out, err = kitfox_run("import", "x.onnx")
check("another verb", status == 2 and "unknown verb" in err and "verify" in err, err)
sys.exit(kit.finish())

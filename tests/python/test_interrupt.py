#!/usr/bin/env python3
"""Ctrl-C in the long calls of the Python package: KeyboardInterrupt within a second or so, and no half-written file.

Usage: test_interrupt.py KITFOX, by a Python that has the package (run.py gives it the tree's own). Prints one line a check.
"""

import os
import subprocess
import sys

from common import EXAMPLES, ROOT, case, check, run_cases

CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")
# The child says when it begins; how long the interrupt took is its own clock's, as others compute beside it.
CHILD = """import os, sys, threading, time, kitfox
data, out, checkpoint = sys.argv[1:4]
m = kitfox.load()
begun = []
def signalled(delay=%f):
    time.sleep(delay)
    begun.append(time.monotonic())
    os.kill(os.getpid(), 2)
threading.Thread(target=signalled, daemon=True).start()
try:
    %s
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - begun[0])
else:
    print("finished")
"""
CALLS = {
    "evaluate": "kitfox.evaluate(m, data)",
    "evaluate, one thread": "kitfox.evaluate(m, data, threads=1)",
    "compare": "kitfox.compare(m, m, data)",
    "quantize": "kitfox.quantize(checkpoint, data, out, limit=0)",
    "quantize with a search": "kitfox.quantize(checkpoint, data, out, limit=40, target_drop=0.01)",
    "bench": "kitfox.bench(m, frames=1000000)",
    "classify": "m.classify([data + '/0/' + n for n in os.listdir(data + '/0')] * 1000)",
    "export": "kitfox.export_onnx(checkpoint, out, runs=1000)",
}


def folder_of_many(top, n):
    for k in range(10):
        os.makedirs(os.path.join(top, "d", str(k)))
    names = sorted(os.listdir(EXAMPLES))
    for i in range(n):
        os.symlink(os.path.join(EXAMPLES, names[i % len(names)]), os.path.join(top, "d", str(i % 10), f"{i}.jpg"))
    return os.path.join(top, "d")


def interrupted(top, call, delay):
    out = os.path.join(top, "out")
    p = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD % (delay, call), os.path.join(top, "d"), out, CHECKPOINT],
        capture_output=True,
        text=True,
        timeout=600,
    )
    left = sorted(n for n in os.listdir(top) if n != "d")
    return p.stdout.split(), p.stderr, left


@case
def ctrl_c(top):
    folder_of_many(top, 4000)
    for name, call in CALLS.items():
        for delay in (0.0, 0.3) if "long" in sys.argv else (0.3,):
            said, err, left = interrupted(top, call, delay)
            check(f"{name}, after {delay} s: KeyboardInterrupt", said[:1] == ["interrupted"] and err == "", (said, err))
            check(f"{name}: nothing is left", left == [], left)
            if said[:1] == ["interrupted"]:
                print(f"      {float(said[1]):.2f} s")
                check(f"{name}: soon", float(said[1]) < 20, said)  # a machine where others compute


@case
def ctrl_c_in_a_download(top):
    code = """import os, sys, threading, time, kitfox
sys.path.insert(0, sys.argv[2])
import http_server as hs
os.environ["no_proxy"] = "*"
server = hs.Server()
base = "/timm/mobilenetv3_small_050.lamb_in1k/resolve/main/"
server.answers = {base + "config.json": [hs.good(b'{"architecture": "mobilenetv3_small_050"}')],
                  base + "model.safetensors": [hs.dripping(bytes(100000), 0.01, ETag='"v1"')]}
if sys.argv[3] == "python":
    from kitfox import _lab
    class NoCurl:
        def __getattr__(self, name):
            return getattr(real, name) if name != "kf_pull" else lambda *_: real.KF_ERR_UNSUPPORTED
    real, _lab.lib = _lab.lib, NoCurl()
threading.Timer(0.5, lambda: os.kill(os.getpid(), 2)).start()
try:
    kitfox.pull("mobilenetv3_small_050", mirror=server.url, output=sys.argv[1] + "/")
except KeyboardInterrupt:
    print("interrupted")
"""
    for client in ("libcurl", "python"):
        folder = os.path.join(top, client)
        p = subprocess.run(
            [sys.executable, "-c", code, folder, os.path.join(ROOT, "tests", "cli"), client],
            capture_output=True,
            text=True,
            timeout=120,
        )
        check(
            f"{client}: KeyboardInterrupt, and nothing is left",
            p.stdout == "interrupted\n" and p.stderr == "" and (not os.path.isdir(folder) or os.listdir(folder) == []),
            (p.stdout, p.stderr, os.path.isdir(folder) and os.listdir(folder)),
        )


sys.exit(run_cases())

#!/usr/bin/env python3
"""The peer benchmark end to end: two rounds of the built-in model against the peers, a peer that breaks, wrong usage.

Argument: the program. Needs the interpreter that KITFOX_PEERS names (numpy, onnx, pillow, onnxruntime); skips (77) without.
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE", "."))
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
PEERS = os.environ.get("KITFOX_PEERS") or os.path.join(CACHE, "kitfox", "peers", "bin", "python")
MODEL = os.path.join(ROOT, "data", "everyday10.onnx")
PICTURES = os.path.join(ROOT, "tests", "data", "pictures")
ROW = re.compile(r"^\| (.+?) \| ([0-9.]+) \| ([0-9.]+) \| (-|[0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \| (-|[0-9.]+) \|$", re.M)
if not os.path.exists(PEERS) or subprocess.run([PEERS, "-c", "import numpy, onnx, PIL, onnxruntime"], capture_output=True).returncode:
    print("SKIP: the interpreter of KITFOX_PEERS with numpy, onnx, pillow and onnxruntime is missing")
    sys.exit(77)
failed = []


def check(good, what):
    print(("ok    " if good else "FAIL  ") + what)
    if not good:
        failed.append(what)


def bench(*arguments, path=None):
    env = dict(os.environ, KITFOX_PEERS=PEERS, KITFOX=os.path.abspath(sys.argv[1]))
    if path:
        env["PYTHONPATH"] = path
    return subprocess.run([os.path.join(ROOT, "bench", "run.sh"), *arguments], capture_output=True, text=True, env=env)


def tables(text):
    """Heading -> engine -> columns as numbers (None for a dash)."""
    parts = re.split(r"^### (.*)$", text, flags=re.M)[1:]
    return {h: {r[0]: [None if c == "-" else float(c) for c in r[1:]] for r in ROW.findall(t)} for h, t in zip(parts[::2], parts[1::2])}


def whole_run(folder):
    broken, out = os.path.join(folder, "broken"), os.path.join(folder, "report.md")
    os.mkdir(broken)
    with open(os.path.join(broken, "ncnn.py"), "w") as f:
        f.write("raise RuntimeError('broken on purpose')\n")
    p = bench(MODEL, "--photos", PICTURES, "--limit", "8", "--rounds", "2", "--frames", "5", "--threads", "1", "--peers",
              "ort,openvino,mnn,ncnn", "--output", out, path=broken)
    check(p.returncode == 0, "two rounds end well" + p.stderr[-600:] * (p.returncode != 0))
    with open(out) as f:
        check(f.read() == p.stdout, "standard output is the report")
    found = tables(p.stdout)
    rows = found.get("fp32, 1 thread", {})
    check({"KitFox", "ONNX Runtime"} <= set(rows) and "ncnn" not in rows, "fp32 has the engines and not the broken one: %s" % sorted(rows))
    for name, (median, p90, ratio, rss, start, same) in rows.items():
        check(0 < median <= p90 and rss > 1 and start > 0 and ratio > 0, "%s: the figures are possible" % name)
        check(same == 100, "%s: top-1 as ours" % name)
    check(rows.get("KitFox", [0] * 6)[2] == 1, "the ratio of ours to ours is 1")
    check({"KitFox", "ONNX Runtime"} <= set(found.get("int8, 1 thread", {})), "KitFox and ONNX Runtime quantize")
    check("broken on purpose" in p.stdout, "a peer that breaks is a line")
    kitfox_rss = rows.get("KitFox", [0] * 6)[3]
    alone = subprocess.run([sys.argv[1], "bench", MODEL, "--frames", "5"], capture_output=True, text=True).stdout
    alone = float(re.search(r"peak RSS +([0-9.]+)", alone).group(1))
    check(abs(kitfox_rss - alone) < 0.25 * alone + 2, "the driver's memory is not counted: %.1f, alone %.1f MiB" % (kitfox_rss, alone))


def wrong_usage(folder):
    p = bench(MODEL, "--peers", "nobody")
    check(p.returncode == 2 and "unknown nobody" in p.stderr, "an unknown peer is refused")
    p = bench(MODEL, "--rounds", "0")
    check(p.returncode == 2, "no rounds are refused")
    p = bench(MODEL, "--photos", folder)
    check(p.returncode == 1 and "no two pictures" in p.stderr and "Traceback" not in p.stderr, "a folder without pictures is named")
    p = bench(os.path.join(folder, "absent.onnx"))
    check(p.returncode == 1 and "absent.onnx" in p.stderr, "an absent model is named")


with tempfile.TemporaryDirectory() as place:
    empty = os.path.join(place, "empty")
    os.mkdir(empty)
    whole_run(place)
    wrong_usage(empty)
sys.exit(bool(failed))

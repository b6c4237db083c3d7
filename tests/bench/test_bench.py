#!/usr/bin/env python3
"""The peer benchmark end to end: two rounds of the built-in model against the peers, a peer that breaks, wrong usage.

Arguments: the program, machine_limit (built beside it, where the driver looks). Needs the interpreter that KITFOX_PEERS names (numpy, onnx,
pillow, onnxruntime); skips (77) without. LiteRT takes part where its converter is installed already.
"""
import json
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
ROW = re.compile(r"^\| (.+?) \| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \| (-|[0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \| (-|[0-9.]+) \|(?: ([a-z][^|]*) \|)?$", re.M)
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
    return {h: {r[0]: [None if c == "-" else float(c) for c in r[1:8]] + [r[8]] for r in ROW.findall(t)} for h, t in zip(parts[::2], parts[1::2])}


def whole_run(folder):
    broken, out = os.path.join(folder, "broken"), os.path.join(folder, "report.md")
    os.mkdir(broken)
    with open(os.path.join(broken, "ncnn.py"), "w") as f:
        f.write("raise RuntimeError('broken on purpose')\n")
    p = bench(MODEL, "--photos", PICTURES, "--limit", "8", "--rounds", "2", "--frames", "5", "--threads", "1", "--peers",
              "ort,openvino,mnn,litert,ncnn", "--output", out, path=broken)
    check(p.returncode == 0, "two rounds end well" + p.stderr[-600:] * (p.returncode != 0))
    with open(out) as f:
        check(f.read() == p.stdout, "standard output is the report")
    found = tables(p.stdout)
    rows = found.get("fp32, 1 thread", {})
    check({"KitFox", "ONNX Runtime"} <= set(rows) and "ncnn" not in rows, "fp32 has the engines and not the broken one: %s" % sorted(rows))
    for name, (median, best, p90, ratio, rss, start, same, _) in rows.items():
        check(0 < best <= median <= p90 and rss > 1 and start > 0 and ratio > 0, "%s: the figures are possible" % name)
        check(same == 100, "%s: top-1 as ours" % name)
    check(rows.get("KitFox", [0] * 8)[3] == 1, "the ratio of ours to ours is 1")
    check({"KitFox", "KitFox, u8 pixels", "ONNX Runtime"} <= set(found.get("int8, 1 thread", {})), "KitFox and ONNX Runtime quantize")
    own_figures(p.stdout)
    check("broken on purpose" in p.stdout, "a peer that breaks is a line")
    kitfox_rss = rows.get("KitFox", [0] * 8)[4]
    compiled = os.path.join(folder, "alone.kfx")
    subprocess.run([sys.argv[1], "import", MODEL, "-o", compiled], capture_output=True)
    shell = '"$0" bench "$1" --frames 5; exit $?'  # a shell that forks: this interpreter's own peak would be inherited
    alone = subprocess.run(["sh", "-c", shell, sys.argv[1], compiled], capture_output=True, text=True).stdout
    alone = float(re.search(r"peak RSS +([0-9.]+)", alone).group(1))
    check(abs(kitfox_rss - alone) < 0.25 * alone + 2, "the driver's memory is not counted: %.1f, alone %.1f MiB" % (kitfox_rss, alone))


def own_figures(text):
    """The tables of KitFox's own steps: their multiply-adds are the model's, no step beats the limit."""
    macs = json.loads(subprocess.run([sys.argv[1], "info", MODEL, "--json"], capture_output=True, text=True).stdout.splitlines()[0])["macs"] / 1e6
    for kind in ("fp32", "int8"):
        part = text.split("### KitFox, %s: its steps, 1 thread" % kind)[-1].split("###")[0]
        last = re.search(r"^\| all \| \| \| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+|-) \|", part, re.M)
        check(last and abs(float(last[1]) - macs) < 1e-3 and float(last[2]) > 0, "%s: the steps are the whole model" % kind)
        check("multiply-adds a nanosecond" in part, "%s: the limit was measured" % kind)
        check("| 1 |" in text.split("### KitFox, %s: sessions" % kind)[-1].split("###")[0], "%s: sessions are timed" % kind)


def restricted(folder):
    p = bench(MODEL, "--isa", "avx2", "--kinds", "fp32", "--rounds", "1", "--frames", "3", "--threads", "1", "--peers", "ort,openvino", "--output",
              os.path.join(folder, "avx2.md"))
    rows = tables(p.stdout).get("fp32, 1 thread, at most AVX2", {})
    usable = subprocess.run([sys.argv[1], "bench", "--frames", "1", "--json"], capture_output=True, text=True, env=dict(os.environ, KITFOX_CPU="avx2")).stdout
    word = "yes" if json.loads(usable)["isa"] == "avx2" else "asked to"
    check(p.returncode == 0 and rows.get("KitFox", [""])[-1].startswith(word), "KitFox keeps to AVX2" + p.stderr[-600:] * (p.returncode != 0))
    check(rows.get("ONNX Runtime", [""])[-1].startswith("no: "), "ONNX Runtime cannot, and the report says so")
    if "OpenVINO" in rows and word == "yes":
        check(rows["OpenVINO"][-1] == "yes", "OpenVINO's primitives keep to AVX2")


def wrong_usage(folder):
    p = bench(MODEL, "--peers", "nobody")
    check(p.returncode == 2 and "unknown nobody" in p.stderr, "an unknown peer is refused")
    p = bench(MODEL, "--isa", "avx3")
    check(p.returncode == 2 and "unknown avx3" in p.stderr, "an unknown instruction set is refused")
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
    restricted(place)
    check(subprocess.run([PEERS, os.path.join(ROOT, "tests", "bench", "respelled.py"), os.path.join(ROOT, "bench")]).returncode == 0, "networks are respelled")
    wrong_usage(empty)
sys.exit(bool(failed))

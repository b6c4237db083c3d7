#!/usr/bin/env python3
"""kitfox bench: the form of its lines, and that their numbers are possible and agree with each other. No time is judged.

Called by meson with the program's path; KITFOX_SOURCE is the source root. Prints one line a check.
"""
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import tiny_onnx
from kit import EXAMPLES, KITFOX, ROOT, case, check, levels, only_error, run, run_cases

SANITIZED = "sanitized" in sys.argv
CLASSES = {"airplane": 0, "automobile": 1, "frog": 6, "ship": 8, "truck": 9}


def near(a, b, relative=1e-4):
    return abs(a - b) <= relative * abs(b)


@case
def latency():
    rc, out, err = run("bench", "--threads", "1,2", "-n", "20", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    check("one JSON line a thread count", rc == 0 and [r["threads"] for r in rows] == [1, 2], out + err)
    for r in rows:
        keys = ["kind", "model", "threads", "mode", "median_ms", "p90_ms", "fps", "rss_mib", "isa", "core", "governor", "mhz"]
        check("keys of the contract", list(r) == keys and r["mode"] == "latency" and r["core"], r)
        check("median, p90 and FPS agree", 0 < r["median_ms"] <= r["p90_ms"] and near(r["fps"], 1000 / r["median_ms"]) and r["rss_mib"] > 1, r)
    rc, out, err = run("bench", "-n", "5", "--profile")
    steps = re.findall(r"^ *(\d+)  (\w+) .*?([0-9.]+) ms .* GMAC/s", out, re.M)
    check("a profile has a line a step", rc == 0 and [int(i) for i, _, _ in steps] == list(range(len(steps))) and len(steps) > 20, out + err)
    rc, out, err = run("bench", "-n", "5", "--profile", "--json")
    row, nodes = json.loads(out or "{}"), json.loads(run("info", "--json")[1].splitlines()[0])
    check("a profile in JSON has the same steps", rc == 0 and [s["op"] for s in row["steps"]] == [op for _, op, _ in steps], out + err)
    left = [s["kernel"] for s in row["steps"] if s["kernel"].endswith("_scalar")]
    check("no step is left to scalar code", row["isa"] == "scalar" or not left, left)
    check("their multiply-adds are the model's", sum(s["macs"] for s in row["steps"]) == nodes["macs"], (row, nodes))
    check("their times are possible", all(s["ms"] > 0 and s["kernel"] and len(s["shape"]) == 4 for s in row["steps"]) and
          sum(s["ms"] for s in row["steps"]) <= row["p90_ms"] * 1.001 + 1e-3, row)


@case
def sessions():
    rc, out, err = run("bench", "--sessions", "1,2,3", "-n", "31", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    check("one line a number of sessions", rc == 0 and [r["sessions"] for r in rows] == [1, 2, 3], out + err)
    for r in rows:
        check("throughput of %d sessions is possible" % r["sessions"],
              r["mode"] == "throughput" and 0 < r["median_ms"] <= r["p90_ms"] and r["fps"] > 0 and r["scaling"] > 0, r)
    check("one session scales as itself", near(rows[0]["scaling"], 1), rows[0])
    rc, out, err = run("bench", "--sessions", "2", "-n", "9")
    check("scaling is printed", rc == 0 and re.search(r"sessions  2 .* FPS  scaling \d+\.\d\d", out), out + err)


@case
def rdk():
    rc, out, err = run("bench", "--rdk", "--threads", "1,3", "-n", "450")
    block = re.compile(r"Running condition:\n  Thread number is: (\d+)\n  Frame count   is: (\d+)\n  Program run time: ([0-9.]+) ms\nPerf result:\n"
                       r"  Frame totally latency is: ([0-9.]+) ms\n  Average    latency    is: ([0-9.]+) ms\n  Frame      rate       is: ([0-9.]+) FPS\n")
    progress = re.compile(r"^Frame count: (\d+),  Thread Average: ([0-9.]+) ms,  thread max latency: ([0-9.]+) ms,  thread min latency: ([0-9.]+) ms,  FPS: ([0-9.]+)$", re.M)
    blocks, lines = block.findall(out), progress.findall(out)
    check("a block a thread count", rc == 0 and [b[0] for b in blocks] == ["1", "3"] and all(b[1] == "450" for b in blocks), out + err)
    check("a line every 200 frames and at the end", [p[0] for p in lines] == ["200", "400", "450"] * 2, lines)
    for b, last in zip(blocks, (lines[2], lines[5])):
        threads, frames, wall, total, average, rate = map(float, b)
        check("total, average and rate agree", near(average, total / frames) and near(rate, frames * 1000 / wall), b)
        check("threads fit into the run time", total <= threads * wall * 1.001 and wall * 1.001 >= average, b)
        check("the last line says the same", near(float(last[1]), average) and near(float(last[4]), rate) and float(last[3]) <= average <= float(last[2]), last)
    one = list(map(float, blocks[0]))
    check("one thread: frames follow each other", one[3] <= one[2] * 1.001 and one[5] <= 1000 / one[4] * 1.001, one)
    rc, out, err = run("bench", "--rdk")
    check("200 frames are the default", rc == 0 and "Frame count   is: 200" in out, out + err)
    # what the zoo's scripts look for
    check("lines that scripts search", "Average    latency    is: " in out and "Frame      rate       is: " in out, out)


@case
def table(folder):
    data = os.path.join(folder, "data")
    os.mkdir(data)
    with open(os.path.join(data, "labels.csv"), "w") as f:
        for i, name in enumerate(sorted(CLASSES)):
            os.symlink(os.path.join(EXAMPLES, name + ".jpg"), os.path.join(data, name + ".jpg"))
            f.write("%s.jpg,%d\n" % (name, CLASSES[name] if i else 2))  # the first label is wrong: 80 % at most
    rc, out, err = run("bench", "--table", "-n", "8", "--threads", "2", "--json")
    row = json.loads(out)
    check("a row without data has no accuracies", rc == 0 and row["float_top1"] is None and row["quantized_top1"] is None and row["threads"] == 2, out + err)
    info = json.loads(run("info", "--json")[1].splitlines()[0])
    check("size, classes and parameters are the model's", row["size"] == [64, 64] and row["classes"] == 10 and row["stored"] == info["stored"], row)
    rc, text, err = run("bench", "--table", "-n", "8", "--threads", "2", "--data", data)
    want = json.loads(run("eval", "--data", data, "--json")[1])["top1"]
    cells = [c.strip() for c in text.splitlines()[-1].strip("|").split("|")]
    check("a Markdown table of nine columns", rc == 0 and len(text.splitlines()) == 3 and all(line.count("|") == 10 for line in text.splitlines()), text + err)
    check("float accuracy is that of eval", cells[4] == "%.2f %%" % want and cells[5] == "-" and 0 <= want <= 80, text)
    check("times are numbers above 0", all(float(cells[i].split()[0]) > 0 for i in (6, 7, 8)), text)
    check("two threads give at most twice what their latency says", 0 < row["fps"] <= 2 * 1000 / row["ms_many"] * 1.001, row)
    small, onnx = os.path.join(folder, "int8.kfx"), os.path.join(ROOT, "data", "everyday10.onnx")
    rc, out, err = run("quantize", onnx, "--calib", EXAMPLES, "-o", small)
    check("quantize", rc == 0, err)
    counts = [[json.loads(run("info", m, "--json")[1].splitlines()[0])[k] for k in ("parameters", "stored", "macs")]
              for m in (onnx, small)]
    check("quantizing changes no count", counts[0] == counts[1] and counts[0][0] == 1528106, counts)
    rc, out, err = run("bench", "--table", small, "-n", "8", "--threads", "1", "--data", data, "--float", onnx, "--json")
    row = json.loads(out or "{}")
    accuracy = [json.loads(run("eval", m, "--data", data, "--json")[1])["top1"] for m in (small, onnx)]
    check("both accuracies are those of eval", rc == 0 and [row.get("quantized_top1"), row.get("float_top1")] == accuracy, out + err + str(accuracy))
    rc, out, err = run("bench", "--table", small, "--data", data, "--float", small, "-n", "2")
    check("a quantized --float is refused", rc == 1 and "int8.kfx" in err and "quantized" in err, out + err)
    pairs = [run("bench", small, "everyday10", "--json", "-n", "9", env={"KITFOX_CPU": cpu} if cpu else None)
             for cpu in ("", *levels())]
    for rc, out, err in pairs:
        quantized, real = [json.loads(line)["median_ms"] for line in out.splitlines()]
        check("a note where the quantized model is slower, and only there", rc == 0 and ("slower" in err) == (quantized > real), out + err)
    for cpu in ("", "scalar"):
        rc, out, err = run("quantize", onnx, "--calib", EXAMPLES, "-o", small, "--json", env={"KITFOX_CPU": cpu} if cpu else None)
        last = json.loads(out.splitlines()[-1])
        check(f"quantize times both forms, level {cpu or 'default'}", rc == 0 and 0 < last["ms"] < 1000 and 0 < last["float_ms"] < 1000, out[-400:] + err)
        check("it says so where the quantized model is slower, and only there", ("slower" in err) == (last["ms"] > last["float_ms"]), out[-400:] + err)


@functools.lru_cache(maxsize=None)
def large():
    """A network of one layer over pictures of 2048 pixels a side: 50 MB of input."""
    g = tiny_onnx.Graph([1, 3, 2048, 2048])
    g.conv(3, 3), g.add("Relu")
    return g.bytes([1, 3, 1024, 1024])


def peaks(*models, before=()):
    p = subprocess.run([*before, KITFOX, "bench", "-n", "1", "--json", *models], capture_output=True, timeout=300)
    return [json.loads(line)["rss_mib"] for line in p.stdout.splitlines()], p.stderr.decode()


@case
def memory(folder):
    path = os.path.join(folder, "large.onnx")
    with open(path, "wb") as f:
        f.write(large())
    (alone,), err = peaks("everyday10")
    both, more = peaks(path, "everyday10")
    check("the first model takes more", len(both) == 2 and both[0] > alone + 60, (alone, both, err + more))
    if SANITIZED:
        print("skip  peaks of the second model: a sanitizer keeps what was freed")
        return
    check("the second one's peak is its own", abs(both[1] - alone) < 0.25 * alone + 4, (alone, both))
    locked = ["unshare", "--mount", "sh", "-c", "mount --bind -o ro /proc /proc && exec \"$@\"", "sh"]
    if not shutil.which("unshare") or subprocess.run([*locked, "true"], capture_output=True).returncode:
        print("skip  a system that keeps the peak: no mount namespace here")
        return
    both, err = peaks(path, "everyday10", before=locked)
    check("no figure where the peak cannot be reset", len(both) == 2 and both[0] > alone + 60 and both[1] is None, (both, err))
    p = subprocess.run([*locked, KITFOX, "bench", "-n", "1", "everyday10", "everyday10"], capture_output=True, text=True)
    check("in words", "peak RSS not measured" in p.stdout.splitlines()[1] and "MiB" in p.stdout.splitlines()[0], p.stdout + p.stderr)


@case
def interrupted(folder):
    path = os.path.join(folder, "large.onnx")
    with open(path, "wb") as f:
        f.write(large())
    p = subprocess.Popen([KITFOX, "bench", "-n", "1000", "everyday10", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = p.stdout.readline()
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=120)
    check("Ctrl-C keeps what was measured and ends", b"everyday10 " in first and out == b"" and p.returncode == -signal.SIGINT,
          (first, out, err, p.returncode))


@case
def usage():
    for args in (["--rdk", "--table"], ["--sessions", "2", "--rdk"], ["--rdk", "--json"], ["--data", "x"], ["--table", "--float", "a.onnx"], ["--sessions", "0"], ["--sessions", "65"],
                 ["--sessions", "1,x"], ["--sessions", ",".join("1" * 17)]):
        rc, out, err = run("bench", *args)
        check("wrong usage: " + " ".join(args)[:40], rc == 2 and (only_error(out) if "--json" in args else out == "") and err, (rc, out, err))
    rc, out, err = run("bench", "--table", "--data", "/nowhere", "-n", "2")
    check("data that is not there", rc == 1 and "/nowhere" in err and out == "", out + err)


sys.exit(run_cases())

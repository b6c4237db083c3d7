#!/usr/bin/env python3
"""The harness' own arithmetic, without peers: statistics and tables of report.py, readers and environment of engines.py, on made-up turns.

Every number expected is worked out by hand beside it.
"""
import os
import re
import struct
import sys
import tempfile

ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE", "."))
sys.path.insert(0, os.path.join(ROOT, "bench"))
sys.dont_write_bytecode = True
import engines  # noqa: E402
import report  # noqa: E402
from peers import ORDER  # noqa: E402

failed = []


def check(what, got, want):
    print(("ok    " if got == want else "FAIL  ") + what + ("" if got == want else ": %r, not %r" % (got, want)))
    if got != want:
        failed.append(what)


class Engine:
    def __init__(self, title, restrict=None, unrestricted=""):
        self.title, self.restrict, self.unrestricted, self.versions = title, restrict or {}, unrestricted, "1.0"


ENGINES = {"kitfox": Engine("KitFox", {"avx2": {}}), "a": Engine("A", {"avx2": {}}), "b": Engine("B", None, "no way")}


def turns(medians, isa=""):
    return [{"median_ms": m, "p90_ms": m + 1, "rss_mib": 10 * m, "start_ms": 100 * m, "isa": isa} for m in medians]


def cells(lines):
    return [[c.strip() for c in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def statistics():
    ours, peer = turns([1, 2, 10]), turns([2, 2, 10])
    check("the median of an even number of rounds", report.middle(turns([1, 4, 2, 3]), "median_ms"), 2.5)
    check("a ratio is the median of the rounds' ratios, 2 1 1, not the ratio of medians", report.ratio(turns([2, 2, 10]), ours), 1)
    check("a slow round of both leaves it alone", report.ratio(turns([2, 4, 20]), ours), 2)
    check("without ours there is none", report.ratio(peer, None), None)
    rows = cells(report.table(("fp32", "native", 1), {"a": peer, "kitfox": turns([1, 1, 4])}, {"kitfox": 100.0}, ENGINES))
    check("engines by their medians, agreement where there is one", rows[1:],
          [["KitFox", "1.000", "1.000", "2.000", "1.00", "10.0", "100.0", "100.0"], ["A", "2.000", "2.000", "3.000", "2.00", "20.0", "200.0", "-"]])
    text = report.table(("int8", "native", 2), {"a": turns([3]), "b": turns([2]), "kitfox": turns([4])}, {}, ENGINES)
    check("a peer faster than ours is said to be", text[-2], "Fastest peer: B, 0.50 times KitFox's time.")
    check("threads in the heading", text[0], "### int8, 2 threads")
    check("no turns, no table", report.table(("fp32", "native", 1), {}, {}, ENGINES), ["### fp32, 1 thread", "", "No engine ran.", ""])


def restriction():
    found = {"a": turns([3], "avx2"), "b": turns([2]), "kitfox": turns([1], "avx2")}
    text = report.table(("fp32", "avx2", 1), found, {}, ENGINES)
    check("what each does under a restriction", {r[0]: r[-1] for r in cells(text)[1:]}, {"KitFox": "yes", "A": "yes", "B": "no: no way"})
    check("the fastest that keeps to it", text[-2], "Fastest peer that keeps to AVX2: A, 3.00 times KitFox's time.")
    found["a"] = turns([3], "avx512")
    check("an engine that does not obey shows", report.restricted(ENGINES["a"], found["a"], "avx2"), "asked to, runs avx512")
    check("one that says nothing is not believed", report.restricted(ENGINES["a"], turns([3]), "avx2"), "asked to")
    check("and is not the fastest", report.fastest({"a": turns([3]), "kitfox": turns([1])}, ENGINES, "avx2"), [])


def own_figures():
    def step(kernel, macs, ms):
        return {"node": "n", "kernel": kernel, "shape": [1, 7, 8, 16], "macs": macs, "ms": ms}
    limit = {"isa": "x", "f32": 50.0, "u8": 200.0, "i16": 100.0}
    # 1e6 multiply-adds at 50, 200 and 100 a ns are 0.02, 0.005 and 0.01 ms
    for kernel, least in (("gemm_f32_avx512", 0.02), ("dwconv_u8_avx2", 0.005), ("gemm_i16_scalar", 0.01), ("affine_q_avx512", None)):
        check("the limit of " + kernel, report.limit_of(step(kernel, 1000000, 1), limit), least)
    check("no multiply-adds, no limit", report.limit_of(step("gemm_f32_avx512", 0, 1), limit), None)
    listed = [step("gemm_f32_avx512", 1000000, 0.04), step("scale_f32_avx512", 0, 0.01)]
    rows = cells(report.steps({"steps": listed, "limit": limit}))
    check("a step at half of the limit", rows[1], ["0 n", "gemm_f32_avx512", "7x8x16", "1.000", "0.0400", "0.0200", "50 %"])
    check("the sum has the steps without a limit in its time", rows[-1], ["all", "", "", "1.000", "0.0500", "0.0200", "40 %"])
    check("without a limit", [r[-2:] for r in cells(report.steps({"steps": listed, "limit": {}}))[1:]], [["-", "-"]] * 3)
    rounds = [[{"sessions": 2, "fps": f, "scaling": f / 100, "median_ms": 1.5} for f in (180, 200, 190)]]
    check("sessions by the median of the rounds", cells(report.sessions(rounds))[1], ["2", "190", "1.90", "1.500"])


def whole_report():
    class Options:
        rounds, frames = 1, 5
    result = {"model": "m.onnx", "tables": [("fp32", "native", 1, {"kitfox": turns([1])}, {"kitfox": 100.0})], "own": {"fp32": {}}, "weights": "random",
              "notes": {("a", "fp32"): "left out: x|y"}, "judged": 3, "calibrated": 4, "idle": (30, 100), "photos": False, "spelling": ""}
    text = report.write([result], ENGINES, Options, "cpu", 2)
    check("random weights are said to be", "Weights: random." in text, True)
    check("a note cannot break its table", "| A | fp32 | left out: x/y |" in text, True)
    check("one round is one", "1 round of 5 frames" in text, True)
    found = [cells(part.splitlines()) for part in re.split(r"\n\n", text)]
    check("every row of a table has as many cells as its head", [len(set(map(len, t))) for t in found if t], [1, 1])


def readers():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.npy")
        for version, form in ((1, "<H"), (2, "<I")):
            head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3)}".ljust(70)
            with open(path, "wb") as f:
                f.write(b"\x93NUMPY" + bytes([version, 0]) + struct.pack(form, len(head)) + head + struct.pack("<3f", -1, 7, 3))
            check("the largest of a .npy file, version %d" % version, engines.argmax_npy(path), 1)
    os.environ.update(KITFOX_CPU="scalar", OMP_NUM_THREADS="7", ONEDNN_MAX_CPU_ISA="SSE41")
    shell = ["sh", "-c", "echo ${KITFOX_CPU:-none} ${OMP_NUM_THREADS:-none} ${ONEDNN_MAX_CPU_ISA:-none}"]
    check("what the caller's environment asks of engines is not taken over", engines.pinned(shell, None)[0], "none none none\n")
    check("what the benchmark asks is", engines.pinned(shell, None, {"KITFOX_CPU": "avx2"})[0], "avx2 none none\n")
    try:
        engines.pinned(["sh", "-c", "echo why >&2; exit 3"], None)
        check("a failing engine raises", False, True)
    except engines.Failed as e:
        check("a failing engine says why", str(e), "status 3: why")


def peers():
    for name in ORDER:
        one = engines.Peer("python3", name)
        check("%s says how it is restricted, or why not" % name, bool(one.restrict) != bool(one.unrestricted), True)
    check("ours can be", engines.Kitfox("kitfox").restrict["avx2"], {"KITFOX_CPU": "avx2"})


for part in (statistics, restriction, own_figures, whole_report, readers, peers):
    part()
sys.exit(bool(failed))

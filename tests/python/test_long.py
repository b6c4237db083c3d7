#!/usr/bin/env python3
"""What takes minutes: memory over 100,000 calls, Ctrl-C at other moments; and what is measured, never asserted.

Usage: test_long.py KITFOX [calls], by a Python that has the package. Prints one line a check, and figures.
"""

import gc
import os
import resource
import sys
import threading
import time

from common import EXAMPLES, PICTURES, ROOT, case, check, image, kitfox, np, quietly, run_cases

CALLS = int(sys.argv[2]) if sys.argv[2:] and sys.argv[2].isdigit() else 100000
CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")


def resident():
    gc.collect()
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def grows(what, call, calls, most=1 << 20):
    """Resident bytes after an eighth of the calls and after all of them."""
    for _ in range(calls // 8):
        call()
    before = resident()
    for _ in range(calls - calls // 8):
        call()
    more = resident() - before
    print(f"      {what}: {more / 1024:.0f} KiB more after {calls} calls")
    check(f"{what}: memory is flat", more <= most, more)


@case
def memory(top):
    out = os.path.join(top, "q.kfx")
    quietly(kitfox.quantize, CHECKPOINT, EXAMPLES, out)
    m = kitfox.load(out, threads=1)
    x, pixels, jpeg = (
        np.zeros((1, 3, 64, 64), np.float32),
        np.ascontiguousarray(image()[:64, :64]),
        open(PICTURES[0], "rb").read(),
    )
    wrong = np.zeros((1, 3, 64, 63), np.float32)

    def refused(call, *args):
        try:
            call(*args)
        except kitfox.Error:
            pass

    grows("run", lambda: m(x), CALLS)
    grows("classify of an array", lambda: list(m.classify(pixels)), CALLS)
    grows("a refused tensor", lambda: refused(m, wrong), CALLS)
    grows("bytes that are no picture", lambda: refused(m.classify, b"nothing"), CALLS // 10)
    grows("classify of a JPEG's bytes", lambda: m.classify(jpeg), CALLS // 100, 4 << 20)
    grows("a list", lambda: m.classify([pixels] * 4), CALLS // 100, 4 << 20)
    grows("load and close", lambda: kitfox.load(out).close(), CALLS // 1000, 16 << 20)
    grows("load and forget", lambda: kitfox.load(out).classify(pixels), CALLS // 1000, 16 << 20)
    grows("a model of the toolchain", lambda: kitfox.graph(CHECKPOINT).compile(), CALLS // 2500, 32 << 20)
    from kitfox import rdk  # noqa: F401
    from kitfox.rdk import bpu_infer_lib

    inf = bpu_infer_lib.Infer(False)
    sys.stdout.flush()
    inf.load_model(out)
    frame = np.zeros(6144, np.uint8)
    grows(
        "a frame through bpu_infer_lib",
        lambda: (inf.read_numpy_arr_nv12(frame), inf.forward(), inf.get_infer_res(0, 10)),
        CALLS // 10,
    )


def per_second(threads, call, seconds=2.0):
    counts, stop = [0] * threads, time.monotonic() + seconds

    def work(k):
        while time.monotonic() < stop:
            call()
            counts[k] += 1

    begun = time.monotonic()
    workers = [threading.Thread(target=work, args=(k,)) for k in range(threads)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return sum(counts) / (time.monotonic() - begun)


@case
def figures():
    """Printed, not asserted: a machine where others compute says little."""
    m = kitfox.load(threads=1)
    x = np.zeros((1, 3, 64, 64), np.float32)
    one = per_second(1, lambda: m(x))
    for n in (2, 4):
        print(f"      {n} threads of Python: {per_second(n, lambda: m(x)) / one:.2f} times one")
    from kitfox._call import lib

    s = m._take()
    m(x)
    array, out = np.ascontiguousarray(x), np.empty((1, 10), np.float32)
    s.point(0, s.ins[0], array, "in")
    s.point(1, s.outs[0], out, "out")

    def least(call, n=50, times=200):
        best = 1e9
        for _ in range(times):
            begun = time.perf_counter()
            for _ in range(n):
                call()
            best = min(best, (time.perf_counter() - begun) / n)
        return best * 1e6

    c, p = least(lambda: lib.kf_session_run(s.c, s.ins, 1, s.outs, 1, s.err)), least(lambda: m(x))
    print(f"      a call: {p:.1f} us, in C {c:.1f} us: {p - c:.1f} us beyond C")
    check("there are figures", one > 0 and c > 0)


sys.exit(run_cases())
